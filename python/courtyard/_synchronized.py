"""Values and arrays under a lock of the user's, as ``multiprocessing.sharedctypes`` has them."""

from __future__ import annotations

from courtyard import _array, _native, _value
from courtyard._array import RawArray
from courtyard._declaration import require_lock
from courtyard._value import RawValue

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any


def under_a_lock(cls: Any, methods: Iterable[str], attributes: Iterable[str]) -> Any:
    """Return a subclass whose writers take the lock in ``_given_lock`` first."""
    methods = [name for name in methods if callable(getattr(cls, name, None))]
    body: dict[str, Any] = {name: _method(getattr(cls, name)) for name in methods}
    for name in ("get_lock", "acquire", "release", "__enter__", "__exit__"):
        body[name] = globals()[f"_{name.strip('_')}"]
    for name in attributes:
        found = getattr(cls, name, None)
        if hasattr(found, "__set__"):
            body[name] = _attribute(found)
    # Without a slot the layout is the class's own: its objects can turn into such.
    has_dict = cls.__dictoffset__ != 0
    body["__slots__"] = () if has_dict else ("_given_lock",)
    if has_dict:
        body["_given_lock"] = property(_kept_lock, _keep_lock)
    body["__module__"] = cls.__module__
    body["__doc__"] = cls.__doc__
    made = type(cls)(cls.__name__, (cls,), body)
    return made


def _kept_lock(obj: Any) -> Any:
    return obj.__dict__["_given_lock"]


def _keep_lock(obj: Any, lock: Any) -> None:
    obj.__dict__["_given_lock"] = lock


def given_lock(obj: Any) -> Any:
    """Return the lock that an object was made with, or None."""
    slot = getattr(type(obj), "_given_lock", None)
    return None if slot is None else slot.__get__(obj)


def _under(obj: Any, call: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    lock = given_lock(obj)
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
    return given_lock(self)


def _acquire(self: Any, *args: Any, **keywords: Any) -> Any:
    """Acquire the lock that it was made with."""
    return given_lock(self).acquire(*args, **keywords)


def _release(self: Any) -> Any:
    """Release the lock that it was made with."""
    return given_lock(self).release()


def _enter(self: Any) -> Any:
    return given_lock(self).__enter__()


def _exit(self: Any, *exception: Any) -> Any:
    return given_lock(self).__exit__(*exception)


def copy(obj: Any) -> Any:
    """Return a shared copy of a ctypes object, a value or an array, without a lock.

    As ``multiprocessing.sharedctypes.copy``. What is shared already is copied as it is at one
    moment.

    Raises TypeError for what cannot be shared.

    >>> import courtyard as cy, ctypes
    >>> number = ctypes.c_int(5)
    >>> shared = cy.copy(number); number.value = 6
    >>> shared
    <courtyard.RawValue(c_int): 5>
    """
    if isinstance(obj, _native.RawArray):
        data = _native.RawArray._read(obj, 0, obj.nbytes)
        return _filled(RawArray(obj._declared, shape=obj.shape), data)
    if isinstance(obj, _native.RawValue):
        return _value.filled(RawValue, obj, _native.RawValue.get(obj))
    import ctypes

    if isinstance(obj, ctypes.Array):
        return _filled(RawArray(type(obj)._type_, len(obj)), bytes(obj))
    if isinstance(obj, ctypes._SimpleCData | ctypes.Structure | ctypes.Union):
        made: Any = RawValue(type(obj))
        simple = isinstance(obj, ctypes._SimpleCData)
        _native.RawValue.set(made, obj.value if simple else obj)
        return made
    raise TypeError(f"expected a ctypes object, a value or an array, found {type(obj).__name__}")


def _filled(array: Any, data: bytes) -> Any:
    _native.RawArray._fill(array, data)
    return array


def synchronized(obj: Any, lock: Any = None, ctx: Any = None) -> Any:
    """Return a ``RawValue`` or a ``RawArray`` as a ``Value`` or an ``Array``: of the same memory.

    As ``multiprocessing.sharedctypes.synchronized``; without ``lock`` it gets the lock of its
    own that every value has.

    Raises AssertionError for what has a lock already, TypeError for what is not shared.

    >>> import courtyard as cy
    >>> raw = cy.RawValue("i", 5)
    >>> value = cy.synchronized(raw)
    >>> with value.get_lock():
    ...     value.value += 1
    >>> raw.value
    6
    """
    if isinstance(obj, _native.Value | _native.Array):
        raise AssertionError("object already synchronized")
    if lock is not None:
        require_lock(lock)
    if isinstance(obj, _native.RawArray):
        return _array._rebuild(
            _array.Array, obj._declared, obj.shape, _native.RawArray._address(obj), lock
        )
    if isinstance(obj, _native.RawValue):
        declared = _native.RawValue._declared.__get__(obj)
        return _value._make(_value.Value, declared, (), _native.RawValue._address(obj), lock)
    raise TypeError(
        f"expected a RawValue or a RawArray, found {type(obj).__name__}: copy() makes one of a "
        "ctypes object"
    )
