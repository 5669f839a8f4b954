"""Values that cannot be loaded: what ``LoadError`` says of them, and what a repr shows instead."""

from __future__ import annotations

import sys

from courtyard import _error

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# Of a pickle with more operations only the first are looked at; of a long key only the start.
_MOST_OPERATIONS = 100_000
_MOST_LETTERS = 80
# What a program can do about a value that it cannot load.
_ADVICE = {
    "the first item": "; a lease can still drop(), move() or requeue() it",
    "item": "; a lease, which gets them one by one, can still drop(), move() or requeue() it",
    "the leased item": "; the lease can still drop(), move() or requeue() it",
}


class Unloadable:
    """Stands in a repr for a value or key that cannot be loaded.

    Comparing it raises the LoadError of the value, so a search that gets as far as it raises.
    """

    __slots__ = ("_failed", "_name")

    def __init__(self, name: str, failed: tuple[BaseException, bytes] | None = None) -> None:
        self._name, self._failed = name, failed

    def __eq__(self, other: object) -> bool:
        if self is other or self._failed is None:
            return self is other
        raise load_error(*self._failed) from self._failed[0]

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<cannot load: {self._name}>"


class Opaque:
    """What stands for a value that is a pickle: it is not loaded."""

    __slots__ = ("nbytes",)

    def __init__(self, nbytes: int) -> None:
        """Stand for a pickle of so many bytes."""
        self.nbytes = nbytes

    def __repr__(self) -> str:
        """Say what it stands for."""
        return f"<pickle, {self.nbytes} bytes>"


def unloadable(error: BaseException, pickled: bytes) -> Unloadable:
    """Return what a repr shows of a value whose loading raised an error."""
    found = error.class_name if isinstance(error, _error.LoadError) else ""
    found = found or _culprit(error, pickled)[0] or type(error).__name__
    return Unloadable(found, (error, pickled))


def is_of_a_handler(error: BaseException) -> bool:
    """Say whether a signal handler raised an error, which then says nothing of what was loaded.

    A handler is called with a signal's number and the frame that it interrupts, which becomes its
    caller: no other function has its own caller as an argument.
    """
    trace = error.__traceback__
    while trace is not None:
        caller = trace.tb_frame.f_back
        if caller is not None:
            for value in trace.tb_frame.f_locals.values():
                values = value if isinstance(value, tuple) else (value,)  # of ``*arguments``
                if any(each is caller for each in values):
                    return True
        trace = trace.tb_next
    return False


def load_error(error: BaseException, pickled: bytes) -> Any:
    """Return the LoadError for what loading a pickle raised."""
    name, is_missing = _culprit(error, pickled)
    why = _said(error)
    if is_missing:
        return missing(error, *name.rpartition(".")[::2])
    if name:
        why = f"{name} cannot be built: {why}"
    return _made(error, name, why)


def missing(error: BaseException, module: str, name: str) -> Any:
    """Return the LoadError for a class that cannot be found, which raised an error."""
    name = f"{module}.{name}"
    why = (
        f"{name} cannot be found in this process: {_said(error)}; a class must be "
        "importable under that name by each process that loads its objects"
    )
    return _made(error, name, why)


def _made(error: BaseException, name: str, why: str) -> Any:
    made = _error.load_error(error)(f"cannot load a stored value: {why}")
    made._class_name, made._why = name, why
    return made


def locate(error: Any, place: str, *key: object) -> None:
    """Add to a LoadError which value it was, if that is not known yet."""
    if error._why and not error._place:
        error._advice = _ADVICE.get(place, "")
        if key:
            shown = repr(key[0])
            most = _MOST_LETTERS
            place += f" {shown if len(shown) <= most else shown[:most] + '...'}"
        error._place = place
        _say(error)


def belong(error: Any, title: str) -> None:
    """Add to a LoadError which object the value is in, if that is not known yet."""
    if error._why and not error._object:
        error._object = title
        _say(error)


def _say(error: Any) -> None:
    of = f" of {error._object}" if error._object else ""
    place = error._place or "a stored value"
    error.args = (f"cannot load {place}{of}: {error._why}{error._advice}",)


def nested(pickled: bytes) -> list[Any] | None:
    """Return the handles in a NestedDict's value, to show them; None if it names other classes.

    Nothing else that the pickle names is found, and nothing but links of the value's own space.
    """
    from io import BytesIO
    from pickle import Unpickler

    def rebuild(cls: Any, address: tuple[Any, ...]) -> Any:
        if address[0] != "":  # where a link has its number
            raise LookupError
        return cls._load(address)

    class Links(Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            match module, name:
                case "courtyard._pickle", "rebuild" | "_rebuild":
                    return rebuild
                case "builtins", "tuple":
                    return tuple
                case "courtyard", "NestedDict":
                    pass
                case "courtyard._container.nested", "NestedList":
                    pass
                case _:
                    raise LookupError
            return super().find_class(module, name)

    try:
        return list(Links(BytesIO(pickled)).load())
    except Exception:  # other classes, or no such list
        return None


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {_text(error)}".removesuffix(": ")


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as other:  # its own __str__ fails
        return f"<its __str__ raised {type(other).__name__}>"


def _culprit(error: BaseException, pickled: bytes) -> tuple[str, bool]:
    """Return the class or function that could not be found or built, as far as it can be told.

    The first that is not there; else one that the error or its traceback names; else the first.
    """
    try:
        found = list(dict.fromkeys(_globals(pickled)))
    except Exception:  # a pickle that is broken
        found = []
    if isinstance(error, AttributeError | ImportError):
        for module, name in found:
            if not _is_there(module, name):
                return f"{module}.{name}", True
    said, names = _text(error), {f.rpartition(".")[0] for f in _frames(error)}
    named = [each for each in found if each[1] in names or f"{each[1]}." in said]
    for module, name in named or found:
        return f"{module}.{name}", False
    return "", False


def _is_there(module: str, name: str) -> bool:
    found: Any = sys.modules.get(module)
    if found is None:
        return False
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is not None


def _frames(error: BaseException) -> Iterator[str]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_code.co_qualname
        trace = trace.tb_next


def _globals(pickled: bytes) -> Iterator[tuple[str, str]]:
    """Iterate over the classes and functions that a pickle names, as (module, name)."""
    from itertools import islice
    from pickletools import genops

    memo: list[Any] = []
    texts: list[Any] = []  # what was pushed: a text, or None
    argument: Any
    for code, argument, _ in islice(genops(pickled), _MOST_OPERATIONS):
        match code.name:
            case "GLOBAL":
                module, _, name = argument.partition(" ")
                yield module, name
                texts.append(None)
            case "STACK_GLOBAL":
                module, name = texts[-2:]
                if isinstance(module, str) and isinstance(name, str):
                    yield module, name
                texts.append(None)
            case "MEMOIZE":
                memo.append(texts[-1] if texts else None)
            case "BINGET" | "LONG_BINGET":
                texts.append(memo[argument] if argument < len(memo) else None)
            case "BINPUT" | "LONG_BINPUT" | "PROTO" | "FRAME" | "MARK":
                pass
            case _:
                texts.append(argument if isinstance(argument, str) else None)
