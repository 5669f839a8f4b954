"""``List``: a list among processes and threads."""

from __future__ import annotations

from collections.abc import MutableSequence

from courtyard._container.sequence import Sequence
from courtyard._container.store import ListStore, install

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Self, SupportsIndex

    from typing_extensions import TypeVar

    from courtyard._object.watch import Watch

    _T = TypeVar("_T", default=Any)

    class _Store(ListStore[_T], MutableSequence[_T]):
        """What it is registered as, below."""

else:
    _Store = ListStore


class List(_Store["_T"], Sequence["_T"]):
    """A list among processes and threads.

    All of ``list``: slices and their assignment, ``sort`` with a key, comparison. **Values are
    copies**, as in ``courtyard.Dict``: ``x[0].append(1)`` changes a copy; store the changed value
    again. What slices, ``copy()``, ``+`` and ``*`` return is a plain list.

    Reading takes no lock. Each call is one change, seen whole: ``extend``, ``x[1:3] = values``,
    ``sort``, ``*=`` and ``clear`` too. Iteration goes over a snapshot and never raises for a
    change by others. ``get_lock()`` keeps all other writers out for more than one call.

    ``append``, ``pop()``, ``pop(0)`` and ``insert(0, value)`` cost the same however long it is. A
    change in the middle moves the references from there to the nearer end.

    Beyond ``list``: ``edit``, ``get_lock``, ``wait_for``, ``version``.

    A killed process has done a call wholly or not at all; what a call that returned has stored
    stays. Its lock is free again.

    >>> import courtyard as cy
    >>> x = cy.List([3, 1])
    >>> x.append("a"); x[:2] = [1, 2, 3]
    >>> x
    <courtyard.List: [1, 2, 3, 'a']>
    >>> x.pop(), x[-1], len(x), x[::2]
    ('a', 3, 3, [1, 3])
    """

    __slots__ = ()
    _made_empty = True

    def __new__(cls, /, *_arguments: Any, **_keywords: Any) -> Self:
        """Make an empty one; ``__init__`` fills it."""
        return ListStore.__new__(cls)

    def __init__(self, iterable: Iterable[_T] = (), /) -> None:
        """Fill it with the values of an iterable, in place of those that are there."""
        values = list(iterable)
        if len(self):
            self[:] = values
        elif values:
            self._extend(values, False)

    @classmethod
    def _load(cls, address: Any) -> Any:
        return ListStore.__new__(cls, address)

    def copy(self) -> list[_T]:
        """Return a plain list with all values as they were at one moment; O(length).

        >>> import courtyard as cy
        >>> cy.List("ab").copy()
        ['a', 'b']
        """
        return self._values()

    def watch(self) -> Watch[list[_T], list[_T]]:
        """Follow the list: each change gives all of it, as a plain list.

        What it returns has a ``state``, the list as it is now: see ``courtyard.Watch``. O(length)
        for each change that is taken.

        >>> import courtyard as cy
        >>> x = cy.List("ab")
        >>> states = x.watch()
        >>> x.append("c")
        >>> states.state, states.get()
        (['a', 'b'], ['a', 'b', 'c'])
        """
        from courtyard._object.watch import States

        return States(self, self.copy)

    def index(self, value: _T, start: SupportsIndex = 0, stop: SupportsIndex = 2**63 - 1, /) -> int:
        """Return the first index of an equal value; O(index). Raises ValueError if there is none.

        >>> import courtyard as cy
        >>> cy.List("abcb").index("b", 2)
        3
        """
        place, _ = self._find(value, start, stop)
        return self._empty().index(value) if place is None else place

    def sort(self, *, key: Callable[[_T], Any] | None = None, reverse: bool = False) -> None:
        """Sort it, stably, in one change.

        Keys are computed and compared on a copy, without a lock, and again if another writer
        changes the list in between; after 4 such attempts, ``get_lock()`` is held for the next.
        Raises what the key function and comparisons raise, and ValueError if these change the list
        each time; then it is not sorted. Others see it as it was, or sorted. As list.sort.

        >>> import courtyard as cy
        >>> x = cy.List(["bb", "a", "ccc"])
        >>> x.sort(key=len, reverse=True)
        >>> x.copy()
        ['ccc', 'bb', 'a']
        """

        def attempt() -> bool:
            values, moment = self._look()
            keys: list[Any] = values if key is None else list(map(key, values))
            places = sorted(range(len(values)), key=keys.__getitem__, reverse=reverse)
            if places == list(range(len(values))):
                return self._look()[1] == moment if key is not None else True
            return self._keep(moment, places)

        self._insist(attempt, ValueError("list modified during sort"))

    def _is_like(self, other: object) -> bool:
        return isinstance(other, List | list)


MutableSequence.register(List)
install(List)
