"""What a value may be declared as: typecodes, ctypes types, Python classes."""

from __future__ import annotations

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any

    Declared = Any

TYPECODES = {
    "c": "c_char",
    "b": "c_byte",
    "B": "c_ubyte",
    "u": "c_wchar",
    "h": "c_short",
    "H": "c_ushort",
    "i": "c_int",
    "I": "c_uint",
    "l": "c_long",
    "L": "c_ulong",
    "q": "c_longlong",
    "Q": "c_ulonglong",
    "f": "c_float",
    "d": "c_double",
}
CODES = ", ".join([*TYPECODES][:-1]) + " or d"
# ctypes' letters that are one word in shared memory.
_WORDS = frozenset("cubBhHiIlLqQfd?P")
_PROCESS_POINTERS = frozenset("zZOX")


class Declaration:
    """How a declared type is kept: the native format, its bytes, its ctypes type."""

    __slots__ = ("code", "ctype", "length", "shape")

    def __init__(self, code: str, length: int, ctype: Any, shape: str) -> None:
        """Keep what the resolvers below found."""
        self.code, self.length, self.ctype, self.shape = code, length, ctype, shape


_known: dict[Any, Declaration] = {
    int: Declaration("int", 8, None, "scalar"),
    float: Declaration("float", 8, None, "scalar"),
    bool: Declaration("?", 1, None, "scalar"),
    object: Declaration("object", 8, None, "scalar"),
}


def resolve(declared: Declared) -> Declaration:
    """Return how a declared type is kept; TypeError says what can be declared."""
    try:
        found = _known.get(declared)
    except TypeError:  # not even hashable
        found = None
    if found is None:
        found = _resolve(declared)
        _known[declared] = found
    return found


def _resolve(declared: Declared) -> Declaration:
    import ctypes

    if isinstance(declared, str):
        name = TYPECODES.get(declared)
        if name is None:
            raise TypeError(
                f"bad typecode (must be a ctypes type or one of {CODES}; or int, float, bool, "
                f"object or another class): {declared!r}"
            )
        ctype = getattr(ctypes, name)
        return Declaration(declared, ctypes.sizeof(ctype), ctype, "scalar")
    if not isinstance(declared, type):
        raise TypeError(
            "expected a typecode, a ctypes type or a class to declare the value, "
            f"found {declared!r}"
        )
    try:
        ctypes.sizeof(declared)
    except TypeError:  # no ctypes type, or one of its abstract bases
        if declared.__module__ == "_ctypes":
            raise TypeError(
                f"{declared.__name__} is abstract: declare a type made of it, as c_int or c_int * 3"
            ) from None
        return Declaration("object", 8, None, "scalar")
    if issubclass(declared, ctypes._SimpleCData):
        return _resolve_simple(declared)
    if issubclass(declared, ctypes.Array):
        _refuse_pointers(declared)
        element: Any = declared._type_
        chars = element is ctypes.c_char
        code = "s" if chars else "raw"
        return Declaration(code, ctypes.sizeof(declared), declared, "chars" if chars else "array")
    if issubclass(declared, ctypes.Structure | ctypes.Union):
        _refuse_pointers(declared)
        return Declaration("raw", ctypes.sizeof(declared), declared, "structure")
    raise TypeError(_pointer_message(declared))


def _resolve_simple(declared: Any) -> Declaration:
    import ctypes

    letter = declared._type_
    if letter in _PROCESS_POINTERS:
        raise TypeError(_pointer_message(declared))
    code = letter if letter in _WORDS and _is_native(declared) else "raw"
    return Declaration(code, ctypes.sizeof(declared), declared, "scalar")


def _is_native(declared: Any) -> bool:
    import sys

    order = "__ctype_le__" if sys.byteorder == "little" else "__ctype_be__"
    return getattr(declared, order, declared) is declared


def _pointer_message(declared: Any) -> str:
    return (
        f"{declared.__name__} is a pointer into one process; nothing could follow it in another: "
        "declare c_char * n for text, or object for a Python object"
    )


def _refuse_pointers(declared: Any) -> None:
    """Refuse types with a pointer anywhere inside."""
    import ctypes

    if issubclass(declared, ctypes.Array):
        _refuse_pointers(declared._type_)
    elif issubclass(declared, ctypes.Structure | ctypes.Union):
        for field in fields(declared):
            _refuse_pointers(field[1])
    elif issubclass(declared, ctypes._SimpleCData):
        if declared._type_ in _PROCESS_POINTERS:
            raise TypeError(_pointer_message(declared))
    else:
        raise TypeError(_pointer_message(declared))


def fields(ctype: Any) -> list[Any]:
    """Return the fields of a structure or a union, those of its bases first."""
    bases = reversed(ctype.__mro__)
    return [field for base in bases for field in base.__dict__.get("_fields_", ())]


def show(declared: Declared) -> str:
    """Return a declared type as a person would write it."""
    return declared if isinstance(declared, str) else getattr(declared, "__name__", repr(declared))


def portable(declared: Declared) -> Any:
    """Return a declared type as something that pickles.

    By themselves, ctypes' arrays and its scalars in foreign byte order do not.
    """
    if isinstance(declared, str):
        return declared
    array = getattr(declared, "_length_", None)
    if array is not None:
        return (portable(declared._type_), array)
    for order, native in (("__ctype_be__", "__ctype_le__"), ("__ctype_le__", "__ctype_be__")):
        if getattr(declared, order, None) is declared and not _is_native(declared):
            return (getattr(declared, native), order)
    return declared


def restored(declared: Any) -> Declared:
    """Return the declared type that ``portable`` took apart."""
    if isinstance(declared, tuple):
        element, what = declared
        if isinstance(what, str):
            return getattr(element, what)
        return restored(element) * what
    return declared


def require_lock(lock: Any) -> None:
    """Raise AttributeError, as multiprocessing does, for what is no lock."""
    if not hasattr(lock, "acquire"):
        raise AttributeError(
            f"lock={lock!r} has no method 'acquire': expected True, False or a lock"
        )
