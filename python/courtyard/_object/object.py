"""What locks, semaphores, conditions, events and barriers have in common."""

from __future__ import annotations

from _thread import get_ident

from courtyard import _native
from courtyard._object.name import Named, quoted
from courtyard._object.subclass import closed
from courtyard._pickle import carried, rebuild

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from courtyard._statistics import ObjectStatistics


# Of which objects this thread, and others, are making a repr.
_shown: set[Any] = set()


def once(show: Callable[[Any], str]) -> Callable[[Any], str]:
    """Make a ``__repr__`` that says ``...`` of an object inside itself, by whichever handle."""

    def __repr__(self: Any) -> str:
        key = get_ident(), self._identity()
        if key in _shown:
            return "..."
        _shown.add(key)
        try:
            return show(self)
        finally:
            _shown.discard(key)

    __repr__.__doc__ = show.__doc__
    return __repr__


@once
def content_of(container: Any) -> str:
    """Return what is in a container, as the builtin shows it; of itself inside itself, ``...``."""
    return str(_native.showing(container.copy))


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


class Shared(Named):
    """A shared object that says what it is, and pickles as itself."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def _closed(self) -> bool: ...
        def _address(self) -> Any: ...
        @classmethod
        def _load(cls, address: Any) -> Any: ...

    def _state(self) -> str:
        """Return what repr() says beside the type."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """Say what it is and how it stands."""
        what = f"courtyard.{_title(self)}{quoted(self)} at {id(self):#x}"
        return f"<{what}: {closed(self) if self._closed else self._state()}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Send a handle: loading it opens the same object."""
        cls = type(self)
        what = rebuild, (cls, _native.export(self))
        return what if cls._stateless else (*what, *carried(self))

    def statistics(self) -> ObjectStatistics:
        """Return the figures of the object and its space, and the processes that use the object."""
        from courtyard._statistics import object_statistics

        return object_statistics(self, _title(self))

    def check(self) -> None:
        """Raise CorruptError if the object's space contradicts itself; O(space)."""
        _native.check(self)


def _title(obj: object) -> str:
    return type(obj).__name__
