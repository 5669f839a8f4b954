"""``Condition``: waiting, with a lock given up, until another notifies."""

from __future__ import annotations

from courtyard import _native
from courtyard._error import NotOwned, WrongType
from courtyard._object.name import quoted
from courtyard._object.object import Object, seconds
from courtyard._object.subclass import closed
from courtyard._public import title_of
from courtyard._sync.lock import Lock, RLock

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    _T = TypeVar("_T")


class Condition(Object, _native.Condition):
    """A condition variable among processes and threads.

    Like ``threading.Condition`` and ``multiprocessing.Condition``, on a ``Lock`` or an ``RLock``
    (a new one if none is given): ``acquire``, ``release`` and ``with`` are the lock's;
    ``wait(timeout=None)`` gives the lock up, sleeps until notified, and takes it again;
    ``wait_for(predicate, timeout=None)``; ``notify(n=1)`` and ``notify_all()``. A notification
    wakes the oldest waiters, never one that begins to wait after it.

    A waiter that is killed no longer waits, and a notification given to it goes to another. A
    killed notifier has notified completely or not at all. The lock of a killed holder is free.

    Raises RuntimeError in ``wait`` and ``notify`` without the lock.

    >>> import courtyard as cy
    >>> ready = cy.Condition()
    >>> with ready:
    ...     ready.notify_all()
    ...     ready.wait(timeout=0.01)
    False
    """

    __slots__ = {
        "_lock": None,
        "acquire": "Acquire the condition's lock, as that does.",
        "release": "Release the condition's lock, as that does.",
    }

    _lock: Lock | RLock
    acquire: Callable[..., bool]
    release: Callable[[], None]

    def __new__(cls, lock: Lock | RLock | None = None) -> Condition:
        """Make a condition on ``lock``, or on an RLock of its own."""
        return super().__new__(cls)._on(RLock() if lock is None else lock)  # type: ignore[attr-defined,no-any-return]

    def _on(self, lock: Any) -> Condition:
        for name in ("acquire", "release", "__enter__", "__exit__", "__reduce__"):
            if not hasattr(lock, name):
                raise TypeError(f"expected a courtyard.Lock or RLock, found {lock!r}")
        self._lock = lock
        self.acquire, self.release = lock.acquire, lock.release
        return self

    @classmethod
    def _load(cls, address: Any) -> Any:
        handle, lock = address
        return _native.Condition.__new__(cls, handle)._on(lock)  # type: ignore[attr-defined]

    @classmethod
    def _unmade(cls, address: Any) -> Any:
        return cls._load((address, RLock._unmade(address)))

    @classmethod
    def _asked(cls, lock: Any = None) -> tuple[Any, ...]:
        return (None if lock is None else title_of(type(lock)),)

    def _details(self) -> tuple[Any, ...]:
        return (title_of(type(self._lock)),)

    @classmethod
    def _companion(cls, made: Any) -> Any:
        """Return the lock, which goes with the name."""
        return made._lock

    @classmethod
    def _arrive(cls, details: Any, address: Any, companion: Any, initial: Any, options: Any) -> Any:
        """Open it with its lock: the one that it was made with, for all programs."""
        lock = {"Lock": Lock, "RLock": RLock}[details[0]]._load(companion)
        loaded: Condition = cls._load((address, lock))
        given = next(iter((*initial, *options.values())), None)
        if given is not None and not _native.same_object(given, lock):
            raise WrongType(
                "this condition was made with another lock than the one that is given: give "
                "none, or the same one"
            )
        return loaded

    def _parts(self, handle: Any) -> tuple[Any, ...]:
        return ((handle, self._lock),)

    def __repr__(self) -> str:
        """Say what it is, how its lock stands, and how many wait."""
        waiters = closed(self) if self._closed else self._waiters
        name = quoted(self)
        return f"<courtyard.{type(self).__name__}{name}({self._lock!r}, {waiters})>"

    def __enter__(self) -> bool:
        """Acquire the lock."""
        return self._lock.__enter__()

    def __exit__(self, *exception: object) -> None:
        """Release the lock."""
        self._lock.__exit__(*exception)

    def locked(self) -> bool:
        """Say whether any process or thread holds the lock."""
        return self._lock.locked()

    def _is_owned(self) -> bool:
        if isinstance(self._lock, _native.RLock):
            return self._lock._is_owned()
        # As threading has it: whether anybody holds it, for a lock that does not know its owner.
        if self._lock.acquire(False):
            self._lock.release()
            return False
        return True

    def _recursion_count(self) -> int:
        return self._lock._recursion_count()  # type: ignore[union-attr]

    def _release_save(self) -> Any:
        if isinstance(self._lock, _native.RLock):
            return self._lock._release_save()
        return self._lock.release()

    def _acquire_restore(self, saved: Any) -> None:
        if isinstance(self._lock, _native.RLock):
            self._lock._acquire_restore(saved)
        elif isinstance(self._lock, _native.Lock):
            self._lock._acquire_restore()
        else:
            self._lock.acquire()

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock up, sleep until notified, take the lock again; return whether notified.

        False after ``timeout`` seconds, with the lock held again as in every case. Ctrl-C works
        while asleep, and is raised with the lock held; so while the lock is taken again, Ctrl-C
        waits for it. If one that was notified is killed before it wakes, another is woken in its
        place. Raises RuntimeError without the lock.
        """
        if not self._is_owned():
            raise NotOwned("cannot wait on un-acquired lock")
        lock: Any = self._lock
        # The lock's own: a signal handler may raise in any function of Python's, so also between
        # the lock's release and the function's end.
        if isinstance(lock, _native.RLock):
            return self._wait(lock._release_save, lock._acquire_restore, timeout)
        if isinstance(lock, _native.Lock):
            return self._wait(lock.release, lock._acquire_restore, timeout)
        return self._wait(self._release_save, self._acquire_restore, timeout)

    def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T:
        """Wait until ``predicate()`` is true; return its last result.

        As threading has it: the predicate is called with the lock held, at once and after each
        notification, until ``timeout`` seconds have passed.
        """
        from time import monotonic

        timeout = seconds(timeout)
        end = None if timeout is None else monotonic() + timeout
        result = predicate()
        while not result:
            left = None if end is None else end - monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    def notify(self, n: int = 1) -> None:
        """Wake up to n of the present waiters. Raises RuntimeError without the lock."""
        if not self._is_owned():
            raise NotOwned("cannot notify on un-acquired lock")
        self._notify(n)

    def notify_all(self) -> None:
        """Wake all present waiters. Raises RuntimeError without the lock."""
        self.notify(1 << 62)
