"""What containers have in common, and what those with keys have."""

from __future__ import annotations

from courtyard._container.store import showing
from courtyard._object.name import quoted
from courtyard._object.object import Object, recursive_repr
from courtyard._object.subclass import closed, own_class

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any, Self


class Container(Object):
    """A container that shows what is in it; its plain data is what the builtin is of it."""

    __slots__ = ()

    def copy(self) -> Any:
        """Return a plain builtin of all that is here, as it was at one moment."""
        raise NotImplementedError

    def __copy__(self) -> Any:
        """Return what ``copy()`` does: plain data, for ``copy.copy``."""
        return self.copy()

    def _getvalue(self) -> Any:
        """Return what ``copy()`` does: for programs written for a Manager."""
        return self.copy()

    def _content(self) -> str:
        """Return what repr() says of what is in it."""
        return repr(showing(self.copy))

    @recursive_repr
    def __repr__(self) -> str:
        """Say what it is and what is in it; of itself inside itself, ``...``."""
        cls = own_class(self)
        content = closed(self) if self._closed else cls._content(self)
        return f"<courtyard.{cls._title(self)}{quoted(self)}: {content}>"

    def __str__(self) -> str:
        """Return what ``str`` of the builtin does: what is in it, as a Manager's has it."""
        return repr(self) if self._closed else _plain_repr(self)

    def __sizeof__(self) -> int:
        """Return the bytes of the handle; the content is shared memory: see statistics()."""
        return object.__sizeof__(self)

    __hash__ = None  # type: ignore[assignment]


@recursive_repr
def _plain_repr(container: Any) -> str:
    """Return what is in a container, as the builtin shows it; of itself inside itself, ``...``."""
    return str(showing(container.copy))


class Table(Object):
    """A table of keys, which makes itself of its pickle; its native base stands beside it."""

    __slots__ = ()
    _made_empty = True

    def __new__(cls, /, *_arguments: Any, **_keywords: Any) -> Self:
        """Make an empty one; ``__init__`` fills it."""
        return super().__new__(cls)

    @classmethod
    def _load(cls, address: Any) -> Any:
        return super().__new__(cls, address)  # type: ignore[call-arg]
