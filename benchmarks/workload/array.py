"""Many numbers: one of them, or all at once."""

from __future__ import annotations

from benchmarks.call import ALONE, alone
from benchmarks.operation import Goal, Operation

TITLE = "Array"

SIZE = 1 << 20  # bytes that are copied at once
NEAR = 1 / 0.9

OPERATIONS = (
    Operation("get", "a[i]", "array-get", alone, ALONE, goals=(Goal(1 / 10, "multiprocessing"),)),
    Operation(
        "set", "a[i] = 7", "array-set", alone, ALONE, goals=(Goal(1 / 10, "multiprocessing"),)
    ),
    Operation(
        "get-raw", "a[i], lock=False", "array-get-raw", alone, ALONE, goals=(Goal(1.5, "floor"),)
    ),
    Operation("set-raw", "a[i] = 7, lock=False", "array-set-raw", alone, ALONE),
    Operation("in", "1 MiB from NumPy", "array-in", alone, ALONE, goals=(Goal(NEAR, "floor"),)),
    Operation("out", "1 MiB to NumPy", "array-out", alone, ALONE, goals=(Goal(NEAR, "floor"),)),
)
