"""What ``Manager()`` makes: courtyard's objects, which are instances of the standard proxies too.

So ``isinstance(x, multiprocessing.managers.DictProxy)`` holds, and the like. The methods are
courtyard's, but for those here, which return what the standard ones do; ``_callmethod``, by which
programs call a method by its name, is there as well.
"""

from __future__ import annotations

import copy
from multiprocessing import managers as _managers
from sys import _getframe
from typing import TYPE_CHECKING, Any

import courtyard
from courtyard import _native
from courtyard._container.view import Keys
from courtyard._pickle import carry
from courtyard._public import with_article

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

managers: Any = _managers  # its stubs leave most proxies out


class _Proxied:
    """What stands between courtyard's class and the proxy, whose own methods ask a server."""

    __slots__ = ()

    def _callmethod(self, methodname: str, args: Any = (), kwds: Any = None) -> Any:
        """Call a method by its name."""
        if methodname == "#GETVALUE":
            return self._getvalue()
        return getattr(type(self), methodname)(self, *args, **(kwds or {}))

    def _getvalue(self) -> Any:
        """Raise TypeError: an object with a plain value has a method of its own for this."""
        raise TypeError(f"{with_article(type(self).__name__)} has no value that could be copied")

    def __str__(self) -> str:
        """Return what ``repr`` does."""
        return repr(self)

    def __copy__(self) -> Any:
        """Return another handle."""
        reduced: Any = self.__reduce__()
        return carry(reduced[0](*reduced[1]), self)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        """Return another handle."""
        return copy.copy(self)


def _proxy(kind: str, proxy: Any, **body: Any) -> Any:
    """Return a subclass of one of courtyard's classes that is one of the standard proxy, too."""
    ours = getattr(courtyard, kind)
    body |= {"__slots__": (), "__module__": __name__, "__doc__": ours.__doc__}
    body["__copy__"] = _Proxied.__copy__
    return type(kind, (ours, _Proxied, proxy), body)


def _no_attribute(self: Any, name: str) -> Any:
    """Raise what courtyard's class does: the proxy would ask a server."""
    message = f"{type(self).__name__!r} object has no attribute {name!r}"
    raise AttributeError(message, name=name, obj=self)


class _KeyList(list[Any]):
    """The keys of a dict. What ``dict(d)`` goes over is of one moment, as if it were their view."""

    __slots__ = ("_view",)

    def __init__(self, mapping: Any, frame: FrameType) -> None:
        super().__init__(mapping._keys())
        self._view = Keys(mapping, frame)

    def __iter__(self) -> Iterator[Any]:
        return self._view.merged(_getframe(1)) or super().__iter__()

    def __reduce__(self) -> Any:
        return list, (self[:],)


def _keys(self: Any) -> list[Any]:
    """Return a list of the keys, as they were at one moment."""
    return _KeyList(self, _getframe(1))


def _values(self: Any) -> list[Any]:
    """Return a list of the values, as they were at one moment."""
    return self._values()  # type: ignore[no-any-return]


def _items(self: Any) -> list[tuple[Any, Any]]:
    """Return a list of keys and values, as they were at one moment."""
    return self._items()  # type: ignore[no-any-return]


def _plain_value(self: Any) -> Any:
    """Return the standard Manager's value, with what this one holds."""
    declared = _native.RawValue._declared.__get__(self)
    return managers.Value(declared, _native.RawValue.get(self))


def _value_shown(self: Any) -> str:
    """Return what ``str`` of the standard Manager's value does."""
    if _native.RawValue._closed.__get__(self):
        return repr(self)
    return str(_native.showing(lambda: _plain_value(self)))


_dict = {"keys": _keys, "values": _values, "items": _items}
_value = {"_getvalue": _plain_value, "__str__": _value_shown}

Array = _proxy("Array", managers.ArrayProxy)
Barrier = _proxy("Barrier", managers.BarrierProxy)
BoundedSemaphore = _proxy("BoundedSemaphore", managers.AcquirerProxy)
Condition = _proxy("Condition", managers.ConditionProxy)
Counter = _proxy("Counter", managers.BaseProxy)
Deque = _proxy("Deque", managers.BaseProxy)
Dict = _proxy("Dict", managers.DictProxy, **_dict)
Event = _proxy("Event", managers.EventProxy)
JoinableQueue = _proxy("JoinableQueue", managers.BaseProxy)
List = _proxy("List", managers.ListProxy)
Lock = _proxy("Lock", managers.AcquirerProxy)
Namespace = _proxy("Namespace", managers.NamespaceProxy, __getattr__=_no_attribute)
Queue = _proxy("Queue", managers.BaseProxy)
RLock = _proxy("RLock", managers.AcquirerProxy)
RawArray = _proxy("RawArray", managers.ArrayProxy)
RawValue = _proxy("RawValue", managers.ValueProxy, **_value)
Semaphore = _proxy("Semaphore", managers.AcquirerProxy)
Set = _proxy("Set", getattr(managers, "SetProxy", managers.BaseProxy))  # since Python 3.14
Value = _proxy("Value", managers.ValueProxy, **_value)
