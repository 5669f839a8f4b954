"""Values and containers as tasks use them.

Their methods do not wait, but for another owner who has acquired the object's lock by
``get_lock()``: while they wait for that, the event loop runs on. Reads never wait.
"""

from __future__ import annotations

from courtyard import _container, _native, _value
from courtyard._object.subclass import own_class
from courtyard.aio._loop import current_task, owner, serial_of
from courtyard.aio._object import Object, checkpoint
from courtyard.aio._sync import Lock, RLock
from courtyard.aio._watch import Watched

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _called(name: str, doc: str | None) -> Any:
    """Make the awaitable form of a method."""

    async def call(self: Any, *arguments: Any, **keywords: Any) -> Any:
        method = getattr(own_class(self.sync), name)
        if name not in _READS:
            return await self._call(method, self.sync, *arguments, **keywords)
        await checkpoint()
        return method(self.sync, *arguments, **keywords)

    call.__name__ = name
    call.__doc__ = doc
    return call


# The methods that never wait: those that change nothing.
_READS = frozenset(
    (
        "check",
        "close",
        "copy",
        "count",
        "difference",
        "elements",
        "get",
        "get_many",
        "index",
        "intersection",
        "isdisjoint",
        "issubset",
        "issuperset",
        "items",
        "keys",
        "most_common",
        "statistics",
        "symmetric_difference",
        "to_plain",
        "tobytes",
        "tolist",
        "total",
        "union",
        "values",
    )
)
# Made anew for tasks, or without a meaning for them: a Value's own acquire and release are its
# lock's.
_OTHERS = frozenset(("acquire", "get_obj", "named", "release"))


def twin(sync: Any) -> Any:
    """Return a decorator that gives a class the awaitable forms of a class's methods."""

    def decorate(cls: Any) -> Any:
        for name in dir(sync):
            member = getattr(sync, name)
            if name.startswith("_") or not callable(member) or isinstance(member, type):
                continue
            is_method = not isinstance(_static(sync, name), (classmethod, staticmethod))
            if is_method and name not in _OTHERS and not hasattr(cls, name):
                method = _called(name, member.__doc__)
                method.__qualname__ = f"{cls.__name__}.{name}"
                method.__module__ = "courtyard.aio"
                setattr(cls, name, method)
        return cls

    return decorate


def _static(cls: type, name: str) -> Any:
    for home in cls.__mro__:
        if name in vars(home):
            return vars(home)[name]
    return None


class ObjectLock(Lock):
    """The lock of an object: ``async with d.aio.get_lock()``. Its owner is the task."""

    __slots__ = ("_of",)

    def __init__(self, sync: Any, obj: Any) -> None:
        """Make the twin of an object's lock."""
        super().__init__(sync)
        self._of = obj

    def _waits_at(self) -> tuple[Any, str]:
        return self._of, "get_lock"

    def _is_mine(self) -> bool:
        return bool(self._as_owner(self.sync._is_owned))  # type: ignore[attr-defined]

    def _acquired(self, call: Callable[[], bool]) -> bool:
        task = current_task()
        return _native.as_owner(serial_of(task), call, self._of, task)

    def _as_owner(self, call: Any) -> Any:
        return _native.as_owner(owner(), call)

    async def locked(self) -> bool:
        """Not known of an object's lock."""
        raise AttributeError("the lock of an object has no locked()")


class Edit:
    """A value that a block changes in place, for ``async with``: see the object's own ``edit``."""

    __slots__ = ("_arguments", "_edit", "_lock", "_twin")

    def __init__(self, twin: Data, arguments: Any) -> None:
        """Make one; ``d.aio.edit(key)`` does that."""
        self._twin, self._arguments = twin, arguments
        self._lock = twin.get_lock()

    async def __aenter__(self) -> Any:
        """Acquire the object's lock and load the value."""
        sync, (arguments, keywords) = self._twin.sync, self._arguments
        self._edit = own_class(sync).edit(sync, *arguments, **keywords)
        await self._lock.acquire()
        try:
            return self._lock._as_owner(self._edit.__enter__)
        except BaseException:
            self._lock._as_owner(self._lock.sync.release)
            raise

    async def __aexit__(self, *exception: Any) -> None:
        """Store the value, unless the block raised or was cancelled, and release the lock."""
        try:
            self._lock._as_owner(lambda: self._edit.__exit__(*exception))
        finally:
            self._lock._as_owner(self._lock.sync.release)


class Data(Object):
    """A value or container as tasks use it."""

    __slots__ = ()

    def get_lock(self) -> Any:
        """Return the object's lock, for ``async with``: all other writers wait meanwhile."""
        lock = own_class(self.sync).get_lock(self.sync)
        for cls, twin in ((_native.RLock, RLock), (_native.Lock, Lock)):
            if isinstance(lock, cls):  # it was given to the object
                return twin(lock)
        if isinstance(lock, _native.lock):
            return ObjectLock(lock, self.sync)
        raise TypeError(f"expected a courtyard lock of the object, found {lock!r}")

    def edit(self, *arguments: Any, **keywords: Any) -> Edit:
        """Change a value in place: ``async with d.aio.edit("cart") as cart``.

        All other writers wait until the block ends. Then the value is stored, unless the block
        raised or was cancelled.
        """
        return Edit(self, (arguments, keywords))


class Items(Data):
    """A container as tasks use it: ``async for item in s.aio``."""

    __slots__ = ()

    async def __aiter__(self) -> Any:
        """Iterate over the container as it is now."""
        for item in self.sync:
            await checkpoint()
            yield item


class Keyed(Items):
    """A container with keys or places as tasks use it: ``await d.aio["key"]``."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        """Return an awaitable of the item: ``await d.aio[key]``."""
        return self._item(key)

    async def _item(self, key: Any) -> Any:
        await checkpoint()
        return own_class(self.sync).__getitem__(self.sync, key)

    async def setitem(self, key: Any, value: Any) -> None:
        """Store an item, as ``d[key] = value`` does."""
        await self._call(own_class(self.sync).__setitem__, self.sync, key, value)

    async def delitem(self, key: Any) -> None:
        """Remove an item, as ``del d[key]`` does."""
        await self._call(own_class(self.sync).__delitem__, self.sync, key)


@twin(_value.Value)
class Value(Watched, Data):
    """A value as tasks use it: ``await v.aio.increment()``."""

    __slots__ = ()


@twin(_value.Array)
class Array(Keyed):
    """An array as tasks use it."""

    __slots__ = ()


@twin(_container.Dict)
class Dict(Watched, Keyed):
    """A dict as tasks use it: ``await d.aio.get("key")``."""

    __slots__ = ()


@twin(_container.NestedDict)
class NestedDict(Watched, Keyed):
    """A nested dict as tasks use it."""

    __slots__ = ()


@twin(_container.Counter)
class Counter(Watched, Keyed):
    """A counter as tasks use it."""

    __slots__ = ()


@twin(_container.Namespace)
class Namespace(Watched, Data):
    """A namespace as tasks use it: ``await ns.aio.increment("done")``."""

    __slots__ = ()


@twin(_container.List)
class List(Watched, Keyed):
    """A list as tasks use it."""

    __slots__ = ()


@twin(_container.Deque)
class Deque(Keyed):
    """A deque as tasks use it."""

    __slots__ = ()


@twin(_container.Set)
class Set(Watched, Items):
    """A set as tasks use it."""

    __slots__ = ()
