"""``multiprocessing.context``: a context for each start method, with courtyard's shared types."""

from __future__ import annotations

import multiprocessing.context as _standard
import sys
from multiprocessing.context import *
from typing import TYPE_CHECKING, Any

from courtyard._public import publish

if TYPE_CHECKING:
    import courtyard
    from courtyard.multiprocessing._manager import Manager

# They read the pipe that a standard SimpleQueue consists of.
_PIPE_READERS = frozenset(["concurrent.futures.process", "multiprocessing.pool"])

Process = _standard.Process


class _SharedTypes(_standard.BaseContext):
    """The factories of the shared types, in place of a standard context's."""

    def Lock(self) -> courtyard.Lock:  # type: ignore[override]
        """Return a lock that is not recursive."""
        from courtyard.multiprocessing import synchronize

        return synchronize.Lock()

    def RLock(self) -> courtyard.RLock:  # type: ignore[override]
        """Return a recursive lock."""
        from courtyard.multiprocessing import synchronize

        return synchronize.RLock()

    def Condition(self, lock: Any = None) -> courtyard.Condition:  # type: ignore[override]
        """Return a condition with this lock, or an RLock of its own."""
        from courtyard.multiprocessing import synchronize

        return synchronize.Condition(lock)

    def Semaphore(self, value: int = 1) -> courtyard.Semaphore:  # type: ignore[override]
        """Return a semaphore."""
        from courtyard.multiprocessing import synchronize

        return synchronize.Semaphore(value)

    def BoundedSemaphore(self, value: int = 1) -> courtyard.BoundedSemaphore:  # type: ignore[override]
        """Return a semaphore that cannot be released beyond its first value."""
        from courtyard.multiprocessing import synchronize

        return synchronize.BoundedSemaphore(value)

    def Event(self) -> courtyard.Event:  # type: ignore[override]
        """Return an event."""
        from courtyard.multiprocessing import synchronize

        return synchronize.Event()

    def Barrier(  # type: ignore[override]
        self, parties: int, action: Any = None, timeout: float | None = None
    ) -> courtyard.Barrier:
        """Return a barrier."""
        from courtyard.multiprocessing import synchronize

        return synchronize.Barrier(parties, action, timeout)

    def Queue(self, maxsize: int = 0) -> courtyard.Queue[Any]:  # type: ignore[override]
        """Return a queue."""
        from courtyard.multiprocessing import queues

        return queues.Queue(maxsize)

    def JoinableQueue(self, maxsize: int = 0) -> courtyard.JoinableQueue[Any]:  # type: ignore[override]
        """Return a queue whose items can be waited for."""
        from courtyard.multiprocessing import queues

        return queues.JoinableQueue(maxsize)

    def SimpleQueue(self) -> courtyard.SimpleQueue[Any]:  # type: ignore[override]
        """Return a queue without a limit; to the standard library's pools, the standard one."""
        if sys._getframe(1).f_globals.get("__name__") in _PIPE_READERS:
            standard: Any = _standard._default_context.get_context(self.get_start_method())
            return standard.SimpleQueue()  # type: ignore[no-any-return]
        from courtyard.multiprocessing import queues

        return queues.SimpleQueue()

    def RawValue(self, typecode_or_type: Any, *args: Any) -> courtyard.RawValue[Any]:  # type: ignore[override]
        """Return a shared value without a lock."""
        from courtyard.multiprocessing import sharedctypes

        return sharedctypes.RawValue(typecode_or_type, *args)

    def RawArray(self, typecode_or_type: Any, size_or_initializer: Any) -> courtyard.RawArray[Any]:  # type: ignore[override]
        """Return a shared array without a lock."""
        from courtyard.multiprocessing import sharedctypes

        return sharedctypes.RawArray(typecode_or_type, size_or_initializer)

    def Value(self, typecode_or_type: Any, *args: Any, lock: Any = True) -> courtyard.Value[Any]:  # type: ignore[override]
        """Return a shared value."""
        from courtyard.multiprocessing import sharedctypes

        return sharedctypes.Value(typecode_or_type, *args, lock=lock)

    def Array(  # type: ignore[override]
        self, typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True
    ) -> courtyard.Array[Any]:
        """Return a shared array."""
        from courtyard.multiprocessing import sharedctypes

        return sharedctypes.Array(typecode_or_type, size_or_initializer, lock=lock)

    def Manager(self) -> Manager:
        """Return what makes shared objects with SyncManager's methods, with no server."""
        from courtyard.multiprocessing import _manager

        return _manager.Manager(self)

    def get_context(self, method: str | None = None) -> Any:
        """Return the context of a start method, or this one."""
        return self if method is None else _counterpart(super().get_context(method))


class ForkContext(_SharedTypes, _standard.ForkContext):
    """The context of the start method fork."""


class SpawnContext(_SharedTypes, _standard.SpawnContext):
    """The context of the start method spawn."""


class ForkServerContext(_SharedTypes, _standard.ForkServerContext):
    """The context of the start method forkserver."""


class DefaultContext(_SharedTypes, _standard.DefaultContext):
    """The context of the start method that is set, or of the system's.

    It is set once for all: the standard package's default is the same one, since its Process
    class, which children start by, looks there.
    """

    def __init__(self) -> None:
        """Follow the standard default context."""

    def get_context(self, method: str | None = None) -> Any:
        """Return the context of a start method, of the one that is set if None is given."""
        return _counterpart(_standard._default_context.get_context(method))

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Set the start method, here and in the standard package."""
        _standard._default_context.set_start_method(method, force)

    def get_start_method(self, allow_none: bool = False) -> Any:
        """Return the start method that is set."""
        return _standard._default_context.get_start_method(allow_none)

    def get_all_start_methods(self) -> list[str]:
        """Return the start methods that there are, the default first."""
        return _standard._default_context.get_all_start_methods()


publish([ForkContext, SpawnContext, ForkServerContext, DefaultContext])

_concrete_contexts: dict[str, Any] = {
    context._name: context for context in (ForkContext(), SpawnContext(), ForkServerContext())
}
_default_context = DefaultContext()


def _counterpart(context: Any) -> Any:
    """Return the drop-in's context for a standard one; one of somebody else's is its own."""
    return _concrete_contexts.get(context.get_start_method(), context)


def __getattr__(name: str) -> Any:
    """Return what else the standard module has."""
    return getattr(_standard, name)
