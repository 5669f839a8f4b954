"""What the containers of keys have in common: ``Dict``, ``Set``, ``Counter`` and ``Namespace``."""

from __future__ import annotations

from courtyard import _native
from courtyard._primitive import Shared

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    _K = TypeVar("_K", default=Any)
    _V = TypeVar("_V", default=Any)


class Table(Shared, _native.Table["_K", "_V"]):
    """A shared table of keys, which makes itself of its pickle."""

    __slots__ = ()

    def __new__(cls, /, *_arguments: Any, **_keywords: Any) -> Any:
        """Make an empty one; ``__init__`` fills it."""
        return _native.Table.__new__(cls)

    @classmethod
    def _load(cls, address: Any) -> Any:
        return _native.Table.__new__(cls, address)
