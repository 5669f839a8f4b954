"""``Lock`` and ``RLock``: mutual exclusion among processes and threads."""

from __future__ import annotations

from courtyard import _native
from courtyard._object.name import quoted
from courtyard._object.object import Object
from courtyard._object.subclass import closed

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any


def _represent(lock: Any, more: str = "") -> str:
    what = f"courtyard.{type(lock).__name__}{quoted(lock)} object{more} at {id(lock):#x}"
    if lock._closed:
        return f"<{closed(lock)} {what}>"
    return f"<{'locked' if lock.locked() else 'unlocked'} {what}>"


class Lock(Object, _native.Lock):
    """A lock among processes and threads that death releases.

    Like ``threading.Lock`` and ``multiprocessing.Lock``: ``acquire(blocking=True, timeout=-1)``
    (``block`` is another name of the first), ``release()``, ``locked()``, ``with``. Not
    recursive. Any thread of any process may release it.

    The first thread to ask gets a free lock. But once a waiter has waited for 4 ms and has run
    again, each other thread gets the lock at most twice before that waiter does, even if it
    acquires the lock again and again without a pause. (That holds for up to 31 waiters at a time.
    Waiters that are killed or stopped may delay the others by a tenth of a second for each of two
    batches.) Until such a waiter has got the lock, ``acquire(blocking=False)`` returns False even
    if the lock is free at that moment.

    When its holder is killed, the next thread that acquires the lock gets it, about a millisecond
    after the kernel has removed the dead process, at most a tenth of a second later (later if
    waiters are many, and some of them die with it). ``recovered`` is then true until the new
    holder releases the lock: what the lock protects may be half changed.

    Raises RuntimeError when released while free, ValueError for an invalid timeout.

    >>> import courtyard as cy
    >>> lock = cy.Lock()
    >>> with lock:
    ...     lock.locked(), lock.recovered
    (True, False)
    >>> lock.acquire(timeout=0.1)
    True
    >>> lock.acquire(blocking=False)
    False
    >>> lock.release()
    """

    __slots__ = ()

    def __new__(cls) -> Lock:
        """Make a lock, free at first."""
        return super().__new__(cls)  # type: ignore[return-value]

    @classmethod
    def _load(cls, address: Any) -> Any:
        return _native.Lock.__new__(cls, address)

    def __repr__(self) -> str:
        """Say what it is and whether it is held."""
        return _represent(self)


class RLock(Object, _native.RLock):
    """A recursive lock among processes and threads, owned by a thread of a process.

    Like ``threading.RLock`` and ``multiprocessing.RLock``: the thread that holds it may acquire
    it again, and it is free when that thread has released it as often. ``acquire``, ``release``,
    ``locked()`` and ``with`` as those of ``Lock``, with the same bound for waiters.

    When its holder is killed it is free at once, all levels; ``recovered`` is then true for the
    next holder until that one has released it. A forked child holds none of its parent's locks.

    Raises RuntimeError when released by a thread that does not hold it.

    >>> import courtyard as cy
    >>> lock = cy.RLock()
    >>> with lock, lock:
    ...     lock.locked()
    True
    >>> lock.locked()
    False
    """

    __slots__ = ()

    def __new__(cls) -> RLock:
        """Make a lock, free at first."""
        return super().__new__(cls)  # type: ignore[return-value]

    @classmethod
    def _load(cls, address: Any) -> Any:
        return _native.RLock.__new__(cls, address)

    def __repr__(self) -> str:
        """Say what it is, whether it is held, and how often by this thread."""
        return _represent(self, "" if self._closed else f" count={self._levels()}")


_native.install(Lock)
_native.install(RLock)
