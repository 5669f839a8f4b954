"""What is in an object: decoded without unpickling, or loaded."""

from __future__ import annotations

from itertools import islice
from math import prod
from typing import TYPE_CHECKING, Any

from courtyard import _native
from courtyard._codec.loading import Unloadable
from courtyard._container import Deque, List, NestedDict, Set
from courtyard._container.nested import NestedList
from courtyard._error import LoadError, NotFound
from courtyard._object.function import watch as own_watch
from courtyard._object.watch import States, Watch
from courtyard._value import RawValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from courtyard._space import Space


def peek(space: Space, name: str, count: int = 10) -> list[Any]:
    """Return up to ``count`` entries of the object of that name, decoded without unpickling.

    Of a dict pairs of key and value, of a list, a set or an array elements, of a value the value
    itself; of a lock or the like nothing. Of a queue the first items, in the order in which they
    would be taken; of a PriorityQueue the first is the next, and the others follow as they stand in
    its heap. Calls of ``get`` on a queue wait for it. A pickle, as value or key, comes as an
    ``Opaque``, and so does an item of more than 1 MiB. What is in a NestedDict comes as plain dicts
    and lists, of up to ``count`` entries each; an inner one that contains itself as ``...``. A
    class of the program's own (a ``Value(Point)``) is not imported: its bytes come instead.
    """
    return _native.peek(lambda: [_plain(e, count, ()) for e in _found(space, name, count)])


def loaded(space: Space, name: str, count: int = 10) -> list[Any]:
    """Return up to ``count`` entries, as ``peek`` does, with pickles loaded: runs what they say.

    What cannot be loaded comes as an ``Unloadable``. To load an item of a queue, it has to be
    taken: such items come as ``peek`` has them.
    """
    try:
        obj = space[name]
    except LoadError as error:
        return [Unloadable(error.class_name)]
    if isinstance(obj, _native.Queue):
        return peek(space, name, count)
    return _native.showing(lambda: _entries(obj, count, _pairs))


def _pairs(obj: _native.Dict[Any, Any], count: int) -> list[tuple[Any, Any]]:
    """Return the first pairs of a dict, of which nothing else is loaded, but for the keys."""
    keys = obj._keys()[:count]
    if any(isinstance(key, Unloadable) for key in keys):
        return obj._items()[:count]  # by such a key nothing is found
    gone = Unloadable("it is gone")
    return [(key, _native.Dict.get(obj, key, gone)) for key in keys]


def _plain(value: Any, count: int, outer: tuple[Any, ...]) -> Any:
    """Return a value with what is shared in it as plain data: its repr must load nothing."""
    if type(value) is tuple:  # a key and its value
        return tuple(_plain(each, count, outer) for each in value)
    if not isinstance(value, NestedDict | NestedList):
        return value
    if any(_native.same_object(value, other) for other in outer):
        return ...
    inside = (*outer, value)
    if isinstance(value, NestedList):
        return [_plain(each, count, inside) for each in value._values()[:count]]
    items = value._items()[:count]
    return {key: _plain(each, count, inside) for key, each in items}


def _found(space: Space, name: str, count: int) -> list[Any]:
    obj, is_bytes = _opened(space, name)
    if is_bytes:
        return [_native.RawValue._bytes(obj)]
    return _entries(obj, count, lambda obj, count: _native.Dict._items(obj)[:count])


def _opened(space: Space, name: str) -> tuple[Any, bool]:
    """Open an object; and whether it is of a program's own class, and can be read as bytes only."""
    native = space._opened()
    found = native.lookup(name)
    if found is None:
        raise NotFound(f"there is no {name!r} in {space!r}")
    described = found[0]
    foreign = len(described) > 1 and _is_foreign(described[1])
    obj: Any = _plainly(native, found) if foreign else space[name]
    return obj, foreign and found[0][1][3:] != ("",)


def watch(space: Space, name: str, keys: list[Any] | None = None) -> Watch[Any, Any]:
    """Follow the object of that name, as its own ``watch`` does.

    In ``peek(lambda: …)``, or ``showing``, what comes is as those have it.
    """
    obj, is_bytes = _opened(space, name)
    if is_bytes:
        return States(obj, lambda: _native.RawValue._bytes(obj))
    return own_watch(obj, keys)


def _entries(obj: Any, count: int, pairs: Callable[[Any, int], list[Any]]) -> list[Any]:
    if isinstance(obj, _native.RawValue):
        return [_native.RawValue.get(obj)]
    if isinstance(obj, _native.RawArray):
        return list(islice(iter(obj), count))
    if isinstance(obj, List | Deque):
        return obj._piece(0, count)[0]
    if isinstance(obj, _native.Queue):
        return obj._peek(count)
    if isinstance(obj, Set):
        return obj._keys()[:count]
    if isinstance(obj, _native.Dict):
        return pairs(obj, count)
    return []


def _is_foreign(described: Any) -> bool:
    """Say whether a class has to be imported to read it."""
    if isinstance(described, tuple) and described[0] == "class":
        return True
    return isinstance(described, tuple) and described[0] == "array" and _is_foreign(described[1])


def _plainly(native: Any, found: Any) -> Any:
    """Open a value or an array of a program's own class: as its bytes, or as any object."""
    import ctypes

    described = found[0][1]
    count = prod(found[0][2]) if len(found[0]) > 2 else 1
    while described[0] == "array":
        described, count = described[1], count * described[2]
    layout = described[3]
    if not layout:
        return RawValue._load(object, found[1])
    nbytes = int(layout.partition(":")[0]) * count
    return RawValue._load(ctypes.c_char * nbytes, found[1])
