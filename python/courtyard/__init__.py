"""Shared data between Python processes: at memory speed, with nothing to run, safe when killed.

>>> import courtyard as cy
>>> n = cy.Value("i", 0)
>>> n.increment(5)
5
"""

from __future__ import annotations

import sys

if sys.platform != "linux":
    raise ImportError(f"courtyard runs on Linux; this is {sys.platform}")

# What a spawned child stores names the main script so; multiprocessing's import does the same.
if "__main__" in sys.modules:
    sys.modules.setdefault("__mp_main__", sys.modules["__main__"])

from courtyard import _process as _process  # its import arranges forks and exit
from courtyard import _public
from courtyard._container import Counter, Deque, Dict, List, Namespace, NestedDict, Set
from courtyard._error import (
    Closed,
    CorruptError,
    CourtyardError,
    LayoutMismatch,
    NotFound,
    NotHeld,
    NotMade,
    NotOwned,
    NotTrusted,
    SpaceFull,
    WrongType,
)
from courtyard._native import Lease
from courtyard._object.function import (
    check,
    close,
    compare_exchange,
    edit,
    get_lock,
    increment,
    mutate,
    name,
    space,
    statistics,
    version,
    wait_for,
    watch,
)
from courtyard._object.several import wait
from courtyard._queue import JoinableQueue, LifoQueue, PriorityQueue, Queue, SimpleQueue
from courtyard._space import Space
from courtyard._sync import (
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    Lock,
    RLock,
    Semaphore,
)
from courtyard._value import Array, RawArray, RawValue, Value, copy, synchronized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pickle import UnpicklingError

    from courtyard._object.watch import DELETED, Change, Watch
    from courtyard._statistics import Held, Holder, ObjectStatistics, SpaceStatistics, Waiter

    class LoadError(CourtyardError, UnpicklingError):
        """A stored value or key cannot be loaded in this process; it stays where it is."""

        @property
        def class_name(self) -> str:
            """The class that cannot be found or built; ``""`` if unknown."""

    class ShutDown(Exception):
        """Raised by put and get of a queue that was shut down."""


__all__ = [
    "DELETED",
    "Array",
    "Barrier",
    "BoundedSemaphore",
    "Change",
    "Closed",
    "Condition",
    "CorruptError",
    "Counter",
    "CourtyardError",
    "Deque",
    "Dict",
    "Event",
    "Held",
    "Holder",
    "JoinableQueue",
    "LayoutMismatch",
    "Lease",
    "LifoQueue",
    "List",
    "LoadError",
    "Lock",
    "Namespace",
    "NestedDict",
    "NotFound",
    "NotHeld",
    "NotMade",
    "NotOwned",
    "NotTrusted",
    "ObjectStatistics",
    "PriorityQueue",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "Semaphore",
    "Set",
    "ShutDown",
    "SimpleQueue",
    "Space",
    "SpaceFull",
    "SpaceStatistics",
    "Value",
    "Waiter",
    "Watch",
    "WrongType",
    "check",
    "close",
    "compare_exchange",
    "copy",
    "edit",
    "get_lock",
    "increment",
    "mutate",
    "name",
    "space",
    "statistics",
    "synchronized",
    "version",
    "wait",
    "wait_for",
    "watch",
]
__version__ = "0.1.0"

# They take longer than all the rest: in which module they are.
_LATER = {
    "Change": "_object.watch",
    "DELETED": "_object.watch",
    "Held": "_statistics",
    "Holder": "_statistics",
    "LoadError": "_error",
    "ObjectStatistics": "_statistics",
    "ShutDown": "_error",
    "SpaceStatistics": "_statistics",
    "Waiter": "_statistics",
    "Watch": "_object.watch",
}

for _name in __all__:  # one public home per name
    if _name not in _LATER and _name != "Lease":  # a native class has it already
        globals()[_name].__module__ = __name__
_classes = {cls for cls in map(globals().get, __all__) if isinstance(cls, type)} - {Lease}
_public.register(_classes)
_public.publish(_classes)
# Modules as values in files name them that earlier builds of this version stored.
_moved = {"_primitive": "_pickle", "_array": "_pickle", "_nested": "_container.nested"}
for _old, _new in _moved.items():
    sys.modules[f"courtyard.{_old}"] = sys.modules[f"courtyard.{_new}"]
del _name, _classes, _moved, _old, _new


def __getattr__(name: str) -> object:
    """Import what is seldom needed when it is."""
    from importlib import import_module

    if name == "aio":
        return import_module("courtyard.aio")
    if name in _LATER:
        found = getattr(import_module(f"courtyard.{_LATER[name]}"), name)
        if isinstance(found, type) and found.__module__.startswith("courtyard."):
            found.__module__ = __name__
        return globals().setdefault(name, found)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, also those that are not imported yet."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
