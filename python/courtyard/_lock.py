"""``Lock``: mutual exclusion among processes and threads."""

from __future__ import annotations

from courtyard import _native

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any

    from courtyard._statistics import ObjectStatistics


class Lock(_native.Mutex):
    """A lock among processes and threads that death releases.

    Like ``threading.Lock`` and ``multiprocessing.Lock``: ``acquire(blocking=True, timeout=-1)``
    (``block`` is another name of the first), ``release()``, ``locked()``, ``with``. Not
    recursive. Any thread of any process may release it.

    When its holder is killed the next to acquire it gets it, about a millisecond after the
    kernel has taken the dead process apart, at most a tenth of a second later; ``recovered`` is
    then true until that one releases it, for it to look after what the dead one left half done.

    Raises RuntimeError when released while free, ValueError for a timeout that makes no sense.

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

    def __repr__(self) -> str:
        """Say what it is and whether it is held."""
        if self._closed:
            return "<courtyard.Lock, closed>"
        return f"<courtyard.Lock, {'locked' if self.locked() else 'unlocked'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Send a handle: loading it opens the same lock."""
        return _rebuild, (self._address(),)

    def statistics(self) -> ObjectStatistics:
        """Return the lock's and its space's figures; O(space)."""
        from courtyard._statistics import object_statistics

        return object_statistics(self, "Lock")

    def check(self) -> None:
        """Raise CorruptError if the lock's space contradicts itself; O(space)."""
        self._figures()


def _rebuild(address: Any) -> Lock:
    return _native.Mutex.__new__(Lock, address)  # type: ignore[return-value]


_native.install(Lock)
