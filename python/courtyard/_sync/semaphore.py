"""``Semaphore`` and ``BoundedSemaphore``: permits among processes and threads."""

from __future__ import annotations

from courtyard import _native
from courtyard._object.name import without_none
from courtyard._object.object import Object

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any, Self


class Semaphore(Object, _native.Semaphore):
    """Permits among processes and threads, which come back when their holder dies.

    Like ``threading.Semaphore`` and ``multiprocessing.Semaphore``: ``acquire(blocking=True,
    timeout=None)`` takes a permit, ``release(n=1)`` gives n, ``with`` does both; ``get_value()``
    says how many are free. Any process may release: its own permits first, else one that another
    process holds. If one process releases a permit and another acquires it, as a signal, the
    permit is used up, and does not come back when a process dies.

    The permits of a killed process become free within some tenths of a second. ``recovered`` is
    then true in the process that gets one, until it has released all that it holds.

    Raises ValueError for a negative first value.

    >>> import courtyard as cy
    >>> s = cy.Semaphore(2)
    >>> with s:
    ...     s.get_value()
    1
    >>> s.release(3)
    >>> s.get_value()
    5
    """

    __slots__ = ()

    _bounded = False

    def __new__(cls, value: int = 1) -> Self:
        """Make a semaphore with ``value`` permits."""
        return super().__new__(cls, value, cls._bounded)

    @classmethod
    def _load(cls, address: Any) -> Any:
        return _native.Semaphore.__new__(cls, 0, cls._bounded, address)

    def locked(self) -> bool:
        """Say whether no permit is free just now: ``acquire`` would wait.

        >>> import courtyard as cy
        >>> cy.Semaphore(0).locked()
        True
        """
        return self.get_value() == 0

    def _state(self) -> str:
        limit = self._limit
        return f"value={self.get_value()}" + ("" if limit is None else f"/{limit}")


class BoundedSemaphore(Semaphore):
    """A Semaphore that never has more permits than at first: ``release`` raises ValueError.

    >>> import courtyard as cy
    >>> cy.BoundedSemaphore(1).release()
    Traceback (most recent call last):
    ValueError: Semaphore released too many times
    """

    __slots__ = ()

    _bounded = True

    @classmethod
    def _asked(cls, value: int | None = None) -> tuple[Any, ...]:
        return (value,)

    @classmethod
    def _filled(cls, initial: Any, options: Any) -> tuple[Any, Any]:
        return without_none(initial, options)

    def _details(self) -> tuple[Any, ...]:
        return (self._limit,)


_native.install(Semaphore)
