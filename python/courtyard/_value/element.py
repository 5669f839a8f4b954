"""What the elements of an array may be declared as: typecodes, ctypes types, NumPy dtypes."""

from __future__ import annotations

import sys

from courtyard._value.declaration import CODES, TYPECODES, fields, resolve

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any

# Python's own classes, as the typecodes that hold them.
_CLASSES = {int: "q", float: "d", bool: "?"}
# Kinds and sizes of dtypes that are one word in shared memory.
_WORDS = {
    **{("i", size): letter for size, letter in zip((1, 2, 4, 8), "bhiq", strict=True)},
    **{("u", size): letter for size, letter in zip((1, 2, 4, 8), "BHIQ", strict=True)},
    **{("f", 4): "f", ("f", 8): "d", ("b", 1): "?"},
}


class Element:
    """How elements are kept: the native format, their bytes, the buffer protocol's letters."""

    __slots__ = ("code", "ctype", "dtype", "inner", "layout", "size")

    def __init__(
        self, code: str, size: int, layout: str | None, ctype: Any, dtype: Any, inner: Any = ()
    ) -> None:
        """Keep what the resolvers below found; ``inner`` is the shape of a dtype's subarrays."""
        self.code, self.size, self.layout = code, size, layout
        self.ctype, self.dtype, self.inner = ctype, dtype, inner


_known: dict[Any, Element] = {}


def element_of(declared: Any) -> Element:
    """Return how elements of a declared type are kept; TypeError says what can be declared."""
    try:
        found = _known.get(declared)
    except TypeError:  # a dtype as a list or a dict
        return _from_dtype(declared)
    if found is None:
        found = _known[declared] = _resolve(declared)
    return found


def numpy() -> Any:
    """Return NumPy, or None where it is not installed."""
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def _resolve(declared: Any) -> Element:
    if isinstance(declared, str) and declared not in TYPECODES:
        return _from_dtype(declared)
    if not isinstance(declared, str | type):
        return _from_dtype(declared)
    if isinstance(declared, type) and declared not in _CLASSES:
        # The module of ctypes arrays that NumPy makes is None.
        if (declared.__module__ or "").partition(".")[0] == "numpy":
            return _from_dtype(declared)
        if resolve(declared).ctype is None:
            raise TypeError(f"{_expected()}, found {declared.__name__}, of which no array is made")
    import ctypes

    declaration = resolve(declared)
    ctype = declaration.ctype
    if declared in _CLASSES:
        letter = _CLASSES[declared]
        ctype = {"q": ctypes.c_longlong, "d": ctypes.c_double, "?": ctypes.c_bool}[letter]
        return Element(declaration.code, declaration.length, letter, ctype, None)
    code = "raw" if declaration.code == "s" else declaration.code
    layout = {"raw": None, "u": "w", "P": "Q"}.get(code, code)
    if layout is None:
        layout = _layout(ctype)
    return Element(code, declaration.length, layout, ctype, None)


def shape_of(declared: Any) -> tuple[str, tuple[int, ...]]:
    """Return the buffer protocol's letters of a value's elements, and how many there are."""
    import ctypes

    lengths: list[int] = []
    ctype: Any = resolve(declared).ctype or int  # a class of Python's own is no array
    while issubclass(ctype, ctypes.Array):
        lengths.append(ctype._length_)
        ctype = ctype._type_
    return element_of(ctype if lengths else declared).layout or "B", tuple(lengths)


def _layout(ctype: Any) -> str:
    """Return the buffer protocol's letters of what is no single word, every gap named."""
    import ctypes

    if issubclass(ctype, ctypes.Array):
        lengths = []
        while issubclass(ctype, ctypes.Array):
            lengths.append(str(ctype._length_))
            ctype = ctype._type_
        return f"({','.join(lengths)}){_layout(ctype)}"
    if issubclass(ctype, ctypes._SimpleCData):
        special = {"u": "<w" if sys.byteorder == "little" else ">w", "g": "g", "P": "Q"}
        return special.get(ctype._type_) or memoryview(ctype()).format or "B"
    size = ctypes.sizeof(ctype)
    if issubclass(ctype, ctypes.Union) or _has_bits(ctype):
        return f"({size})B"
    parts, end = [], 0
    for name, type_ in fields(ctype):
        offset: int = getattr(ctype, name).offset
        parts.append(f"{offset - end}x" if offset > end else "")
        parts.append(f"{_layout(type_)}:{name}:")
        end = offset + ctypes.sizeof(type_)
    parts.append(f"{size - end}x" if size > end else "")
    return f"T{{{''.join(parts)}}}"


def _has_bits(ctype: Any) -> bool:
    return any(len(field) > 2 for field in fields(ctype))


def _expected() -> str:
    return (
        f"expected one of the typecodes {' '.join(TYPECODES)}, a ctypes type, a NumPy dtype, "
        "int, float or bool"
    )


def _wrong(declared: Any) -> str:
    if isinstance(declared, str):
        return (
            f"bad typecode (must be a ctypes type or one of {CODES}; or a NumPy dtype, int, float "
            f"or bool): {declared!r}"
        )
    return f"{_expected()} for the elements, found {declared!r}"


def _from_dtype(declared: Any) -> Element:
    np = numpy()
    if np is None:
        raise TypeError(f"{_wrong(declared)}; NumPy's dtypes need NumPy, which is not installed")
    known = str | list | tuple | dict | type | np.dtype
    try:
        if not isinstance(declared, known):
            raise TypeError
        dtype = np.dtype(declared)
    except (TypeError, ValueError):
        raise TypeError(_wrong(declared)) from None
    if dtype.hasobject:
        raise TypeError(f"{dtype} holds pointers into one process; nothing could follow them")
    base = dtype.base
    if base.itemsize == 0:
        raise TypeError(f"elements of {dtype} have no size: give one, as in 'S10'")
    code = _WORDS.get((base.kind, base.itemsize), "raw") if base.isnative else "raw"
    layout: str | None = code
    if code == "raw":
        try:
            layout = memoryview(np.empty(1, base)).format
        except ValueError:  # the protocol has no letter for dates
            layout = None
        if base.kind == "V" and base.names is None:
            layout = None  # NumPy's own, of nothing but a gap, is read as a structure
    return Element(code, base.itemsize, layout, None, base, dtype.shape)
