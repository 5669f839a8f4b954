"""What ``Manager()`` makes: courtyard's objects, which are instances of the standard proxies too.

So ``isinstance(x, multiprocessing.managers.DictProxy)`` holds, and the like. All methods are
courtyard's; ``_callmethod``, by which programs call a method by its name, is there as well.
"""

from __future__ import annotations

import copy
from multiprocessing import managers as _managers
from typing import Any

import courtyard

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
        raise TypeError(f"a {type(self).__name__} has no value that could be copied")

    def __str__(self) -> str:
        """Return what ``repr`` does."""
        return repr(self)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        """Return another handle."""
        return copy.copy(self)


def _proxy(kind: str, proxy: Any, **body: Any) -> Any:
    """Return a subclass of one of courtyard's classes that is one of the standard proxy, too."""
    ours = getattr(courtyard, kind)
    body |= {"__slots__": (), "__module__": __name__, "__doc__": ours.__doc__}
    return type(kind, (ours, _Proxied, proxy), body)


def _no_attribute(self: Any, name: str) -> Any:
    """Raise what courtyard's class does: the proxy would ask a server."""
    message = f"{type(self).__name__!r} object has no attribute {name!r}"
    raise AttributeError(message, name=name, obj=self)


Array = _proxy("Array", managers.ArrayProxy)
Barrier = _proxy("Barrier", managers.BarrierProxy)
BoundedSemaphore = _proxy("BoundedSemaphore", managers.AcquirerProxy)
Condition = _proxy("Condition", managers.ConditionProxy)
Counter = _proxy("Counter", managers.BaseProxy)
Deque = _proxy("Deque", managers.BaseProxy)
Dict = _proxy("Dict", managers.DictProxy)
Event = _proxy("Event", managers.EventProxy)
JoinableQueue = _proxy("JoinableQueue", managers.BaseProxy)
List = _proxy("List", managers.ListProxy)
Lock = _proxy("Lock", managers.AcquirerProxy)
Namespace = _proxy("Namespace", managers.NamespaceProxy, __getattr__=_no_attribute)
Queue = _proxy("Queue", managers.BaseProxy)
RLock = _proxy("RLock", managers.AcquirerProxy)
RawArray = _proxy("RawArray", managers.ArrayProxy)
RawValue = _proxy("RawValue", managers.ValueProxy)
Semaphore = _proxy("Semaphore", managers.AcquirerProxy)
Set = _proxy("Set", getattr(managers, "SetProxy", managers.BaseProxy))  # since Python 3.14
Value = _proxy("Value", managers.ValueProxy)
