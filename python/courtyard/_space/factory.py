"""The factories of ``multiprocessing.managers.SyncManager``, for objects that need no server."""

from __future__ import annotations

from courtyard._public import with_article

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from multiprocessing.pool import Pool as ProcessPool
    from typing import Any

    import courtyard

    _Callback = Callable[[], object] | None


class Factories:
    """What makes objects: with SyncManager's names and arguments, and a few more."""

    __slots__ = ()

    def _make(self, kind: str, *arguments: Any, **keywords: Any) -> Any:
        """Make an object of one of courtyard's classes where this makes them."""
        raise NotImplementedError

    def start(self, initializer: Any = None, initargs: Any = ()) -> None:
        """Do nothing: there is no server to start, hence none to initialize."""

    def shutdown(self) -> None:
        """Do nothing: there is no server to end."""

    def dict(self, *args: Any, **kwargs: Any) -> courtyard.Dict[Any, Any]:
        """Make a Dict, filled as ``dict`` is."""
        return self._make("Dict", *args, **kwargs)  # type: ignore[no-any-return]

    def list(self, iterable: Iterable[Any] = (), /) -> courtyard.List[Any]:
        """Make a List of the values of an iterable."""
        return self._make("List", iterable)  # type: ignore[no-any-return]

    def deque(
        self, iterable: Iterable[Any] = (), maxlen: int | None = None
    ) -> courtyard.Deque[Any]:
        """Make a Deque of the values of an iterable, of at most ``maxlen``."""
        return self._make("Deque", iterable, maxlen)  # type: ignore[no-any-return]

    def set(self, iterable: Iterable[Any] = (), /) -> courtyard.Set[Any]:
        """Make a Set of the elements of an iterable."""
        return self._make("Set", iterable)  # type: ignore[no-any-return]

    def Counter(self, iterable: Any = None, /, **kwargs: int) -> courtyard.Counter[Any]:
        """Make a Counter, filled as ``collections.Counter`` is."""
        return self._make("Counter", iterable, **kwargs)  # type: ignore[no-any-return]

    def Namespace(self, /, **attributes: Any) -> courtyard.Namespace:
        """Make a Namespace with these attributes."""
        return self._make("Namespace", **attributes)  # type: ignore[no-any-return]

    def Value(self, typecode: Any, *args: Any, lock: Any = True) -> courtyard.Value[Any]:
        """Make a Value."""
        return self._make("Value", typecode, *args, lock=lock)  # type: ignore[no-any-return]

    def Array(
        self, typecode: Any, sequence: Any = None, *, lock: Any = True, shape: Any = None
    ) -> courtyard.Array[Any]:
        """Make an Array from a sequence, or with so many elements."""
        return self._make("Array", typecode, sequence, lock=lock, shape=shape)  # type: ignore[no-any-return]

    def Queue(self, maxsize: int = 0, *, maxbytes: int | None = None) -> courtyard.Queue[Any]:
        """Make a Queue of at most ``maxsize`` items and ``maxbytes`` bytes."""
        return self._make("Queue", maxsize, maxbytes=maxbytes)  # type: ignore[no-any-return]

    def JoinableQueue(
        self, maxsize: int = 0, *, maxbytes: int | None = None
    ) -> courtyard.JoinableQueue[Any]:
        """Make a JoinableQueue of at most ``maxsize`` items and ``maxbytes`` bytes."""
        return self._make("JoinableQueue", maxsize, maxbytes=maxbytes)  # type: ignore[no-any-return]

    def Lock(self) -> courtyard.Lock:
        """Make a Lock."""
        return self._make("Lock")  # type: ignore[no-any-return]

    def RLock(self) -> courtyard.RLock:
        """Make an RLock."""
        return self._make("RLock")  # type: ignore[no-any-return]

    def Semaphore(self, value: int = 1) -> courtyard.Semaphore:
        """Make a Semaphore with ``value`` permits."""
        return self._make("Semaphore", value)  # type: ignore[no-any-return]

    def BoundedSemaphore(self, value: int = 1) -> courtyard.BoundedSemaphore:
        """Make a BoundedSemaphore with ``value`` permits."""
        return self._make("BoundedSemaphore", value)  # type: ignore[no-any-return]

    def Condition(self, lock: Any = None) -> courtyard.Condition:
        """Make a Condition on ``lock``, or on an RLock of its own."""
        return self._make("Condition", lock)  # type: ignore[no-any-return]

    def Event(self) -> courtyard.Event:
        """Make an Event."""
        return self._make("Event")  # type: ignore[no-any-return]

    def Barrier(
        self, parties: int, action: _Callback = None, timeout: float | None = None
    ) -> courtyard.Barrier:
        """Make a Barrier of so many parties."""
        return self._make("Barrier", parties, action, timeout)  # type: ignore[no-any-return]

    def Pool(
        self,
        processes: int | None = None,
        initializer: Any = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
    ) -> ProcessPool:
        """Make multiprocessing's own pool of processes."""
        import multiprocessing

        return multiprocessing.Pool(processes, initializer, initargs, maxtasksperchild)


def factory_of(title: str) -> str:
    """Return what makes an object of the type with this name in a space."""
    made = with_article(title)
    for name in (title, title.lower()):
        if hasattr(Factories, name):
            return f"space.{name}() makes {made}"
    if title.startswith("Raw"):
        return f"space.{title.removeprefix('Raw')}(..., lock=False) makes {made}"
    return (
        f"space.named(name, courtyard.{title}) makes {made} with a name; after del space[name] "
        "it has none, and lives as long as it is stored or anybody has it"
    )
