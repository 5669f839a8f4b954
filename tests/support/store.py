"""A store for containers that is no shared memory: the builtins of this process.

It provides what ``courtyard/_container/store.pyi`` says, and nothing more; so a container that
asks for anything else raises NotMade, as the native part of its handle is not made.
"""

import collections
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import courtyard as cy
from courtyard._container.nested import NestedList
from courtyard._public import in_store

OURS = "courtyard.local"  # where such classes stand in the package


def reading(name: str) -> Callable[..., Any]:
    """Return a method that asks the builtin."""
    return lambda self, *arguments: getattr(self._held, name)(*arguments)


def changing(name: str) -> Callable[..., Any]:
    """Return a method that changes the builtin."""

    def change(self: Any, *arguments: Any) -> Any:
        found = getattr(self._held, name)(*arguments)
        self._version += 1
        return found

    return change


class Local:
    """What everything in this store has."""

    __module__ = OURS
    _builtin: Any = None
    _numbers = count()
    _closed = False
    name = None

    def __new__(cls, /, *_arguments: Any, **_keywords: Any) -> Any:
        made = cls._unmade((cls.__name__, 0, 2**64 - 1, 0, 0, 0))  # type: ignore[attr-defined]
        made._held, made._version, made._number = cls._builtin(), 0, next(cls._numbers)
        made._lock = threading.RLock()
        return made

    version = property(lambda self: self._version)

    def _is_made(self) -> bool:
        return True

    def _identity(self) -> tuple[int, int, int]:
        return 0, 0, self._number  # type: ignore[attr-defined]

    def _references(self) -> int:
        return 1

    def _beside(self, make: Any) -> Any:
        return IN_THIS_STORE[make]()

    def get_lock(self) -> Any:
        return self._lock  # type: ignore[attr-defined]

    def check(self) -> None:
        """Find nothing: there is no memory to be wrong."""

    def close(self) -> None:
        self._closed = True

    __len__, clear = reading("__len__"), changing("clear")


class LocalTable(Local):
    """Keys: those of a dict."""

    __module__ = OURS
    _builtin = dict
    _store_contains = reading("__contains__")

    def _put(self, key: Any) -> None:
        self._change_all({key: None}, [])

    def _remove(self, key: Any) -> bool:
        found = key in self._held
        self._change_all({}, [key] if found else [])
        return found

    def _pop_last(self) -> Any:
        if not self._held:
            raise KeyError("pop from an empty set")
        return self._held.popitem()[0]

    def _keys(self, begun: Any = None) -> list[Any]:
        return rest(list(self._held), begun)

    def _first_key(self, last: bool) -> Any:
        return first(list(self._held), last)

    def _change_all(self, pairs: Any, gone: Any) -> None:
        held = {key: value for key, value in self._held.items() if key not in set(gone)}
        self._held: Any = held | pairs
        self._version: int = self._version + 1


class LocalMapping(LocalTable):
    """Keys with values: a dict."""

    __module__ = OURS
    __contains__ = reading("__contains__")
    get, setdefault = reading("get"), changing("setdefault")
    __setitem__ = _store_setitem = changing("__setitem__")
    __delitem__ = changing("__delitem__")
    pop = changing("pop")

    def __getitem__(self, key: Any) -> Any:
        if key not in self._held and hasattr(self, "__missing__"):
            return self.__missing__(key)
        return self._held[key]

    def popitem(self, last: bool = True) -> Any:
        key = first(list(self._held), last)[0][0] if self._held else self._held.popitem()
        return key, self.pop(key)

    def move_to_end(self, key: Any, last: object = True) -> None:
        value = self._held.pop(key)
        self._held = {**self._held, key: value} if last else {key: value, **self._held}

    def increment(self, key: Any, n: Any = 1, default: Any = 0) -> Any:
        self[key] = self._held.get(key, default) + n
        return self._held[key]

    def compare_exchange(self, key: Any, expected: Any, new: Any) -> bool:
        is_so: bool = self._held[key] == expected
        if is_so:
            self[key] = new
        return is_so

    def mutate(self, key: Any, fn: Any, *default: Any) -> Any:
        self[key] = new = fn(self._held.get(key, *default) if default else self._held[key])
        return new

    @contextmanager
    def edit(self, key: Any, *default: Any) -> Iterator[Any]:
        value = self._held.get(key, *default) if default else self._held[key]
        yield value
        self[key] = value

    def _items(self, begun: Any = None) -> list[Any]:
        return rest(list(self._held.items()), begun)

    def _values(self, begun: Any = None) -> list[Any]:
        return rest(list(self._held.values()), begun)

    def _first_item(self, last: bool) -> Any:
        return first(list(self._held.items()), last)

    def _begin_merge(self, place: Any) -> list[Any]:
        return list(self._held)

    def _copied(self) -> dict[Any, Any]:
        return dict(self._held)

    def _find_all(self, keys: list[Any]) -> dict[Any, Any]:
        return {key: self._held[key] for key in keys if key in self._held}

    def _add_all(self, pairs: Any, negative: bool) -> None:
        sums = {
            key: self._held.get(key, 0) - n if negative else n + self._held.get(key, 0)
            for key, n in pairs.items()
        }
        self._change_all(sums, [])


class LocalSequence(Local):
    """Values in a row: a list."""

    __module__ = OURS
    _builtin: Any = list
    __getitem__, __setitem__ = reading("__getitem__"), changing("__setitem__")
    __delitem__, append, insert = changing("__delitem__"), changing("append"), changing("insert")
    reverse, pop = changing("reverse"), changing("pop")

    def _moment(self) -> tuple[int, int]:
        return self._version, len(self)

    def _values(self) -> list[Any]:
        return list(self._held)

    def _piece(self, start: int, stop: int | None) -> Any:
        return list(self._held)[start:stop], self._moment()

    def _look(self) -> Any:
        return self._values(), self._moment()

    def _keep(self, moment: Any, places: list[int]) -> bool:
        if moment != self._moment():
            return False
        self[:] = [self._held[place] for place in places]
        return True

    def _drop_at(self, moment: Any, place: int) -> bool:
        if moment != self._moment():
            return False
        del self[place]
        return True

    def _extend(self, values: list[Any], front: bool) -> None:
        self._held.extendleft(values) if front else self._held.extend(values)
        self._version: int = self._version + 1

    def _repeat(self, times: Any) -> None:
        self._held *= times

    _held: Any


class LocalDeque(LocalSequence):
    """Values with two ends: a deque."""

    __module__ = OURS
    _builtin = collections.deque
    appendleft, popleft, rotate = changing("appendleft"), changing("popleft"), changing("rotate")

    def _set_maxlen(self, maxlen: int | None) -> None:
        self._held = collections.deque(self._held, maxlen)

    maxlen = property(lambda self: self._held.maxlen, _set_maxlen)


def first(values: list[Any], last: bool) -> Any:
    """Return the first or the last in a list, and what ``rest`` takes."""
    return values[-1:] if last else values[:1], (int(last), len(values))


def rest(values: list[Any], begun: Any) -> list[Any]:
    """Return all values, or those that were not the first."""
    if begun is None:
        return values
    return values[:-1] if begun[0] else values[1:]


def local(name: str, *bases: type) -> Any:
    """Return a class as a store would have it: of courtyard's package."""
    return type(name, bases, {"__module__": OURS})


Dict = local("Dict", LocalMapping, cy.Dict)
NestedDict, Counter = in_store(cy.NestedDict, Dict), in_store(cy.Counter, Dict)
Namespace = local("Namespace", LocalMapping, cy.Namespace)
Set = local("Set", LocalTable, cy.Set)
List = local("List", LocalSequence, cy.List)
Deque = local("Deque", LocalDeque, cy.Deque)
IN_THIS_STORE = {cy.NestedDict: NestedDict, NestedList: in_store(NestedList, List)}
