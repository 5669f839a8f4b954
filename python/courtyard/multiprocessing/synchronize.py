"""``multiprocessing.synchronize`` with courtyard's locks."""

from __future__ import annotations

from multiprocessing import synchronize as _standard
from typing import TYPE_CHECKING, Any

import courtyard
from courtyard.multiprocessing._rules import MultiprocessingRules

__all__ = ["BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]


class _SemLock:
    """The system's semaphore inside one of multiprocessing's, as far as others look at it.

    Executors ask the semaphore of their queue whether it is zero.
    """

    def __init__(self, semaphore: Semaphore) -> None:
        self._get_value = semaphore.get_value

    def _is_zero(self) -> bool:
        return self._get_value() == 0


class _Count:
    """A semaphore of those that multiprocessing's Condition consists of: what it would count."""

    def __init__(self, value: int) -> None:
        self._value = value

    def get_value(self) -> int:
        return self._value


class Lock(MultiprocessingRules, courtyard.Lock):
    """A ``courtyard.Lock`` that is used as ``multiprocessing.Lock``."""


class RLock(MultiprocessingRules, courtyard.RLock):
    """A ``courtyard.RLock`` that is used as ``multiprocessing.RLock``."""


class Semaphore(MultiprocessingRules, courtyard.Semaphore):
    """A ``courtyard.Semaphore`` that is used as ``multiprocessing.Semaphore``."""

    @property
    def _semlock(self) -> _SemLock:
        return _SemLock(self)


class BoundedSemaphore(Semaphore, courtyard.BoundedSemaphore):
    """A ``courtyard.BoundedSemaphore`` that is used as ``multiprocessing.BoundedSemaphore``."""


class Condition(MultiprocessingRules, courtyard.Condition):
    """A ``courtyard.Condition`` that is used as ``multiprocessing.Condition``."""

    if not TYPE_CHECKING:  # checkers see courtyard's own

        def __new__(cls, lock: Any = None, *, ctx: Any = None) -> Any:
            """Make a condition with this lock, or an RLock of its own."""
            return super().__new__(cls, RLock() if lock is None else lock)

    @property
    def _sleeping_count(self) -> _Count:
        return _Count(self._waiters)

    @property
    def _woken_count(self) -> _Count:
        return _Count(0)

    @property
    def _wait_semaphore(self) -> _Count:
        return _Count(0)


class Event(MultiprocessingRules, courtyard.Event):
    """A ``courtyard.Event`` that is used as ``multiprocessing.Event``."""

    def __repr__(self) -> str:
        if self._closed:
            return super().__repr__()
        state = "set" if self.is_set() else "unset"
        return f"<{type(self).__qualname__} at {id(self):#x} {state}>"


class Barrier(MultiprocessingRules, courtyard.Barrier):
    """A ``courtyard.Barrier`` that is used as ``multiprocessing.Barrier``."""


def __getattr__(name: str) -> Any:
    """Return what else the standard module has."""
    return getattr(_standard, name)
