"""Shared data between Python processes: at memory speed, with nothing to run, safe when killed.

>>> import courtyard as cy
>>> n = cy.Value("i", 0)
>>> n.increment(5)
5
"""

from __future__ import annotations

import sys

if sys.platform != "linux":
    raise ImportError(f"courtyard runs on Linux; this is {sys.platform}")

from courtyard import _process as _process  # its import arranges forks and exit
from courtyard._errors import (
    Closed,
    CorruptError,
    CourtyardError,
    LayoutMismatch,
    NotFound,
    NotTrusted,
    SpaceFull,
    WrongType,
)
from courtyard._functions import check, statistics, version, wait_for
from courtyard._lock import Lock
from courtyard._value import RawValue, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from courtyard._statistics import ObjectStatistics, SpaceStatistics

__all__ = [
    "Closed",
    "CorruptError",
    "CourtyardError",
    "LayoutMismatch",
    "Lock",
    "NotFound",
    "NotTrusted",
    "ObjectStatistics",
    "RawValue",
    "SpaceFull",
    "SpaceStatistics",
    "Value",
    "WrongType",
    "check",
    "statistics",
    "version",
    "wait_for",
]
__version__ = "0.1.0"

_LATER = ("ObjectStatistics", "SpaceStatistics")  # dataclasses take longer than all the rest

for _name in __all__:  # one public home per name
    if _name not in _LATER:
        globals()[_name].__module__ = __name__
del _name


def __getattr__(name: str) -> object:
    """Import what is seldom needed when it is."""
    if name in _LATER:
        from courtyard import _statistics

        found = getattr(_statistics, name)
        found.__module__ = __name__
        return globals().setdefault(name, found)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
