"""Shared copies of what ctypes has, and locks for what has none, as ``sharedctypes`` has them."""

from __future__ import annotations

from courtyard import _native
from courtyard._value.array import Array, RawArray
from courtyard._value.declaration import require_lock
from courtyard._value.value import RawValue, Value, filled

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any


def copy(obj: Any) -> Any:
    """Return a shared copy of a ctypes object, a value or an array, without a lock.

    As ``multiprocessing.sharedctypes.copy``. An object that is shared already is copied as it is at
    one moment.

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
        return filled(RawValue, obj, _native.RawValue.get(obj))
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
        address = _native.RawArray._address(obj)
        return Array._load(obj._declared, obj.shape, address, lock)
    if isinstance(obj, _native.RawValue):
        declared = _native.RawValue._declared.__get__(obj)
        return Value._load(declared, _native.RawValue._address(obj), lock)
    raise TypeError(
        f"expected a RawValue or a RawArray, found {type(obj).__name__}: copy() makes one of a "
        "ctypes object"
    )
