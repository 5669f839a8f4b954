"""What ``List`` and ``Deque`` have in common."""

from __future__ import annotations

import operator
import sys
from itertools import chain
from sys import _getframe

from courtyard import _error
from courtyard._container.container import Container
from courtyard._container.copy import deep
from courtyard._container.iteration import iterate
from courtyard._container.store import SequenceStore, showing

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, SupportsIndex

    from typing_extensions import TypeVar

    _T = TypeVar("_T", default=Any)

# How often a change is tried beside others before these are locked out, and then once more. Few
# times: a sort key that appends to the list doubles it each time.
_MAX_ATTEMPTS = 4
# So many values are read first where one is looked for.
_FIRST_PIECE = 32


class Sequence(Container, SequenceStore["_T"]):
    """Values in a row, which make themselves of their pickle."""

    __slots__ = ()

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        """Return a plain builtin with copies of all values, for ``copy.deepcopy``."""
        made = self._empty()
        return deep(self, memo, made, type(made).extend, self._values)

    @classmethod
    def _gathered(cls, iterable: Iterable[Any] = (), *rest: Any) -> tuple[Any, ...]:
        return (list(iterable), *rest)

    def _empty(self) -> Any:
        """Return the builtin without values."""
        return []

    def extend(self, iterable: Iterable[_T], /) -> None:
        """Put all values of an iterable at the end, at once: all, or none.

        Others see them together, and nothing between them. Waits while another holds
        ``get_lock()``. Raises what the iterable raises, what pickling a value raises, and
        SpaceFull; then nothing has changed. A process killed meanwhile has put all there, or none.

        >>> import courtyard as cy
        >>> x = cy.List("a")
        >>> x.extend("bc"); "".join(x)
        'abc'
        """
        self._extend(_listed(iterable), False)

    def _insist(self, attempt: Callable[[], bool], otherwise: Exception) -> None:
        """Attempt a change until it succeeds, at last with all others locked out.

        What fails even then changes the list itself, each time.
        """
        for _ in range(_MAX_ATTEMPTS):
            if attempt():
                return
        with self.get_lock():
            if attempt():
                return
        raise otherwise

    def remove(self, value: _T, /) -> None:
        """Take the first value out that is equal. Atomic; O(length).

        The values up to it are compared on a copy, without a lock, and again if another writer
        changes the object in between; after 4 such attempts, ``get_lock()`` is held for the next.
        Raises ValueError if there is none, what the comparison raises, and RuntimeError if the
        comparison changes the object. Then nothing has changed.

        >>> import courtyard as cy
        >>> x = cy.List("aba")
        >>> x.remove("a"); "".join(x)
        'ba'
        """

        def attempt() -> bool:
            place, moment = self._find(value)
            if place is None:
                raise ValueError(f"{type(self).__name__}.remove(x): x not in it")
            return self._drop_at(moment, place)

        name = type(self).__name__
        self._insist(attempt, RuntimeError(f"a comparison for {name}.remove(x) changed it"))

    def _find(
        self, value: Any, start: Any = 0, stop: Any = sys.maxsize
    ) -> tuple[int | None, tuple[int, int]]:
        """Return the first place of an equal value between two indexes, and of which moment it is.

        Reads a piece after the other, each longer than the one before; if it is changed meanwhile,
        all of it once more. What comes behind the place need not be loadable.
        """
        asked = slice(operator.index(start), operator.index(stop))
        _, moment = self._piece(0, 0)
        first, end, _ = asked.indices(moment[1])
        size = _FIRST_PIECE
        while first < end:
            values, seen, failed = self._loaded(first, min(first + size, end))
            if seen != moment:
                values, moment, failed = self._loaded(asked.start, asked.stop)
                first, end, _ = asked.indices(moment[1])
                size = len(values)
            count = len(values)
            values.append(value)  # found in any case: index() raises what a comparison raises alone
            try:
                place = values.index(value)
            except _error.LoadError as error:
                told = failed or error
                raise told from told.__cause__
            if place < count:
                return first + place, moment
            first, size = first + size, size * 8
        return None, moment

    def _loaded(self, start: int, stop: int) -> tuple[list[Any], Any, Exception | None]:
        """Return a piece and its moment; and what is raised if one of its values is compared."""
        try:
            return (*self._piece(start, stop), None)
        except _error.LoadError as error:
            return (*showing(lambda: self._piece(start, stop)), error)

    def count(self, value: _T, /) -> int:
        """Return how many values are equal, at one moment; O(length).

        >>> import courtyard as cy
        >>> cy.List("aba").count("a")
        2
        """
        return self._values().count(value)

    def __contains__(self, value: object) -> bool:
        """Say whether a value is here; O(its place)."""
        return self._find(value)[0] is not None

    def __iter__(self) -> Iterator[_T]:
        """Iterate over a snapshot; ``next(iter(x))`` reads one value alone.

        Further calls of ``next`` go over the other values, as they are at the second call.
        """

        def read(begun: Any) -> list[_T]:
            return self._values() if begun is None else self._piece(1, None)[0]

        return iterate(len(self), read, lambda _: self._piece(0, 1), _getframe(1))

    def __reversed__(self) -> Iterator[_T]:
        """Iterate over a snapshot, the last value first."""

        def read(begun: Any) -> list[_T]:
            values = self._values() if begun is None else self._piece(0, begun[1] - 1)[0]
            values.reverse()
            return values

        return iterate(len(self), read, lambda _: self._piece(-1, None), _getframe(1))

    def __add__(self, other: Any) -> Any:
        """Return a plain builtin of both."""
        return self.copy() + _plain(other)

    def __radd__(self, other: Any) -> Any:
        """Return a plain builtin of both."""
        return other + self.copy()

    def __iadd__(self, other: Any) -> Any:
        """Put all values of an iterable at the end, at once."""
        self.extend(other)
        return self

    def __mul__(self, times: SupportsIndex) -> Any:
        """Return a plain builtin of that many times what is here."""
        if not hasattr(times, "__index__") or operator.index(times) < 1:
            return self._empty() * times
        return self.copy() * times

    __rmul__ = __mul__

    def __imul__(self, times: SupportsIndex) -> Any:
        """Make it that many times what it is, at once."""
        self._repeat(times)
        return self

    def __eq__(self, other: object) -> bool:
        """Compare value by value with one of its kind or the builtin."""
        if not self._is_like(other):
            return NotImplemented
        if isinstance(other, Sequence) and other._identity() == self._identity():
            return True
        return len(self) == len(other) and bool(self.copy() == _plain(other))  # type: ignore[arg-type]

    def __lt__(self, other: Any) -> bool:
        """Compare value by value."""
        return self.copy() < _plain(other) if self._is_like(other) else NotImplemented

    def __le__(self, other: Any) -> bool:
        """Compare value by value."""
        return self.copy() <= _plain(other) if self._is_like(other) else NotImplemented

    def __gt__(self, other: Any) -> bool:
        """Compare value by value."""
        return self.copy() > _plain(other) if self._is_like(other) else NotImplemented

    def __ge__(self, other: Any) -> bool:
        """Compare value by value."""
        return self.copy() >= _plain(other) if self._is_like(other) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def _is_like(self, other: object) -> bool:
        raise NotImplementedError


def _listed(iterable: Iterable[Any]) -> list[Any]:
    """Return all values of an iterable, whatever it says how many they are."""
    return list(chain(_plain(iterable)))


def _plain(other: Any) -> Any:
    """Return what a shared one holds, as it was at one moment; anything else as it is."""
    return other.copy() if isinstance(other, Sequence) else other
