"""``Deque``: a ``collections.deque`` among processes and threads."""

from __future__ import annotations

from collections import deque
from collections.abc import MutableSequence

from courtyard._container.sequence import Sequence, _listed
from courtyard._container.store import DequeStore, install

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Self

    from typing_extensions import TypeVar

    _T = TypeVar("_T", default=Any)

    class _Store(DequeStore[_T], MutableSequence[_T]):  # type: ignore[misc]
        """What it is registered as, below."""

        maxlen: int | None

else:
    _Store = DequeStore


class Deque(_Store["_T"], Sequence["_T"]):  # type: ignore[misc]
    """A ``collections.deque`` among processes and threads.

    All of ``collections.deque``. Adding a value to a deque with ``maxlen`` values removes one at
    the other end; ``maxlen`` can be set later, too. **Values are copies**, as in
    ``courtyard.Dict``. ``copy()``, ``+`` and ``*`` return a plain deque.

    Reading takes no lock. Each call is one change, seen whole: ``extend`` and ``rotate`` too.
    Iteration goes over a snapshot and never raises for a change by others. ``get_lock()`` keeps
    all other writers out for more than one call. To wait for a value, use ``courtyard.Queue``.

    Both ends, and any index, cost the same however long it is.

    Beyond ``deque``: ``edit``, ``get_lock``, ``wait_for``, ``version``.

    A killed process has done a call wholly or not at all; what a call that returned has stored
    stays. Its lock is free again.

    >>> import courtyard as cy
    >>> d = cy.Deque("abc", maxlen=3)
    >>> d.append("d")
    >>> d.popleft(), d[0], d
    ('b', 'c', <courtyard.Deque: deque(['c', 'd'], maxlen=3)>)
    """

    __slots__ = ()
    _changes = True

    def __new__(cls, iterable: Iterable[_T] = (), maxlen: int | None = None) -> Self:
        """Make an empty one; ``__init__`` fills it."""
        return DequeStore.__new__(cls, maxlen)

    def __init__(self, iterable: Iterable[_T] = (), maxlen: int | None = None) -> None:
        """Fill it with the values of an iterable, in place of those that are there.

        >>> import courtyard as cy
        >>> cy.Deque(range(5), maxlen=2)
        <courtyard.Deque: deque([3, 4], maxlen=2)>
        """
        if not self._is_made():
            super().__init__(iterable, maxlen)
            return
        if self.maxlen != maxlen:
            self.maxlen = maxlen
        values = list(iterable)
        if len(self):
            self.clear()
        if values:
            self._extend(values, False)

    @classmethod
    def _load(cls, address: Any) -> Any:
        return DequeStore.__new__(cls, None, address)

    @classmethod
    def _asked(cls, iterable: Any = (), maxlen: int | None = None) -> tuple[Any, ...]:
        return (maxlen,)

    def _details(self) -> tuple[Any, ...]:
        return (self.maxlen,)

    @classmethod
    def _remedy(cls, asked: tuple[Any, ...], found: tuple[Any, ...]) -> str:
        return f"open it without maxlen and set its maxlen to {asked[0]}, "

    def copy(self) -> deque[_T]:
        """Return a plain deque with all values as they were at one moment; O(length).

        >>> import courtyard as cy
        >>> cy.Deque("ab").copy()
        deque(['a', 'b'])
        """
        return deque(self._values(), self.maxlen)

    def _empty(self) -> deque[Any]:
        return deque(maxlen=self.maxlen)

    def extendleft(self, iterable: Iterable[_T], /) -> None:
        """Put all values of an iterable at the front, one before the other, at once: all, or none.

        Otherwise like ``extend``. As collections.deque.extendleft.

        >>> import courtyard as cy
        >>> d = cy.Deque("c")
        >>> d.extendleft("ba")
        >>> "".join(d)
        'abc'
        """
        self._extend(_listed(iterable), True)

    def index(self, value: _T, start: int = 0, stop: int = 2**63 - 1, /) -> int:
        """Return the first index of an equal value; O(index). Raises ValueError if there is none.

        >>> import courtyard as cy
        >>> cy.Deque("abcb").index("b", 2)
        3
        """
        place, _ = self._find(value, start, stop)
        return self._empty().index(value) if place is None else place

    def _is_like(self, other: object) -> bool:
        return isinstance(other, Deque | deque)


MutableSequence.register(Deque)
install(Deque)
