"""``Counter``: counts among processes and threads."""

from __future__ import annotations

import collections
import operator
from collections.abc import Mapping

from courtyard._container.copy import deep
from courtyard._container.dict import Dict

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Self, overload

    from _typeshed import SupportsKeysAndGetItem
    from typing_extensions import TypeVar

    from courtyard._object.watch import Change, Watch

    _T = TypeVar("_T", default=Any)


class Counter(Dict["_T", int]):
    """Counts among processes and threads: ``collections.Counter``.

    ``c[x]`` is 0 for what was never counted. ``update`` and ``subtract`` count all of their
    argument at once; ``increment`` counts one thing, exactly, beside any number of others, where
    ``c[x] += 1`` is two operations. What operators return is a plain ``collections.Counter``.

    >>> import courtyard as cy
    >>> c = cy.Counter("abracadabra")
    >>> c.most_common(2), c["z"]
    ([('a', 5), ('b', 2)], 0)
    >>> c.update("aa"); c.increment("a"), c.total()
    (8, 14)
    """

    __slots__ = ()

    if TYPE_CHECKING:  # what it counts says what its keys are

        @overload
        def __init__(self, iterable: None = None, /) -> None: ...
        @overload
        def __init__(self: Counter[str], iterable: None = None, /, **kwargs: int) -> None: ...
        @overload
        def __init__(self, mapping: SupportsKeysAndGetItem[_T, int], /) -> None: ...
        @overload
        def __init__(self, iterable: Iterable[_T], /) -> None: ...
        @overload
        def __init__(self: Counter[str], iterable: Iterable[str], /, **kwargs: int) -> None: ...
        def __init__(self, iterable: Any = None, /, **kwargs: int) -> None: ...

    else:

        def __init__(self, iterable=None, /, **kwargs):
            """Count the elements of an iterable, or take the counts of a mapping, and keywords."""
            if len(self):  # it is called again: counts are added, as in collections
                self.update(iterable, **kwargs)
            elif counted := _counted(iterable, kwargs):
                self._change_all(counted, [])

    @classmethod
    def _gathered(cls, *initial: Any) -> tuple[Any, ...]:
        return (_counted(initial[0], {}),) if len(initial) == 1 else initial

    def __missing__(self, key: Any) -> int:
        """Return 0: what was never counted."""
        return 0

    @classmethod
    def fromkeys(cls, iterable: Iterable[Any], v: Any = None) -> Any:
        """Raise NotImplementedError, as in collections: Counter(iterable) counts."""
        return collections.Counter.fromkeys(iterable, v)

    def update(self, iterable: Any = None, /, **kwargs: int) -> None:
        """Add the counts of an iterable or a mapping, and the keywords, at once: all, or none.

        Atomic: of any number of processes no count is lost. Waits while another holds
        ``get_lock()``, and holds it itself where some counts are no ints. Raises what the argument
        and the additions raise, and SpaceFull; then nothing has changed. A process killed meanwhile
        has added all, or none. As collections.Counter.update.

        >>> import courtyard as cy
        >>> c = cy.Counter("ab")
        >>> c.update("aa", z=5); c["a"], c["z"]
        (3, 5)
        """
        counted = _counted(iterable, kwargs)
        if counted:
            self._add_all(counted, False)

    def subtract(self, iterable: Any = None, /, **kwargs: int) -> None:
        """Subtract the counts of an iterable or a mapping; otherwise like ``update``.

        >>> import courtyard as cy
        >>> c = cy.Counter("ab")
        >>> c.subtract("aa"); c["a"]
        -1
        """
        counted = _counted(iterable, kwargs)
        if counted:
            self._add_all(counted, True)

    def set_many(self, mapping: Any, /) -> None:
        """Store the counts of many keys in one change, whatever they were."""
        self._change_all(dict(_plain(mapping)), [])

    def copy(self) -> collections.Counter[_T]:
        """Return a plain Counter with all counts as they were at one moment."""
        made: collections.Counter[_T] = collections.Counter()
        dict.update(made, self._copied())
        return made

    def watch(  # type: ignore[override]
        self, keys: Iterable[_T] | None = None
    ) -> Watch[collections.Counter[_T], Change]:
        """Follow all counts, or those of the keys that are given, as ``Dict.watch`` does.

        >>> import courtyard as cy
        >>> c = cy.Counter("aab")
        >>> changes = c.watch()
        >>> c.update("b")
        >>> changes.state, changes.get()
        (Counter({'a': 2, 'b': 1}), Change(key='b', value=2))
        """
        from courtyard._object.watch import Keys

        return Keys(self, keys, collections.Counter)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        """Return a plain Counter with copies of all that is in it, for ``copy.deepcopy``."""
        return deep(self, memo, collections.Counter(), dict.update, self._items)

    def elements(self) -> Iterator[_T]:
        """Iterate over each thing as often as it was counted."""
        return self.copy().elements()

    def most_common(self, n: int | None = None) -> list[tuple[_T, int]]:
        """Return the n things counted most, and how often, at one moment; all if n is None.

        >>> import courtyard as cy
        >>> cy.Counter("abcaa").most_common(1)
        [('a', 3)]
        """
        return self.copy().most_common(n)

    def total(self) -> int:
        """Return the sum of all counts, at one moment.

        >>> import courtyard as cy
        >>> cy.Counter("abc").total()
        3
        """
        return sum(self.values())

    def __delitem__(self, key: Any) -> None:
        """Forget a count, if there is one."""
        self._remove(key)

    def __add__(self, other: Any) -> collections.Counter[Any]:
        """Return a plain Counter of the sums that are positive."""
        return self.copy().__add__(_plain(other))

    def __radd__(self, other: Any) -> collections.Counter[Any]:
        """Return a plain Counter of the sums that are positive."""
        return _plain(other).__add__(self.copy()) if _is_counter(other) else NotImplemented

    def __sub__(self, other: Any) -> collections.Counter[Any]:
        """Return a plain Counter of the differences that are positive."""
        return self.copy().__sub__(_plain(other))

    def __rsub__(self, other: Any) -> collections.Counter[Any]:
        """Return a plain Counter of the differences that are positive."""
        return _plain(other).__sub__(self.copy()) if _is_counter(other) else NotImplemented

    def __or__(self, other: Any) -> collections.Counter[Any]:  # type: ignore[override]
        """Return a plain Counter of the larger counts; with a plain dict, what ``dict`` gives."""
        return self.copy() | _plain(other) if _is_mapping(other) else NotImplemented

    def __ror__(self, other: Any) -> collections.Counter[Any]:  # type: ignore[override]
        """Return a plain Counter of the larger counts; with a plain dict, what ``dict`` gives."""
        return _plain(other) | self.copy() if _is_mapping(other) else NotImplemented

    def __and__(self, other: Any) -> collections.Counter[Any]:
        """Return a plain Counter of the smaller counts."""
        return self.copy().__and__(_plain(other))

    def __rand__(self, other: Any) -> collections.Counter[Any]:
        """Return a plain Counter of the smaller counts."""
        return _plain(other).__and__(self.copy()) if _is_counter(other) else NotImplemented

    def __xor__(self, other: Any) -> collections.Counter[Any]:
        """Return a plain Counter of the absolute differences that are not 0.

        >>> import courtyard as cy
        >>> cy.Counter(a=5, b=3) ^ cy.Counter(a=1, b=3, c=2)
        Counter({'a': 4, 'c': 2})
        """
        return _differences(self.copy(), _plain(other)) if _is_counter(other) else NotImplemented

    def __rxor__(self, other: Any) -> collections.Counter[Any]:
        """Return a plain Counter of the absolute differences that are not 0."""
        if not _is_counter(other):
            return NotImplemented
        return _differences(_plain(other).copy(), self.copy())

    def __pos__(self) -> collections.Counter[_T]:
        """Return a plain Counter of the counts that are positive."""
        return +self.copy()

    def __neg__(self) -> collections.Counter[_T]:
        """Return a plain Counter of the counts below zero, without their sign."""
        return -self.copy()

    def _become(self, operate: Any, other: Any) -> Self:
        """Change it in place as collections.Counter does, with any mapping, at once."""
        other = _plain(other)
        with self.get_lock():
            old = self.copy()
            new = operate(old.copy(), other)
            changed = {key: count for key, count in new.items() if old.get(key) is not count}
            self._change_all(changed, [key for key in old if key not in new])
        return self

    def __iadd__(self, other: Any) -> Self:
        """Add the counts of a mapping, and keep those that are positive, at once."""
        return self._become(operator.iadd, other)

    def __isub__(self, other: Any) -> Self:
        """Take the counts of a mapping off, and keep those that are positive, at once."""
        return self._become(operator.isub, other)

    def __ior__(self, other: Any) -> Self:  # type: ignore[override]
        """Keep the larger counts of it and a mapping, at once."""
        return self._become(operator.ior, other)

    def __iand__(self, other: Any) -> Self:
        """Keep the smaller counts of it and a mapping, at once."""
        return self._become(operator.iand, other)

    def __ixor__(self, other: Any) -> Self:
        """Keep the absolute differences of it and a mapping that are not 0, at once."""
        return self._become(_differences, other)

    def __eq__(self, other: object) -> bool:
        """Compare counts; what is missing counts as 0."""
        if _is_counter(other):
            return self.copy() == _plain(other)  # type: ignore[no-any-return]
        return Dict.__eq__(self, other)

    def __le__(self, other: Any) -> bool:
        """Say whether no count is larger than the other's."""
        return self.copy().__le__(_plain(other))

    def __lt__(self, other: Any) -> bool:
        """Say whether no count is larger than the other's, and some are smaller."""
        return self.copy().__lt__(_plain(other))

    def __ge__(self, other: Any) -> bool:
        """Say whether no count is smaller than the other's."""
        return self.copy().__ge__(_plain(other))

    def __gt__(self, other: Any) -> bool:
        """Say whether no count is smaller than the other's, and some are larger."""
        return self.copy().__gt__(_plain(other))

    __hash__ = None


def _plain(other: Any) -> Any:
    """Return a shared Counter's content as it was at one moment; anything else as it is."""
    return other.copy() if isinstance(other, Counter) else other


def _differences(counter: collections.Counter[Any], other: Any) -> collections.Counter[Any]:
    """Do what ``counter ^= other`` does: collections.Counter has it from Python 3.15 on."""
    for key, count in counter.items():
        counter[key] = abs(count - other[key])
    for key, count in other.items():
        if key not in counter:
            counter[key] = abs(count)
    return +counter


def _is_counter(other: object) -> bool:
    return isinstance(other, collections.Counter | Counter)


def _is_mapping(other: object) -> bool:
    return isinstance(other, Mapping)


def _counted(iterable: Any, kwargs: dict[str, int]) -> dict[Any, Any]:
    """Count as collections.Counter does; a plain dict has its counts."""
    counted: dict[Any, Any] = _plain(iterable)
    if kwargs or type(counted) not in (dict, collections.Counter):
        counted = collections.Counter(counted)
        counted.update(kwargs)
    return counted
