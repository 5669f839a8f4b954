"""``Dict``: a dict among processes and threads."""

from __future__ import annotations

from collections.abc import ItemsView, KeysView, Mapping, MutableMapping, ValuesView
from sys import _getframe

from courtyard._container.container import Container, Table
from courtyard._container.copy import deep
from courtyard._container.iteration import iterate
from courtyard._container.store import MappingStore, begin_merge, install
from courtyard._container.view import Items, Keys, Values

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Self, overload

    from _typeshed import SupportsKeysAndGetItem
    from typing_extensions import TypeVar

    from courtyard._object.watch import Change, Watch

    _K = TypeVar("_K", default=Any)
    _V = TypeVar("_V", default=Any)
    _OtherK = TypeVar("_OtherK")
    _OtherV = TypeVar("_OtherV")

    class _Store(MappingStore[_K, _V], MutableMapping[_K, _V]):
        """What it is registered as, below."""

else:
    _Store = MappingStore


class Dict(Container, Table, _Store["_K", "_V"]):
    """A dict among processes and threads.

    All of ``dict``: insertion order, views, ``|``, comparison; ``1 == 1.0 == True`` as a key. Keys
    are compared by a canonical form, since ``hash(str)`` differs between processes: None, texts,
    bytes, numbers, and tuples and frozensets of these are the same key when they are equal. Other
    hashable objects are the same key when their pickles are equal.

    **Values are copies**, as with a Manager: ``d[k].append(1)`` changes a copy. Use ``edit`` or
    ``mutate``, or store the changed value again. Large values are copied once each way. A NumPy
    array or a DataFrame that a call returns is the caller's own and may be written to;
    ``get(key, copy=False)`` gives a read-only view of a large one, without a copy.

    Reading takes no lock. Each change is seen whole; ``update``, ``|=``, ``set_many`` and ``clear``
    are one change each. Iteration goes over a snapshot of the keys and never raises for a change
    by others; ``copy()``, ``dict(d)`` and ``{**d}`` are of one moment. ``next(iter(d))`` and
    ``next(reversed(d))`` read one key alone; the second call of ``next`` takes a snapshot of the
    keys, and goes over those of them that were there at the first call. ``get_lock()`` keeps all
    other writers out for more than one operation.

    Beyond ``dict``: ``increment``, ``compare_exchange``, ``mutate``, ``edit``, ``get_many``,
    ``set_many``, ``get_lock``, ``wait_for``, ``version``; ``move_to_end`` and
    ``popitem(last=False)`` as in ``OrderedDict``.

    A killed process has changed a key wholly or not at all; what a call that returned has stored
    stays. Its lock is free again.

    >>> import courtyard as cy
    >>> d = cy.Dict(a=1)
    >>> d["b"] = [2, 3]
    >>> d
    <courtyard.Dict: {'a': 1, 'b': [2, 3]}>
    >>> d.increment("a"), d.pop("b"), len(d)
    (2, [2, 3], 1)
    """

    __slots__ = ()

    if TYPE_CHECKING:  # what it is filled with says what it holds, as in dict

        @overload
        def __init__(self, /) -> None: ...
        @overload
        def __init__(self: Dict[str, _V], /, **kwargs: _V) -> None: ...
        @overload
        def __init__(self, mapping: SupportsKeysAndGetItem[_K, _V], /) -> None: ...
        @overload
        def __init__(
            self: Dict[str, _V], mapping: SupportsKeysAndGetItem[str, _V], /, **kwargs: _V
        ) -> None: ...
        @overload
        def __init__(self, pairs: Iterable[tuple[_K, _V]], /) -> None: ...
        @overload
        def __init__(
            self: Dict[str, _V], pairs: Iterable[tuple[str, _V]], /, **kwargs: _V
        ) -> None: ...
        def __init__(self, /, *args: Any, **kwargs: Any) -> None: ...

        @classmethod
        @overload
        def fromkeys(
            cls, iterable: Iterable[_OtherK], value: None = None, /
        ) -> Dict[_OtherK, Any | None]: ...
        @classmethod
        @overload
        def fromkeys(
            cls, iterable: Iterable[_OtherK], value: _OtherV, /
        ) -> Dict[_OtherK, _OtherV]: ...
        @classmethod
        def fromkeys(cls, iterable: Any, value: Any = None, /) -> Dict[Any, Any]: ...

    else:

        def __init__(self, /, *args, **kwargs):
            """Fill it as ``dict`` does: from a mapping or pairs, and keywords."""
            if len(args) > 1:
                name = type(self).__name__
                raise TypeError(f"{name} expected at most 1 argument, got {len(args)}")
            self.update(*args, **kwargs)

        @classmethod
        def fromkeys(cls, iterable, value=None, /):
            """Make a Dict with these keys, all of one value.

            >>> import courtyard as cy
            >>> cy.Dict.fromkeys("ab", 0)
            <courtyard.Dict: {'a': 0, 'b': 0}>
            """
            made = cls()
            made.update(dict.fromkeys(iterable, value))
            return made

    def _store_setitem(self, key: _K, value: _V, /) -> None:
        """Do what ``self[key] = value`` does in a Dict: for types in which that does more."""

    def _begin_merge(self, place: tuple[int, int]) -> list[_K]:
        """Return the keys for the one call made there, which gets the values of that moment."""
        return begin_merge(self, place)

    @classmethod
    def _gathered(cls, *initial: Any) -> tuple[Any, ...]:
        if len(initial) != 1 or hasattr(initial[0], "keys"):
            return initial
        return (dict(initial[0]),)

    def update(self, other: Any = (), /, **kwargs: Any) -> None:
        """Store what a mapping or an iterable of pairs has, and the keywords: all, or nothing.

        Others see all of it at once. Waits while another holds ``get_lock()``. Raises what the
        argument raises, what pickling a value raises, and SpaceFull; then nothing has changed. A
        process killed meanwhile has stored all, or nothing. As dict.update.

        >>> import courtyard as cy
        >>> d = cy.Dict(a=1)
        >>> d.update({"b": 2}, c=3)
        >>> dict(d)
        {'a': 1, 'b': 2, 'c': 3}
        """
        if kwargs or type(other) is not dict:
            other = dict(_plain(other), **kwargs)
        if len(other) == 1:
            [(key, value)] = other.items()
            self[key] = value
        elif other:
            self._change_all(other, [])

    def set_many(self, mapping: Any, /) -> None:
        """Store the values of many keys at once, all or none, as ``update`` does.

        >>> import courtyard as cy
        >>> d = cy.Dict()
        >>> d.set_many({"a": 1, "b": 2})
        >>> sorted(d)
        ['a', 'b']
        """
        self.update(mapping)

    def get_many(self, keys: Iterable[_K], /) -> dict[_K, _V]:
        """Return the values of those keys that exist, as they were at one moment.

        Reads them again if another writer changed the dict in between; after 30 such attempts, it
        holds ``get_lock()`` for the next. Raises TypeError for a key that cannot be hashed.

        >>> import courtyard as cy
        >>> cy.Dict(a=1, b=2, c=3).get_many(["c", "a", "z"])
        {'c': 3, 'a': 1}
        """
        return self._find_all(list(keys))

    def keys(self) -> KeysView[_K]:
        """Return a view of the keys: set-like, live; its iteration is over a snapshot.

        >>> import courtyard as cy
        >>> d = cy.Dict(a=1)
        >>> keys = d.keys(); d["b"] = 2; sorted(keys), keys & {"b", "c"}
        (['a', 'b'], {'b'})
        """
        return Keys(self, _getframe(1))

    def values(self) -> ValuesView[_V]:
        """Return a view of the values; its iteration is over a snapshot.

        >>> import courtyard as cy
        >>> sum(cy.Dict(a=1, b=2).values())
        3
        """
        return Values(self)

    def items(self) -> ItemsView[_K, _V]:
        """Return a view of keys and values: set-like, live; its iteration is over a snapshot.

        Keys and values are as they were at one moment.

        >>> import courtyard as cy
        >>> list(cy.Dict(a=1, b=2).items())
        [('a', 1), ('b', 2)]
        """
        return Items(self)

    def copy(self) -> dict[_K, _V]:
        """Return a plain dict with all keys and values as they were at one moment; O(length).

        >>> import courtyard as cy
        >>> cy.Dict(a=1).copy()
        {'a': 1}
        """
        return self._copied()

    def watch(self, keys: Iterable[_K] | None = None) -> Watch[dict[_K, _V], Change]:
        """Follow all keys, or those that are given: ``for key, value in d.watch()``.

        What it returns has a ``state``, all that is there now, and gives each change after that
        as it comes: see ``courtyard.Watch``. The value of a key that was deleted is
        ``courtyard.DELETED``. O(length), or O(keys); a change of one key then costs the same
        however many there are. Raises TypeError for a key that cannot be hashed.

        >>> import courtyard as cy
        >>> d = cy.Dict(a=1, b=2)
        >>> changes = d.watch(["a"])
        >>> d["b"] = 3; d["a"] = 4
        >>> changes.state, changes.get()
        ({'a': 1}, Change(key='a', value=4))
        """
        from courtyard._object.watch import Keys

        return Keys(self, keys, dict)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        """Return a plain dict with copies of all that is in it, for ``copy.deepcopy``."""
        return deep(self, memo, {}, dict.update, self._items)

    def __iter__(self) -> Iterator[_K]:
        """Iterate over a snapshot of the keys; ``next(iter(d))`` reads the first alone.

        >>> import courtyard as cy
        >>> d = cy.Dict(a=1, b=2, c=3)
        >>> next(iter(d)), next(reversed(d)), next(iter(d.items()))
        ('a', 'c', ('a', 1))
        """
        return iterate(len(self), self._keys, self._first_key, _getframe(1))

    def __reversed__(self) -> Iterator[_K]:
        """Iterate over a snapshot of the keys, the last put in first."""
        return iterate(len(self), self._keys, self._first_key, _getframe(1), True)

    def __or__(self, other: Mapping[_OtherK, _OtherV]) -> dict[_K | _OtherK, _V | _OtherV]:
        """Return a plain dict of both, the values of the right one first."""
        if not isinstance(other, Mapping):
            return NotImplemented
        return self.copy() | dict(_plain(other))  # type: ignore[return-value]

    def __ror__(self, other: Mapping[_OtherK, _OtherV]) -> dict[_K | _OtherK, _V | _OtherV]:
        """Return a plain dict of both, the values of this one first."""
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(_plain(other)) | self.copy()

    def __ior__(self, other: Any) -> Self:  # type: ignore[misc]
        """Store what a mapping or pairs have, all at once."""
        self.update(other)
        return self

    def __eq__(self, other: object) -> bool:
        """Compare keys and values, with a Dict or any mapping."""
        if not isinstance(other, Mapping):
            return NotImplemented
        if isinstance(other, Dict) and other._identity() == self._identity():
            return True
        return len(self) == len(other) and self.copy() == dict(_plain(other))

    __hash__ = None  # type: ignore[assignment]


def _plain(other: Any) -> Any:
    """Return a Dict's content as it was at one moment; anything else as it is."""
    return other.copy() if isinstance(other, Dict) else other


MutableMapping.register(Dict)
install(Dict)
Dict._store_setitem = Dict.__setitem__  # type: ignore[method-assign]
