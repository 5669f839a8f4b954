"""Equality of values in which arrays are: where ``==`` gives no single truth.

For ``compare_exchange`` and ``wait_for``, where Python's own comparison does not say True or False.
Arrays are equal if they have one shape and all elements are, and masked ones if the same elements
are masked; what has an ``equals`` (DataFrames and their kin), if that says so. A NaN equals another
one, and pandas' NA itself alone: a value that is read is equal to what is stored.
"""

from __future__ import annotations

import sys
from copy import copy

from courtyard import _native

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any

_CONTAINERS = (_native.Table, _native.Sequence)


def same(left: Any, right: Any, result: Any, error: BaseException | None) -> bool:
    """Return whether two values are equal as a whole: ``==`` gave no bool, or raised an error.

    It is not asked again where no arrays are. Raises what a comparison raises, and TypeError for
    what has no truth as a whole.
    """
    if _has_arrays(left) or _has_arrays(right):
        return _same(left, right)
    try:
        if error is not None:
            raise error
        return bool(result)
    except (TypeError, ValueError) as raised:
        _refuse(left, right, raised)
        raise


def _refuse(left: Any, right: Any, error: BaseException) -> None:
    """Raise TypeError if an error says that what was compared has no truth as a whole."""
    if "ambiguous" in str(error):
        names = " and ".join(dict.fromkeys((type(left).__name__, type(right).__name__)))
        raise TypeError(
            f"cannot compare {names} as a whole: keep a number beside the value that says which "
            "one it is, or change it with get_lock() held, by mutate() or by edit()"
        ) from error


def _module(name: str) -> Any:
    """Return a module that is loaded: else there is nothing of its kind."""
    return sys.modules.get(name)


def _is_array(value: Any) -> bool:
    numpy = _module("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _is_missing(value: Any) -> bool:
    """Say whether it is pandas' NA, whose comparisons have no truth."""
    return type(value).__name__ == "NAType" and value is getattr(_module("pandas"), "NA", None)


def _has_equals(value: Any) -> bool:
    return callable(getattr(type(value), "equals", None))


def _plain(value: Any) -> Any:
    return copy(value) if isinstance(value, _CONTAINERS) else value


def _has_arrays(value: Any, around: tuple[int, ...] = ()) -> bool:
    """Say whether an array, or what is compared as one, is in plain containers."""
    value = _plain(value)
    if isinstance(value, dict | list | tuple):
        if id(value) in around:
            return False  # it contains itself
        items = value.values() if isinstance(value, dict) else value
        return any(_has_arrays(item, (*around, id(value))) for item in items)
    return _is_array(value) or _is_missing(value) or _has_equals(value)


def _same(left: Any, right: Any) -> bool:
    if left is right:
        return True
    left, right = _plain(left), _plain(right)
    if isinstance(left, dict) and isinstance(right, dict):
        return len(left) == len(right) and all(
            key in right and _same(value, right[key]) for key, value in left.items()
        )
    for kind in (list, tuple):
        if isinstance(left, kind) and isinstance(right, kind):
            return len(left) == len(right) and all(map(_same, left, right))
    if _is_array(left) or _is_array(right):
        return _same_arrays(left, right)
    if _is_missing(left) or _is_missing(right):
        return False
    if _has_equals(left) or _has_equals(right):
        return type(left) is type(right) and bool(left.equals(right))
    try:
        return bool(left == right) or (_is_nan(left) and _is_nan(right))
    except (TypeError, ValueError) as error:
        _refuse(left, right, error)
        raise


def _is_nan(value: Any) -> bool:
    numpy = _module("numpy")
    kinds = (float, complex) if numpy is None else (float, complex, numpy.generic)
    return isinstance(value, kinds) and bool(value != value)


def _same_arrays(left: Any, right: Any) -> bool:
    if type(left) is not type(right) or left.shape != right.shape:
        return False
    if left.dtype.names is not None or right.dtype.names is not None:
        return left.dtype == right.dtype and all(
            _same_arrays(left[name], right[name]) for name in left.dtype.names
        )
    masked = _module("numpy.ma")
    if masked is not None and isinstance(left, masked.MaskedArray):
        hidden, others = masked.getmaskarray(left), masked.getmaskarray(right)
        return bool((hidden == others).all()) and _same_arrays(
            left.data[~hidden], right.data[~hidden]
        )
    if left.dtype.hasobject or right.dtype.hasobject:
        return all(map(_same, left.ravel().tolist(), right.ravel().tolist()))
    try:
        return bool(((left == right) | ((left != left) & (right != right))).all())
    except TypeError:  # of kinds that cannot be compared
        return False
