"""Classes made for what an object is declared as: its elements or fields, a lock of the user's.

Such a class derives from the one that the user named, has its name, and is made once. A pickle
says the one that the user named: ``home_of``.
"""

from __future__ import annotations

from courtyard import _native
from courtyard._object.subclass import make_home
from courtyard._pickle import is_ours

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_variants: dict[tuple[Any, Any, bool], Any] = {}


def variant(
    cls: Any,
    kind: Any,
    members: Callable[[], dict[str, Any]],
    writers: Iterable[str],
    lock: Any,
    has_fast_items: bool = False,
) -> Any:
    """Return the subclass for a kind of content, and for a lock that is given.

    It has the kind's ``members``; a kind of None has none. If there is a lock, its ``writers``, and
    the members that can be assigned, take it first.
    """
    if kind is None and lock is None:
        return cls
    key = cls, kind, lock is not None
    if key not in _variants:
        body = {} if kind is None else members()
        slots: tuple[str, ...] = ()
        if lock is not None:
            inherited = {name: getattr(cls, name) for name in writers if hasattr(cls, name)}
            for name, member in (inherited | body).items():
                if hasattr(member, "__set__"):
                    body[name] = _attribute(member)
                elif name in writers:
                    body[name] = _method(member)
            body |= _LOCK
            # Without a slot the layout is the class's own: its objects can turn into such.
            if cls.__dictoffset__:
                body["_given_lock"] = property(_kept_lock, _keep_lock)
            else:
                slots = ("_given_lock",)
        body |= {"__slots__": slots, "__module__": cls.__module__, "__doc__": cls.__doc__}
        _variants[key] = made = type(cls)(cls.__name__, (cls,), body)
        make_home(made, cls)
        if has_fast_items and lock is None and is_ours(cls):
            _native.install(made)
    return _variants[key]


def lock_of(obj: Any) -> Any:
    """Return the lock that an object was made with, or None."""
    slot = getattr(type(obj), "_given_lock", None)
    return None if slot is None else slot.__get__(obj)


def _kept_lock(obj: Any) -> Any:
    return obj.__dict__["_given_lock"]


def _keep_lock(obj: Any, lock: Any) -> None:
    obj.__dict__["_given_lock"] = lock


def _under(obj: Any, call: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    lock = lock_of(obj)
    lock.acquire()
    try:
        return call(obj, *args, **keywords)
    finally:
        lock.release()


def _method(method: Any) -> Any:
    def locked(self: Any, *args: Any, **keywords: Any) -> Any:
        return _under(self, method, *args, **keywords)

    locked.__name__, locked.__doc__ = method.__name__, method.__doc__
    return locked


def _attribute(attribute: Any) -> property:
    def set_(self: Any, value: Any) -> None:
        _under(self, attribute.__set__, value)

    return property(attribute.__get__, set_, doc=attribute.__doc__)


def _get_lock(self: Any) -> Any:
    """Return the lock that it was made with."""
    return lock_of(self)


def _acquire(self: Any, *args: Any, **keywords: Any) -> Any:
    """Acquire the lock that it was made with."""
    return lock_of(self).acquire(*args, **keywords)


def _release(self: Any) -> Any:
    """Release the lock that it was made with."""
    return lock_of(self).release()


def _enter(self: Any) -> Any:
    return lock_of(self).__enter__()


def _exit(self: Any, *exception: Any) -> Any:
    return lock_of(self).__exit__(*exception)


_LOCK = {
    "get_lock": _get_lock,
    "acquire": _acquire,
    "release": _release,
    "__enter__": _enter,
    "__exit__": _exit,
}
