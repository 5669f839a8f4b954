"""What the containers of keys have in common: ``Dict``, ``Set``, ``Counter`` and ``Namespace``."""

from __future__ import annotations

from courtyard._object.object import Shared

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any, Self


class Table(Shared):
    """A table of keys, which makes itself of its pickle; its native base stands beside it."""

    __slots__ = ()
    _made_empty = True

    def __new__(cls, /, *_arguments: Any, **_keywords: Any) -> Self:
        """Make an empty one; ``__init__`` fills it."""
        return super().__new__(cls)

    @classmethod
    def _load(cls, address: Any) -> Any:
        return super().__new__(cls, address)  # type: ignore[call-arg]
