"""``multiprocessing.sharedctypes`` with courtyard's values and arrays."""

from multiprocessing import sharedctypes as _standard
from typing import Any, TypeVar

import courtyard
from courtyard import RawArray, RawValue, copy, synchronized
from courtyard.multiprocessing._rules import MultiprocessingRules

__all__ = ["Array", "RawArray", "RawValue", "Value", "copy", "synchronized"]

_T = TypeVar("_T")


class SynchronizedBase(MultiprocessingRules):
    """What has a lock: values and arrays."""


class Array(SynchronizedBase, courtyard.Array[_T]):
    """A ``courtyard.Array`` that is used as ``multiprocessing.Array``."""


class Value(SynchronizedBase, courtyard.Value[_T]):
    """A ``courtyard.Value`` that is used as ``multiprocessing.Value``."""


# What the standard module calls the classes of what ``Value`` and ``Array`` return.
Synchronized = Value
SynchronizedArray = SynchronizedString = Array


def __getattr__(name: str) -> Any:
    """Return what else the standard module has."""
    return getattr(_standard, name)
