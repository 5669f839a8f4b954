"""One module a workload: its TITLE and its OPERATIONS."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from benchmarks.operation import Operation

FIRST = ("value", "array", "lock", "queue", "wake", "start")
# In the order of the report.
NAMES = (*FIRST, *sorted({module.name for module in pkgutil.iter_modules(__path__)} - {*FIRST}))


def title(name: str) -> str:
    """Return a workload's title."""
    return str(import_module(f"{__name__}.{name}").TITLE)


def operations(name: str) -> tuple[Operation, ...]:
    """Return a workload's operations."""
    found: tuple[Operation, ...] = import_module(f"{__name__}.{name}").OPERATIONS
    return found


def operation(key: str) -> Operation:
    """Return the operation that a key like ``value/read`` names."""
    workload, _, name = key.partition("/")
    return next(operation for operation in operations(workload) if operation.name == name)
