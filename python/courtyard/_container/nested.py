"""``NestedDict``: a Dict in which dicts and lists are shared ones, at any depth."""

from __future__ import annotations

from courtyard._container.copy import at_one_moment
from courtyard._container.dict import Dict
from courtyard._container.list import List
from courtyard._container.store import soon

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, SupportsIndex, TypeVar

    _K = TypeVar("_K")
    _V = TypeVar("_V")
    _T = TypeVar("_T")


class _Absent:
    def __repr__(self) -> str:
        return "..."  # in signatures


_ABSENT: Any = _Absent()


class NestedDict(Dict["_K", "_V"]):
    """A Dict in which the dicts and lists that are stored become shared ones, at any depth.

    So ``d["a"]["b"] = 1`` is seen by all, and ``d["a"].increment("b")`` is exact. A dict becomes a
    NestedDict and a list a ``courtyard.List`` of the same kind, both of this dict's space. That
    goes for plain dicts and lists, however they are stored, and for those in them; not for
    subclasses, nor for what is in other values, as in tuples: **these are copies**, as in ``Dict``.
    What is shared already is stored as it is, so one dict may be in several places, or in itself.

    All else is as in ``Dict``. Storing a tree is one change: others see all of it, or nothing. Each
    dict and list in it is an object of its own, of some 1500 bytes; to look one up takes
    microseconds, so keep ``inner = d["a"]`` for many operations. It lives on in ``inner`` when the
    key has another value.

    If storing raises, nothing has changed. A process that is killed meanwhile has stored the whole
    tree, or nothing.

    >>> import courtyard as cy
    >>> d = cy.NestedDict(a={"n": 1}, l=[{"x": 1}])
    >>> d["a"]["n"] += 1; d["l"].append([3])
    >>> d["a"].increment("n"), d["l"][1][0]
    (3, 3)
    >>> d == {"a": {"n": 3}, "l": [{"x": 1}, [3]]}
    True
    """

    __slots__ = ()

    def __setitem__(self, key: _K, value: Any, /) -> None:
        """Store a value; a dict or a list in it becomes a shared one."""
        if type(value) not in _KINDS:
            self._store_setitem(key, value)
            return
        with _Sharing(self) as share:
            self._store_setitem(key, share(value))

    def setdefault(self, key: _K, default: Any = None, /) -> Any:
        """Return the value of a key; store default there first if there is none. Atomic.

        A dict or a list as the default comes back as the shared one that was made of it.
        """
        if type(default) not in _KINDS:
            return super().setdefault(key, default)
        found = self.get(key, _ABSENT)
        if found is not _ABSENT:
            return found
        with _Sharing(self) as share:
            return super().setdefault(key, share(default))

    def increment(self, key: _K, n: Any = 1, default: Any = 0) -> _V:
        """Add n to the value of a key atomically and return the new value, as ``Dict`` does."""
        if type(n) not in _KINDS:
            return super().increment(key, n, default)
        return self.mutate(key, lambda value: value + n, default)  # type: ignore[no-any-return]

    def compare_exchange(self, key: _K, expected: Any, new: Any) -> bool:
        """Store a new value if that of a key equals what is expected, as ``Dict`` does."""
        with _Sharing(self) as share:
            return super().compare_exchange(key, expected, share(new))

    def mutate(self, key: _K, fn: Callable[[Any], Any], default: Any = _ABSENT) -> Any:
        """Replace the value of a key by fn(value) and return that, as ``Dict`` does.

        ``fn`` may be called again, if another writer changed the dict in between. Each call gets a
        copy of its own of a value that is no shared dict or list, and of the default.
        """
        given = () if default is _ABSENT else (default,)
        with _Sharing(self) as share:
            return super().mutate(key, lambda value: share.anew(fn(value)), *given)

    def to_plain(self) -> dict[Any, Any]:
        """Return all of it as plain dicts and lists, as it was at one moment: to save, for json.

        Other containers in it become builtins too, in tuples and objects as well; locks and queues
        stay handles. What is in two places, or in itself, is so in the result. It reads everything,
        and again if another writer changed something in between; after 30 such attempts, it holds
        the locks of all the containers for the next. O(size), some microseconds for each container.

        Raises what copying the values raises, and RuntimeError if that changes the containers.

        >>> import courtyard as cy, json
        >>> d = cy.NestedDict(a={"n": [1, 2]})
        >>> json.dumps(d.to_plain())
        '{"a": {"n": [1, 2]}}'
        """
        return at_one_moment(self)  # type: ignore[no-any-return]

    def _change_all(self, pairs: dict[Any, Any], gone: list[Any]) -> None:
        with _Sharing(self) as share:
            shared = {key: share(value) for key, value in list(pairs.items())}
            super()._change_all(shared, gone)

    def _fill(self, pairs: dict[Any, Any]) -> None:
        super()._change_all(pairs, [])


class NestedList(List["_T"]):
    """A List in a NestedDict: the dicts and lists stored in it become shared ones, too.

    >>> import courtyard as cy
    >>> x = cy.NestedDict(l=[])["l"]
    >>> x.append({"n": 1}); x[0]["n"] = 2
    >>> x
    <courtyard.NestedList: [<courtyard.NestedDict: {'n': 2}>]>
    """

    __slots__ = ()

    def __setitem__(self, key: Any, value: Any, /) -> None:
        """Store a value, or the values of an iterable in place of a slice."""
        with _Sharing(self) as share:
            shared = [share(each) for each in value] if isinstance(key, slice) else share(value)
            super().__setitem__(key, shared)

    def append(self, value: Any, /) -> None:
        """Put a value at the end."""
        with _Sharing(self) as share:
            super().append(share(value))

    def insert(self, index: SupportsIndex, value: Any, /) -> None:
        """Put a value before that with the index."""
        with _Sharing(self) as share:
            super().insert(index, share(value))

    def _extend(self, values: list[Any], front: bool) -> None:
        with _Sharing(self) as share:
            super()._extend([share(value) for value in values], front)

    def to_plain(self) -> list[Any]:
        """Return all of it as plain lists and dicts, as ``NestedDict.to_plain()`` does."""
        return at_one_moment(self)  # type: ignore[no-any-return]

    def _fill(self, values: list[Any]) -> None:
        super()._extend(values, False)


class _Sharing:
    """Makes shared ones of dicts and lists, beside the container that is to hold them.

    What was made and is not stored in the end is given back at once, cycles too. A change may have
    happened all the same, when a signal handler raises just after it: then all of it stays.
    """

    __slots__ = ("_holder", "_inner", "_made", "_may_loop", "_sources")

    def __init__(self, holder: Any) -> None:
        self._holder = holder
        self._begin()

    def _begin(self) -> None:
        self._made: dict[int, Any] = {}  # by the address of what each was made of
        self._sources: list[Any] = []  # which has to stay where it is meanwhile
        self._inner = 0  # how often those that were made hold each other
        self._may_loop = False

    def __enter__(self) -> _Sharing:
        return self

    def __exit__(self, class_: Any, *_error: Any) -> Literal[False]:
        if class_ is not None or self._may_loop:
            soon(self._give_back)
        return False

    def __call__(self, value: Any) -> Any:
        kind = _KINDS.get(type(value))
        if kind is None:
            return value
        if id(value) in self._made:
            self._may_loop = True
            return self._made[id(value)]
        self._sources.append(value)
        made = self._made[id(value)] = self._holder._beside(kind)
        if kind is NestedDict:
            pairs = {key: self._share_inner(each) for key, each in value.items()}
            if pairs:
                made._fill(pairs)
        elif value:
            made._fill([self._share_inner(each) for each in value])
        return made

    def anew(self, value: Any) -> Any:
        """Share a value in place of the last one, which was not stored."""
        if self._may_loop:
            soon(self._give_back)
        self._begin()
        return self(value)

    def _share_inner(self, value: Any) -> Any:
        self._inner += type(value) in _KINDS
        return self(value)

    def _give_back(self) -> None:
        # Only what is in a cycle has to be emptied: all else goes with its last reference.
        if not self._made or self._is_stored():
            return
        for made in self._made.values():
            if self._may_loop:
                made.clear()
            made.close()

    def _is_stored(self) -> bool:
        """Say whether anything but this, and what was made, holds any of what was made."""
        references = sum(made._references() for made in self._made.values())
        stored: bool = references > len(self._made) + self._inner
        return stored


_KINDS: dict[Any, Any] = {dict: NestedDict, list: NestedList}
