"""A number that several processes read, write and count with."""

from __future__ import annotations

from benchmarks.call import ALONE, TOGETHER, alone, together
from benchmarks.operation import Goal, Operation

TITLE = "Value"

OPERATIONS = (
    Operation(
        "read-raw", "read, lock=False", "read-raw", alone, ALONE, goals=(Goal(1.5, "floor"),)
    ),
    Operation(
        "write-raw", "write, lock=False", "write-raw", alone, ALONE, goals=(Goal(1.5, "floor"),)
    ),
    Operation(
        "increment-raw",
        "increment, lock=False",
        "increment-raw",
        alone,
        ALONE,
        goals=(Goal(1.0, "subetha"),),
    ),
    Operation(
        "increment-raw-2",
        "increment, lock=False, two processes",
        "increment-raw",
        together(2),
        TOGETHER.format("two"),
    ),
    Operation("read", "read", "read", alone, ALONE, goals=(Goal(1 / 4, "multiprocessing"),)),
    Operation("write", "write", "write", alone, ALONE, goals=(Goal(1 / 4, "multiprocessing"),)),
    Operation(
        "increment",
        "increment",
        "increment",
        alone,
        ALONE,
        goals=(Goal(1 / 12, "multiprocessing"),),
    ),
    Operation(
        "increment-2",
        "increment, two processes",
        "increment",
        together(2),
        TOGETHER.format("two"),
        goals=(Goal(1 / 10, "multiprocessing"),),
    ),
    Operation(
        "increment-4",
        "increment, four processes",
        "increment",
        together(4),
        TOGETHER.format("four"),
    ),
    Operation("create-raw", "make and drop one, lock=False", "create-raw", alone, ALONE),
    Operation(
        "create",
        "make and drop one",
        "create",
        alone,
        ALONE,
        goals=(Goal(1 / 10, "multiprocessing"),),
    ),
)
