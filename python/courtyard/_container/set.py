"""``Set``: a set among processes and threads."""

from __future__ import annotations

from collections.abc import MutableSet
from collections.abc import Set as AbstractSet
from sys import _getframe

from courtyard._container.container import Container, Table
from courtyard._container.copy import deep
from courtyard._container.iteration import iterate
from courtyard._container.store import TableStore, showing

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Self

    from typing_extensions import TypeVar

    from courtyard._object.watch import Change, Watch

    _T = TypeVar("_T", default=Any)
    _Other = TypeVar("_Other")

    class _Store(TableStore[_T], MutableSet[_T]):
        """What it is registered as, below."""

else:
    _Store = TableStore


# How often elements are looked up beside others before these are locked out.
_MAX_ATTEMPTS = 30


class Set(Container, Table, _Store["_T"]):
    """A set among processes and threads.

    All of ``set``. Elements are the same if keys of a ``courtyard.Dict`` would be. Changes of many
    elements (``update``, ``|=``, ``-=``, ``clear``) are seen at once. What operators return is a
    plain ``set``. Iteration goes over a snapshot, in the order of insertion. Reading takes no lock.

    A killed process has changed it wholly or not at all.

    >>> import courtyard as cy
    >>> s = cy.Set("ab")
    >>> s.add("c"); s.discard("a")
    >>> sorted(s), "b" in s, s & {"c"}
    (['b', 'c'], True, {'c'})
    """

    __slots__ = ()

    if not TYPE_CHECKING:
        _store_contains = TableStore.__contains__

    def __init__(self, iterable: Iterable[_T] = (), /) -> None:
        """Fill it with the elements of an iterable, in place of those that are there."""
        if len(self):
            self.clear()
        self.update(iterable)

    @classmethod
    def _gathered(cls, iterable: Iterable[Any] = (), *rest: Any) -> tuple[Any, ...]:
        return (list(iterable), *rest)

    def add(self, element: _T, /) -> None:
        """Add an element, unless it is there.

        Atomic; waits while another holds ``get_lock()``. Raises TypeError for what cannot be hashed
        or pickled, and SpaceFull; then nothing has changed.

        >>> import courtyard as cy
        >>> s = cy.Set()
        >>> s.add("a"); s.add("a"); s
        <courtyard.Set: {'a'}>
        """
        self._put(element)

    def discard(self, element: _T, /) -> None:
        """Remove an element if it is there. Atomic; waits while another holds ``get_lock()``.

        >>> import courtyard as cy
        >>> s = cy.Set("ab")
        >>> s.discard("a"); s.discard("z"); s
        <courtyard.Set: {'b'}>
        """
        self._remove(_frozen(element))

    def remove(self, element: _T, /) -> None:
        """Remove an element. Raises KeyError if it is not there.

        Atomic: of many processes that call it, one removes the element. Waits while another holds
        ``get_lock()``.

        >>> import courtyard as cy
        >>> s = cy.Set("ab")
        >>> s.remove("a"); s
        <courtyard.Set: {'b'}>
        """
        if not self._remove(_frozen(element)):
            raise KeyError(element)

    def pop(self) -> _T:
        """Take out the element that was put in last, and return it. Raises KeyError if empty.

        Atomic: only one process gets it. If that is killed in the call, the element may be lost.
        Waits while another holds ``get_lock()``.

        >>> import courtyard as cy
        >>> cy.Set("ab").pop()
        'b'
        """
        return self._pop_last()

    def watch(self, keys: Iterable[_T] | None = None) -> Watch[set[_T], Change]:
        """Follow all elements, or those that are given: ``for element, there in s.watch()``.

        What it returns has a ``state``, the set as it is now, and gives each change after that as
        it comes: see ``courtyard.Watch``. The value of an element that was added is True, that of
        one that was removed ``courtyard.DELETED``. O(length), or O(keys).

        >>> import courtyard as cy
        >>> s = cy.Set("a")
        >>> changes = s.watch()
        >>> s.add("b"); s.discard("a")
        >>> changes.state, changes.get(), changes.get()
        ({'a'}, Change(key='b', value=True), Change(key='a', value=courtyard.DELETED))
        """
        from courtyard._object.watch import Elements

        return Elements(self, keys, set)

    def update(self, *others: Iterable[_T]) -> None:
        """Add the elements of all iterables in one change: all, or none.

        Holds ``get_lock()`` meanwhile. O(their number), whatever the length of the set. Raises what
        the iterables raise, TypeError for an element that cannot be hashed, SpaceFull; then nothing
        has changed. A process killed meanwhile has put in all of them, or none.

        >>> import courtyard as cy
        >>> s = cy.Set("a")
        >>> s.update("b", ["c", "d"]); len(s)
        4
        """
        self._exchange(dict.fromkeys(element for other in others for element in other), ())

    def _plain(self) -> set[_T]:
        return set(self._keys())

    def _present(self, elements: Iterable[Any]) -> list[Any]:
        """Return those of the elements that are here, as it was at one moment."""
        elements = list(elements)
        is_here = self._store_contains
        for _ in range(_MAX_ATTEMPTS):
            before = self.version
            found = list(filter(is_here, elements))
            if self.version == before:
                return found
        with self.get_lock():
            return list(filter(is_here, elements))

    def _has_all(self, elements: Any) -> bool:
        elements = set(_plain(elements))
        return len(self._present(elements)) == len(elements)

    def _common(self, other: Any) -> set[Any]:
        """Return what both have; of the larger one no more is read than the smaller one has."""
        if len(other) < len(self):
            return set(self._present(_plain(other)))
        mine = self._plain()
        if isinstance(other, Set):
            return set(other._present(mine))
        return mine & other  # type: ignore[no-any-return]

    def _exchange(self, come: Iterable[Any], gone: Iterable[Any]) -> None:
        """Put in what of ``come`` is not here, and take out what of ``gone`` is, at once."""
        if not come and not gone:
            return
        with self.get_lock():  # so that what is here now is so when the others come
            pairs = dict.fromkeys(element for element in come if element not in self)
            present = [element for element in gone if element in self]
            if pairs or present:
                self._change_all(pairs, present)

    def difference_update(self, *others: Iterable[Any]) -> None:
        """Remove the elements of all iterables in one change; holds ``get_lock()`` meanwhile.

        O(their number), whatever the length of the set.

        >>> import courtyard as cy
        >>> s = cy.Set("abc")
        >>> s.difference_update("ab"); s
        <courtyard.Set: {'c'}>
        """
        self._exchange((), set().union(*map(_plain, others)))

    def intersection_update(self, *others: Iterable[Any]) -> None:
        """Remove what is not in all iterables, in one change; holds ``get_lock()`` meanwhile.

        >>> import courtyard as cy
        >>> s = cy.Set("abc")
        >>> s.intersection_update("bcd", "cde"); s
        <courtyard.Set: {'c'}>
        """
        plain = [set(_plain(other)) for other in others]
        with self.get_lock():
            gone = self._plain().difference(set.intersection(*plain)) if plain else ()
            self._exchange((), gone)

    def symmetric_difference_update(self, other: Iterable[_T], /) -> None:
        """Add what is only in the other, and remove what is in both, in one change.

        Holds ``get_lock()`` meanwhile. O(length of the other), whatever that of the set.

        >>> import courtyard as cy
        >>> s = cy.Set("ab")
        >>> s.symmetric_difference_update("bc"); sorted(s)
        ['a', 'c']
        """
        plain = dict.fromkeys(_plain(other))
        self._exchange(plain, plain)

    def union(self, *others: Iterable[_Other]) -> set[_T | _Other]:
        """Return a plain set of all elements of all; O(length).

        >>> import courtyard as cy
        >>> sorted(cy.Set("ab").union("bc"))
        ['a', 'b', 'c']
        """
        return self._plain().union(*map(_plain, others))

    def intersection(self, *others: Iterable[Any]) -> set[_T]:
        """Return a plain set of the elements that are in all.

        >>> import courtyard as cy
        >>> cy.Set("ab").intersection("bc")
        {'b'}
        """
        if not others:
            return self._plain()
        first, *more = others
        if not _is_set(first):
            first = set(first)
        return self._common(first).intersection(*map(_plain, more))

    def difference(self, *others: Iterable[Any]) -> set[_T]:
        """Return a plain set of the elements that are in none of the others.

        >>> import courtyard as cy
        >>> cy.Set("ab").difference("bc")
        {'a'}
        """
        return self._plain().difference(*map(_plain, others))

    def symmetric_difference(self, other: Iterable[_Other], /) -> set[_T | _Other]:
        """Return a plain set of the elements that are in exactly one of the two.

        >>> import courtyard as cy
        >>> sorted(cy.Set("ab").symmetric_difference("bc"))
        ['a', 'c']
        """
        return self._plain().symmetric_difference(_plain(other))

    def isdisjoint(self, other: Iterable[Any], /) -> bool:
        """Say whether no element is in both.

        >>> import courtyard as cy
        >>> cy.Set("ab").isdisjoint("cd")
        True
        """
        if isinstance(other, Set) and len(other) > len(self):
            return not other._present(self._plain())
        return not self._present(_plain(other))

    def issubset(self, other: Iterable[Any], /) -> bool:
        """Say whether the other has all elements of this one.

        >>> import courtyard as cy
        >>> cy.Set("ab").issubset("abc")
        True
        """
        if isinstance(other, Set):
            return self <= other
        return self._plain().issubset(other)

    def issuperset(self, other: Iterable[Any], /) -> bool:
        """Say whether this one has all elements of the other.

        >>> import courtyard as cy
        >>> cy.Set("abc").issuperset("ab")
        True
        """
        return self._has_all(other)

    def __or__(self, other: AbstractSet[_Other]) -> set[_T | _Other]:
        """Return a plain set of the elements of both."""
        return self._plain() | _plain(other) if _is_set(other) else NotImplemented

    def __ror__(self, other: AbstractSet[_Other]) -> set[_T | _Other]:  # type: ignore[misc]
        """As the operator, of the other and this one."""
        return _plain(other) | self._plain() if _is_set(other) else NotImplemented

    def __and__(self, other: AbstractSet[Any]) -> set[_T]:
        """Return a plain set of the elements in both."""
        return self._common(other) if _is_set(other) else NotImplemented

    def __rand__(self, other: AbstractSet[Any]) -> set[_T]:
        """As the operator, of the other and this one."""
        if not _is_set(other):
            return NotImplemented
        common = self._common(other)
        return frozenset(common) if isinstance(other, frozenset) else common  # type: ignore[return-value]

    def __xor__(self, other: AbstractSet[_Other]) -> set[_T | _Other]:
        """Return a plain set of the elements in one of both."""
        return self._plain() ^ _plain(other) if _is_set(other) else NotImplemented

    def __rxor__(self, other: AbstractSet[_Other]) -> set[_T | _Other]:  # type: ignore[misc]
        """As the operator, of the other and this one."""
        return _plain(other) ^ self._plain() if _is_set(other) else NotImplemented

    def __sub__(self, other: AbstractSet[Any]) -> set[_T]:
        """Return a plain set of the elements that the other has not."""
        return self._plain() - _plain(other) if _is_set(other) else NotImplemented

    def __rsub__(self, other: AbstractSet[_Other]) -> set[_Other]:  # type: ignore[misc]
        """Return a plain set of the other's elements that are not here."""
        if not _is_set(other):
            return NotImplemented
        plain: set[_Other] = _plain(other)
        return plain - set(self._present(plain))

    def __ior__(self, other: AbstractSet[_T]) -> Self:  # type: ignore[misc,override]
        """Put in the elements of another set, at once."""
        if not _is_set(other):
            return NotImplemented
        self.update(_plain(other))
        return self

    def __iand__(self, other: AbstractSet[Any]) -> Self:
        """Take out what is not in another set, at once."""
        if not _is_set(other):
            return NotImplemented
        self.intersection_update(_plain(other))
        return self

    def __isub__(self, other: AbstractSet[Any]) -> Self:
        """Take out the elements of another set, at once."""
        if not _is_set(other):
            return NotImplemented
        self.difference_update(_plain(other))
        return self

    def __ixor__(self, other: AbstractSet[_T]) -> Self:  # type: ignore[misc,override]
        """Put in what is only in another set, take out what is in both, at once."""
        if not _is_set(other):
            return NotImplemented
        self.symmetric_difference_update(_plain(other))
        return self

    def __eq__(self, other: object) -> bool:
        """Say whether both have the same elements."""
        if not _is_set(other):
            return NotImplemented
        if isinstance(other, Set) and other._identity() == self._identity():
            return True
        return len(self) == len(other) and self._plain() == _plain(other)  # type: ignore[arg-type]

    def __le__(self, other: Any) -> bool:
        """Say whether the other has all elements of this one."""
        if not _is_set(other):
            return NotImplemented
        if len(self) > len(other):
            return False
        return other._has_all(self) if isinstance(other, Set) else self._plain() <= other

    def __lt__(self, other: Any) -> bool:
        """Say whether the other has all elements of this one, and more."""
        if not _is_set(other):
            return NotImplemented
        return len(self) < len(other) and self._plain() < _plain(other)

    def __ge__(self, other: Any) -> bool:
        """Say whether this one has all elements of the other."""
        return self._has_all(other) if _is_set(other) else NotImplemented

    def __gt__(self, other: Any) -> bool:
        """Say whether this one has all elements of the other, and more."""
        if not _is_set(other):
            return NotImplemented
        return len(self) > len(other) and self._has_all(other)

    def copy(self) -> set[_T]:
        """Return a plain set with all elements as they were at one moment; O(length).

        >>> import courtyard as cy
        >>> cy.Set("a").copy()
        {'a'}
        """
        return self._plain()

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        """Return a plain set of copies of all elements, for ``copy.deepcopy``."""
        return deep(self, memo, set(), set.update, self._keys)

    def __contains__(self, element: object) -> bool:
        """Say whether an element is here."""
        return self._store_contains(_frozen(element))

    def __iter__(self) -> Iterator[_T]:
        """Iterate over a snapshot, in the order of insertion; ``next(iter(s))`` reads one alone."""
        return iterate(len(self), self._keys, self._first_key, _getframe(1))

    def _content(self) -> str:
        elements = ", ".join(map(repr, showing(self._keys)))
        return f"{{{elements}}}" if elements else "set()"  # where ``{}`` is a dict

    __hash__ = None  # type: ignore[assignment]


def _plain(other: Any) -> Any:
    """Return a Set's elements as they were at one moment; anything else as it is."""
    return other.copy() if isinstance(other, Set) else other


def _is_set(other: object) -> bool:
    return isinstance(other, AbstractSet)


def _frozen(element: Any) -> Any:
    """Return what a plain set is looked up as, as in ``set``; anything else as it is."""
    return frozenset(_plain(element)) if isinstance(element, set | Set) else element


MutableSet.register(Set)
