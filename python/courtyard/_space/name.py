"""Names in a space: what can be one, and the handle on what it leads to."""

from __future__ import annotations

from courtyard import _error
from courtyard._codec.loading import belong, locate
from courtyard._error import NotFound, NotTrusted, WrongType
from courtyard._public import find

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any

    from courtyard import _native

LONGEST = 255


def check_name(name: Any) -> str:
    """Return the name of an object; TypeError or ValueError says what is wrong with it."""
    if not isinstance(name, str):
        raise TypeError(f"a name is a str, found {type(name).__name__}")
    wrong = None
    if not name:
        wrong = "it is empty"
    elif len(name) > LONGEST:
        wrong = f"it has {len(name)} characters"
    elif "\0" in name:
        wrong = "it contains NUL"
    elif not name.isascii() and any("\ud800" <= letter <= "\udfff" for letter in name):
        wrong = "it contains a lone surrogate, which no other program could write"
    if wrong is not None:
        raise ValueError(f"the name {name!r}: {wrong}; expected 1 to {LONGEST} characters")
    return name


def open_named(native: _native.Space, name: str, where: str) -> Any:
    """Return the object of that name, of whatever type it is."""
    check_name(name)
    while True:
        found = native.lookup(name)
        if found is None:
            raise NotFound(
                f"there is no {name!r} in {where}: courtyard.Dict.named({name!r}, space=…) or the "
                "like makes it"
            )
        title = found[0][0]
        cls = find(title)
        if cls is None:
            raise WrongType(
                f"{name!r} is of the type {title}, which this version of courtyard does not know"
            )
        arrived = load(cls, native, name, found, (), {})
        if arrived is not None:
            return arrived


def load(cls: Any, native: _native.Space, name: str, found: Any, initial: Any, options: Any) -> Any:
    """Return a handle on what a name leads to; None if it is gone by now."""
    declared, address, companion = found
    if native.distrusted and not initial and _needs_a_class(declared):
        raise NotTrusted(
            "this was declared as a class of a program's own, and in a space opened with "
            "pickle=False none is imported: open it by Value.named() with that class"
        )
    try:
        return cls._arrive(declared[1:], address, companion, initial, options)
    except NotFound:  # its name was deleted meanwhile, and nobody else had it
        return None
    except _error.LoadError as error:  # the class that it was declared as
        locate(error, "the value" if declared[0].endswith("Value") else "the elements")
        belong(error, f'{declared[0]} "{name}"')
        raise


def _needs_a_class(declared: Any) -> bool:
    """Say whether a description names a class that has to be imported."""
    return isinstance(declared, tuple) and (
        declared[:1] == ("class",) or any(_needs_a_class(part) for part in declared)
    )
