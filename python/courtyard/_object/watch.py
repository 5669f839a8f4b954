"""``Watch``: following the changes of an object."""

from __future__ import annotations

from _thread import RLock
from os import getpid
from queue import Empty
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from courtyard import _native
from courtyard._error import Closed
from courtyard._object.object import seconds
from courtyard._object.subclass import home_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self


class Change(NamedTuple):
    """A change of a key: the key, and the value that it has now, ``DELETED`` for none."""

    key: Any
    value: Any


for _field, _doc in (
    (Change.key, "The key; the element of a Set; the name of an attribute."),
    (Change.value, "The value that it has now; ``DELETED`` if it was removed."),
):
    _field.__doc__ = _doc
del _field, _doc


class _Deleted:
    """The type of ``DELETED``."""

    __slots__ = ()
    __module__ = "courtyard"

    def __repr__(self) -> str:
        return "courtyard.DELETED"

    def __reduce__(self) -> str:
        return "DELETED"


# The value of a key that was deleted, as a Change says it.
DELETED = _Deleted()

# The longest wait for a lock of Python's own.
_LONGEST = 1_000_000.0
# How often a state is read beside writers, to know of which version it is.
_MAX_ATTEMPTS = 10

_State = TypeVar("_State")
_Item = TypeVar("_Item")


class Watch(Generic[_State, _Item]):
    """What follows the changes of an object: ``d.watch()``.

    ``state`` is the content of the object when the watch began: a plain value, dict, set or list.
    Iteration, or ``get()``, gives each change after that, and waits for the next one without using
    the CPU. For a Value or a List a change is the new value, or all of the list. For the others it
    is a ``Change(key, value)``. The value is ``DELETED`` for a key that was deleted, and True for
    an element that was added to a Set.

    Changes come in the order in which they were made. A watcher that is slower than the writers may
    miss values in between, but never the last value of a key, nor that a key was deleted: what
    changed since it last looked comes as it was at one moment, each key once, in the turn of its
    last change. Of a watcher that is hundreds of changes behind, the keys that changed come in the
    order that they have in the object. To store what a key has already is no change.

    Iteration ends when the watch or the object's handle is closed. Threads may share a watch: each
    change goes to one of them. A watch belongs to one process and cannot be pickled. A process that
    is killed while it watches leaves nothing; but a container that was ever watched keeps 8 KiB, in
    which its writers note what they change, so that watchers need not search all of it.

    >>> import courtyard as cy
    >>> d = cy.Dict(a=1)
    >>> with d.watch() as changes:
    ...     d["b"] = 2; del d["a"]
    ...     changes.state, changes.get(), changes.get()
    ({'a': 1}, Change(key='b', value=2), Change(key='a', value=courtyard.DELETED))
    """

    def __init__(self, obj: Any) -> None:
        """Begin to follow an object; ``obj.watch()`` does that."""
        self._object, self._is_closed = obj, False
        self._process, self._turn = getpid(), RLock()
        self.state: _State = self._begin()

    def get(self, timeout: float | None = None) -> _Item:
        """Wait for the next change and return it; with a timeout of 0, do not wait.

        Raises ``queue.Empty`` after ``timeout`` seconds, Closed if the watch or the object's handle
        is closed, and what loading a key or value raises; the next call then goes on behind it.

        >>> import courtyard as cy
        >>> v = cy.Value("i", 1)
        >>> with v.watch() as values:
        ...     v.value = 2
        ...     values.state, values.get(timeout=5)
        (1, 2)
        """
        timeout = seconds(timeout)
        self._require_own()
        end = None if timeout is None else monotonic() + timeout
        if not self._turn.acquire(
            timeout=-1 if timeout is None else min(max(timeout, 0), _LONGEST)
        ):
            raise Empty
        try:
            while True:
                if not self._look():
                    left = None if end is None else end - monotonic()
                    if left is not None and left <= 0:
                        raise Empty
                    _native.Object.wait_for(*self._waited_for(), left)
                for change in self._take():
                    return change
        finally:
            self._turn.release()

    def __iter__(self) -> Iterator[_Item]:
        """Iterate over the changes, until the watch or the object's handle is closed."""
        return self

    def __next__(self) -> _Item:
        """Wait for the next change."""
        try:
            return self.get()
        except Closed:
            raise StopIteration from None

    def close(self) -> None:
        """End the watch: those who wait for a change go on. Closing it twice is allowed."""
        self._is_closed = True
        _native.Object._stir(self._object)

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Say what it follows."""
        return f"<courtyard.Watch of {self._object!r}>"

    def __reduce__(self) -> Any:
        """Refuse to be pickled."""
        raise TypeError(
            "a Watch belongs to one process and cannot be pickled; send the object, and watch that"
        )

    def _look(self) -> bool:
        """Say whether there may be something to take."""
        self._require_own()
        return self._is_closed or self._has_changed()

    def _require_own(self) -> None:
        if self._process != getpid():  # a thread of the parent's may have been in it
            raise RuntimeError("this watch is that of the parent process; begin one: obj.watch()")

    def _take(self) -> tuple[_Item, ...]:
        """Take the next change, if there is one."""
        if self._is_closed:
            raise Closed("this watch is closed; begin another one")
        return self._next()

    def _waited_for(self) -> tuple[Any, Callable[[Any], bool]]:
        """Return the object and the condition that ``cy.wait`` waits for."""
        return self._object, lambda _: self._look()

    def _begin(self) -> _State:
        """Return what is there."""
        raise TypeError("a Watch is made by an object: obj.watch()")

    def _has_changed(self) -> bool:
        """Look whether something has changed."""
        raise NotImplementedError

    def _next(self) -> tuple[_Item, ...]:
        """Return the next change that was found, or nothing."""
        raise NotImplementedError


class Keys(Watch[_State, Change]):
    """What follows the keys of a container."""

    def __init__(
        self,
        obj: Any,
        keys: Iterable[Any] | None,
        plain: Callable[[dict[Any, Any]], _State],
    ) -> None:
        """Begin to follow all keys, or those given; ``plain`` makes the state of a dict."""
        if isinstance(keys, (str, bytes)):
            raise TypeError(f"keys: expected an iterable of keys, found {keys!r}; give [{keys!r}]")
        self._wanted, self._plain = None if keys is None else list(keys), plain
        super().__init__(obj)

    def _begin(self) -> _State:
        self._found, state = home_of(self._object)._watch(self._object, self._wanted)
        return self._plain(state)

    def _has_changed(self) -> bool:
        return bool(self._found.look())

    def _next(self) -> tuple[Change, ...]:
        taken = self._found.take()
        if taken is None:
            return ()
        key, *values = taken
        return (Change(key, *values or (DELETED,)),)


class Elements(Keys[set[Any]]):
    """What follows the elements of a set."""

    def _next(self) -> tuple[Change, ...]:
        return tuple(
            change if change.value is DELETED else Change(change.key, True)
            for change in super()._next()
        )


class States(Watch[_State, _State]):
    """What follows an object as a whole."""

    def __init__(self, obj: Any, read: Callable[[], _State]) -> None:
        """Begin to follow it; ``read`` returns its content."""
        self._read = read
        super().__init__(obj)

    def _version(self) -> int:
        return int(_native.Object.version.__get__(self._object))

    def _begin(self) -> _State:
        for _ in range(_MAX_ATTEMPTS):
            self._seen = self._version()
            state = self._read()
            if self._seen == self._version():
                break  # else the same state may come once more
        return state

    def _has_changed(self) -> bool:
        return self._version() != self._seen

    def _next(self) -> tuple[_State, ...]:
        return (self._begin(),) if self._has_changed() else ()


for _cls in (Keys, Elements, States):  # all are a Watch to users
    _cls.__name__ = _cls.__qualname__ = "Watch"
del _cls
