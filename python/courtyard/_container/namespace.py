"""``Namespace``: attributes among processes and threads."""

from __future__ import annotations

from types import SimpleNamespace

from courtyard._container.container import Table
from courtyard._container.copy import deep
from courtyard._container.store import MappingStore, showing
from courtyard._object import function
from courtyard._object.name import quoted
from courtyard._object.object import recursive_repr

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from courtyard._object.watch import Change, Watch

_Store: Any = MappingStore


class Namespace(Table, _Store):  # type: ignore[misc]
    """Attributes among processes and threads, as those of a Manager's Namespace.

    Every attribute whose name does not begin with an underscore is shared, ``ns.version`` and
    ``ns.close`` too. So instead of methods there are functions of the module: for one attribute
    ``courtyard.increment(ns, "x")``, ``mutate``, ``edit`` and ``compare_exchange``; for all of it
    ``courtyard.get_lock(ns)``, ``version``, ``wait_for``, ``watch``, ``statistics``, ``check``,
    ``close``, ``name`` and ``space``. Values are copies.

    A killed process has changed an attribute completely or not at all.

    >>> import courtyard as cy
    >>> ns = cy.Namespace(x=1)
    >>> ns.y = [2]
    >>> ns
    Namespace(x=1, y=[2])
    >>> del ns.x
    >>> ns.x
    Traceback (most recent call last):
    AttributeError: 'Namespace' object has no attribute 'x'
    """

    __slots__ = ("__dict__",)  # names with an underscore: this handle's own

    if TYPE_CHECKING:  # they are the user's, as all others
        check: Any
        name: Any
        space: Any
        statistics: Any

    def __init__(self, /, **attributes: Any) -> None:
        """Set the attributes that are given as keywords."""
        if attributes:
            self._change_all(attributes, [])

    def __getattribute__(self, name: str) -> Any:
        """Return a shared attribute; names with an underscore are the object's own."""
        if name.startswith("_"):
            return object.__getattribute__(self, name)
        try:
            return self[name]
        except KeyError:
            raise _missing(self, name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a shared attribute."""
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self[name] = value

    def __delattr__(self, name: str) -> None:
        """Delete a shared attribute. Raises AttributeError if there is none."""
        if name.startswith("_"):
            object.__delattr__(self, name)
            return
        try:
            del self[name]
        except KeyError:
            raise _missing(self, name) from None

    def watch(self, keys: Iterable[str] | None = None) -> Watch[dict[str, Any], Change]:
        """Follow all attributes, or those that are given, as ``Dict.watch`` does."""
        from courtyard._object.watch import Keys

        return Keys(self, keys, dict)

    def __copy__(self) -> SimpleNamespace:
        """Return a plain namespace of all attributes, as they were at one moment."""
        return SimpleNamespace(**dict(self._items()))

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        """Return a plain namespace with copies of all attributes, for ``copy.deepcopy``."""
        items = lambda: self._items()  # noqa: E731
        return deep(self, memo, SimpleNamespace(), lambda made, new: vars(made).update(new), items)

    def _getvalue(self) -> SimpleNamespace:
        """Return a plain namespace: for programs written for a Manager."""
        return self.__copy__()

    def __dir__(self) -> list[str]:
        """Name the shared attributes."""
        return sorted(self._keys())

    def __eq__(self, other: object) -> bool:
        """Compare attributes with another Namespace's."""
        if not isinstance(other, Namespace):
            return NotImplemented
        return dict(self._items()) == dict(other._items())

    __hash__ = None  # type: ignore[assignment]
    __iter__ = None  # as the standard one, which is no container

    def __bool__(self) -> bool:
        """Be true, also without attributes."""
        return True

    @recursive_repr
    def __repr__(self) -> str:
        """Say what is in it, as a Manager's does; of itself inside itself, ``...``."""
        if self._closed:
            return f"<courtyard.{type(self).__name__}: closed>"
        items = showing(lambda: self._items())
        items = ", ".join(f"{name}={value!r}" for name, value in items)
        return f"{type(self).__name__}{quoted(self)}({items})"


def _missing(obj: Namespace, name: str) -> AttributeError:
    message = f"{type(obj).__name__!r} object has no attribute {name!r}"
    if getattr(function, name, _missing).__module__ == "courtyard":  # public: a method of others
        message += f": attributes are the program's own; the function courtyard.{name}() does that"
    return AttributeError(message, name=name, obj=obj)
