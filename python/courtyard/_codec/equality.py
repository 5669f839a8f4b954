"""Equality of values in which arrays are: where ``==`` gives no single truth.

For ``compare_exchange`` and ``wait_for``, where Python's own comparison does not say True or False.
Arrays are equal if they have one shape and all elements are; what has an ``equals`` (DataFrames and
their kin), if that says so. An element that is not equal to itself, as NaN, equals another one: a
value that is read is equal to what is stored.
"""

from __future__ import annotations

import sys
from copy import copy

from courtyard import _native

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any

_CONTAINERS = (_native.Table, _native.Sequence)


def same(left: Any, right: Any) -> bool:
    """Return whether two values are equal as a whole.

    Raises what a comparison raises, and TypeError for what has no truth as a whole.
    """
    if left is right:
        return True
    left, right = (copy(x) if isinstance(x, _CONTAINERS) else x for x in (left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return len(left) == len(right) and all(
            key in right and same(value, right[key]) for key, value in left.items()
        )
    for kind in (list, tuple):
        if isinstance(left, kind) and isinstance(right, kind):
            return len(left) == len(right) and all(map(same, left, right))
    numpy = sys.modules.get("numpy")
    if numpy is not None and (isinstance(left, numpy.ndarray) or isinstance(right, numpy.ndarray)):
        return _same_arrays(left, right)
    if any(callable(getattr(type(each), "equals", None)) for each in (left, right)):
        return type(left) is type(right) and bool(left.equals(right))
    try:
        return bool(left == right)
    except ValueError as error:
        if "ambiguous" not in str(error):
            raise
        names = " and ".join(dict.fromkeys((type(left).__name__, type(right).__name__)))
        raise TypeError(
            f"cannot compare {names} as a whole: keep a number beside the value that says which "
            "one it is, or change it with get_lock() held, by mutate() or by edit()"
        ) from error


def _same_arrays(left: Any, right: Any) -> bool:
    if type(left) is not type(right) or left.shape != right.shape:
        return False
    if left.dtype.names is not None or right.dtype.names is not None:
        return left.dtype == right.dtype and all(
            _same_arrays(left[name], right[name]) for name in left.dtype.names
        )
    if left.dtype.hasobject or right.dtype.hasobject:
        return all(map(same, left.ravel().tolist(), right.ravel().tolist()))
    try:
        return bool(((left == right) | ((left != left) & (right != right))).all())
    except TypeError:  # of kinds that cannot be compared
        return False
