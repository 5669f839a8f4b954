"""The views of a ``Dict``: its keys, its values, its items."""

from __future__ import annotations

from collections.abc import ItemsView, KeysView, ValuesView
from sys import _getframe

from courtyard._container.iteration import iterate
from courtyard._container.store import showing

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

    from courtyard._container.dict import Dict


class Keys(KeysView):  # type: ignore[type-arg]
    __slots__ = ("_place",)

    _mapping: Dict[Any, Any]

    def __init__(self, mapping: Dict[Any, Any], frame: FrameType) -> None:
        super().__init__(mapping)
        self._place = id(frame), frame.f_lasti

    def __iter__(self) -> Iterator[Any]:
        frame, mapping = _getframe(1), self._mapping
        return self.merged(frame) or iterate(len(mapping), mapping._keys, mapping._first_key, frame)

    def merged(self, frame: FrameType) -> Iterator[Any] | None:
        """Return an iterator for what made the view and goes over it by one instruction.

        So do ``dict(d)``, ``{**d}`` and ``plain.update(d)``, which go on to ask for the value of
        each key: they get those of the same moment. None: ``frame`` is at another instruction.
        """
        place = id(frame), frame.f_lasti
        return iter(self._mapping._begin_merge(place)) if place == self._place else None

    def __reversed__(self) -> Iterator[Any]:
        mapping = self._mapping
        return iterate(len(mapping), mapping._keys, mapping._first_key, _getframe(1), True)

    def __repr__(self) -> str:
        return f"dict_keys({showing(self._mapping._keys)!r})"


class Items(ItemsView):  # type: ignore[type-arg]
    __slots__ = ()

    _mapping: Dict[Any, Any]

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        mapping = self._mapping
        return iterate(len(mapping), mapping._items, mapping._first_item, _getframe(1))

    def __reversed__(self) -> Iterator[tuple[Any, Any]]:
        mapping = self._mapping
        return iterate(len(mapping), mapping._items, mapping._first_item, _getframe(1), True)

    def __contains__(self, item: object) -> bool:
        return isinstance(item, tuple) and len(item) == 2 and super().__contains__(item)

    def __repr__(self) -> str:
        return f"dict_items({showing(self._mapping._items)!r})"


class Values(ValuesView):  # type: ignore[type-arg]
    __slots__ = ()

    _mapping: Dict[Any, Any]

    def _first(self, last: bool) -> tuple[list[Any], Any]:
        found, begun = self._mapping._first_item(last)
        return [value for _, value in found], begun

    def __iter__(self) -> Iterator[Any]:
        return iterate(len(self), self._mapping._values, self._first, _getframe(1))

    def __reversed__(self) -> Iterator[Any]:
        return iterate(len(self), self._mapping._values, self._first, _getframe(1), True)

    def __repr__(self) -> str:
        return f"dict_values({showing(lambda: list(self))!r})"
