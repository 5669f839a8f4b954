"""Objects as tasks of asyncio and trio use them: ``obj.aio``.

``q.aio`` is the same queue as ``q``. Its methods have the same names and are awaited: what has to
wait suspends the task, not the event loop, and takes no thread. Works under asyncio, uvloop and
trio.

A cancelled call has either not happened, or has happened and returned: no item, permit or lock is
lost. The tasks of a loop are served in the order in which they came. The owner of a lock is the
task. A call that need not wait does not suspend; on trio it is a checkpoint.

>>> import asyncio, courtyard as cy
>>> q = cy.Queue()
>>> async def main():
...     await q.aio.put("work")
...     return await q.aio.get()
>>> asyncio.run(main())
'work'
"""

from __future__ import annotations

from courtyard import _container, _native
from courtyard.aio._data import (
    Array,
    Counter,
    Deque,
    Dict,
    List,
    Namespace,
    NestedDict,
    Set,
    Value,
)
from courtyard.aio._object import Object
from courtyard.aio._queue import Lease, Queue
from courtyard.aio._sync import Barrier, Condition, Event, Lock, RLock, Semaphore
from courtyard.aio._wait import wait
from courtyard.aio._watch import Watch

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "Array",
    "Barrier",
    "Condition",
    "Counter",
    "Deque",
    "Dict",
    "Event",
    "Lease",
    "List",
    "Lock",
    "Namespace",
    "NestedDict",
    "Object",
    "Queue",
    "RLock",
    "Semaphore",
    "Set",
    "Value",
    "Watch",
    "of",
    "wait",
]

_twins: dict[type, type[Object]] = {
    _native.Queue: Queue,
    _native.Lock: Lock,
    _native.RLock: RLock,
    _native.Semaphore: Semaphore,
    _native.Event: Event,
    _native.Condition: Condition,
    _native.Barrier: Barrier,
    _native.RawValue: Value,
    _native.RawArray: Array,
    _container.Dict: Dict,
    _container.NestedDict: NestedDict,
    _container.Counter: Counter,
    _container.Namespace: Namespace,
    _container.List: List,
    _container.Deque: Deque,
    _container.Set: Set,
}


def of(obj: Any) -> Any:
    """Return the twin of an object: ``obj.aio``, also where a field of that name hides it.

    >>> import courtyard as cy, courtyard.aio
    >>> q = cy.Queue()
    >>> courtyard.aio.of(q) == q.aio
    True
    """
    twin = _twins.get(type(obj))
    return (_twin_of(type(obj)) if twin is None else twin)(obj)


def _twin_of(cls: type) -> type[Object]:
    """Find the class of twins for a subclass, and keep it."""
    for base in cls.__mro__:
        twin = _twins.get(base)
        if twin is not None:
            return _twins.setdefault(cls, twin)
    raise TypeError(f"expected a courtyard object, found {cls.__name__}")


for _name in __all__:
    globals()[_name].__module__ = __name__
del _name
