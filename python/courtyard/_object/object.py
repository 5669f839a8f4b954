"""``Object``: what every object can do, whatever it is and wherever it lives."""

from __future__ import annotations

from _thread import get_ident

from courtyard import _native
from courtyard._object.name import Named, quoted
from courtyard._object.subclass import closed, home_of, own_class
from courtyard._pickle import carried, rebuild

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from courtyard._statistics import ObjectStatistics


# `courtyard.aio.of`, once something has been asked for its twin.
_twin: Callable[[Any], Any] | None = None


def _find_twins() -> Callable[[Any], Any]:
    global _twin
    from importlib import import_module

    found: Callable[[Any], Any] = import_module("courtyard.aio").of
    _twin = found
    return found


class Object(Named):
    """A shared object that says what it is, and pickles as itself.

    Fields of a Structure, and what a program's subclass has, hide methods of these names: so what
    is private here is called of ``own_class(obj)``.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def _closed(self) -> bool: ...
        def _identity(self) -> tuple[int, int, int]: ...

    def _title(self) -> str:
        """Return what it is, as repr() and the statistics say it."""
        return type(self).__name__

    def _state(self) -> str:
        """Return what repr() says beside the type."""
        raise NotImplementedError

    def _entries(self) -> int | None:
        """Return how many entries it has, where the engine does not know it."""
        return None

    def _parts(self, handle: Any) -> tuple[Any, ...]:
        """Return what ``_load`` takes to open it again."""
        return (handle,)

    def _is_made(self) -> bool:
        """Say whether it is an object yet: see ``_object.subclass``."""
        return _native.is_made(self)

    def _references(self) -> int:
        """Return how many handles, names, values and pickles hold it."""
        return _native.references(self)

    def __repr__(self) -> str:
        """Say what it is and how it stands."""
        what = f"courtyard.{own_class(self)._title(self)}{quoted(self)} at {id(self):#x}"
        return f"<{what}: {closed(self) if self._closed else self._state()}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Send a handle: loading it opens the same object."""
        parts = own_class(self)._parts(self, _native.export(self))
        return rebuild, (home_of(self), *parts), *carried(self)

    @property
    def aio(self) -> Any:
        """The object as tasks of asyncio and trio use it: its methods, to be awaited.

        See ``courtyard.aio``.
        """
        return (_twin or _find_twins())(self)

    def statistics(self) -> ObjectStatistics:
        """Return the figures of the object and its space, and the processes that use the object."""
        from courtyard._statistics import object_statistics

        cls = own_class(self)
        return object_statistics(self, cls._title(self), cls._entries(self))

    def check(self) -> None:
        """Raise CorruptError if the object's space is inconsistent; O(space)."""
        _native.check(self)


# Of which objects this thread, and others, are making a repr.
_shown: set[Any] = set()


def recursive_repr(show: Callable[[Any], str]) -> Callable[[Any], str]:
    """Make a ``__repr__`` that says ``...`` of an object inside itself, by whichever handle."""

    def __repr__(self: Any) -> str:
        key = get_ident(), home_of(self)._identity(self)
        if key in _shown:
            return "..."
        _shown.add(key)
        try:
            return show(self)
        finally:
            _shown.discard(key)

    __repr__.__doc__ = show.__doc__
    return __repr__


def seconds(timeout: Any) -> float | None:
    """Return a timeout as the native classes take it; TypeError or ValueError for what is none."""
    if timeout is None:
        return None
    if not (hasattr(timeout, "__float__") or hasattr(timeout, "__index__")):  # no text
        raise TypeError(f"timeout: expected seconds or None, found {type(timeout).__name__}")
    taken = float(timeout)
    if taken != taken:
        raise ValueError("timeout is NaN; expected seconds, or None to wait for ever")
    return taken
