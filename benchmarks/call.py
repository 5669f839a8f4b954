"""Operations of one process: nanoseconds a call, the loop's own cost taken off."""

from __future__ import annotations

import array
import atexit
import multiprocessing
import os
import shutil
import statistics
import tempfile
import timeit
from collections.abc import Callable
from typing import Any

import courtyard

ROUNDS = 7
SECONDS = 0.1


def subjects() -> dict[str, Any]:
    """Make the objects that the statements name; a peer that is not installed is left out."""
    found: dict[str, Any] = {
        "view": memoryview(array.array("q", [0])),
        "cy": courtyard.Value("q"),
        "raw": courtyard.Value("q", lock=False),
        "mp": multiprocessing.Value("q"),
        "lock": courtyard.Lock(),
        "mplock": multiprocessing.Lock(),
        "Value": courtyard.Value,
        "mpValue": multiprocessing.Value,
    }
    try:
        import subetha
    except ImportError:
        return found
    folder = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    found["subetha"] = subetha.Atomic(os.path.join(folder, "atomic"), 0)
    return found


# name, courtyard's statement, the other's, its name, the goal: ours / theirs at most
CASES = [
    ("read, lock=False", "raw.value", "view[0]", "memoryview[i]", 1.5),
    ("write, lock=False", "raw.value = 7", "view[0] = 7", "memoryview[i]", 1.5),
    ("read", "cy.value", "mp.value", "multiprocessing.Value", 1 / 4),
    ("write", "cy.value = 7", "mp.value = 7", "multiprocessing.Value", 1 / 4),
    (
        "increment",
        "cy.increment()",
        "with mp.get_lock(): mp.value += 1",
        "multiprocessing.Value",
        1 / 12,
    ),
    (
        "increment, lock=False",
        "raw.increment()",
        "subetha.fetch_add(1)",
        "subetha Atomic",
        1.0,
    ),
    (
        "acquire, release",
        "lock.acquire(); lock.release()",
        "mplock.acquire(); mplock.release()",
        "multiprocessing.Lock",
        0.7,
    ),
    ("with lock", "with lock: pass", "with mplock: pass", "multiprocessing.Lock", 0.5),
    ("create", "Value('q')", "mpValue('q')", "multiprocessing.Value", 1 / 10),
]


def timer(statement: str, names: dict[str, Any]) -> Callable[[], float]:
    """Return a function that times the statement once, in nanoseconds a run."""
    clock = timeit.Timer(statement, globals=names)
    number, taken = clock.autorange()
    number = max(1, int(number * SECONDS / taken))
    return lambda: clock.timeit(number) / number * 1e9


def measure() -> list[tuple[str, float, float, str, float]]:
    """Measure each case in interleaved rounds: (name, ours, theirs, their name, goal)."""
    names = subjects()
    empty = timer("pass", names)
    results = []
    for name, ours, theirs, peer, goal in CASES:
        if "subetha" in theirs and "subetha" not in names:
            print(f"skipped: {name}: subetha-ipc is not installed (pip install subetha-ipc)")
            continue
        pair = timer(ours, names), timer(theirs, names)
        rounds = [(empty(), pair[0](), pair[1]()) for _ in range(ROUNDS)]
        loop = statistics.median(row[0] for row in rounds)
        own = statistics.median(row[1] for row in rounds) - loop
        other = statistics.median(row[2] for row in rounds) - loop
        results.append((name, own, other, peer, goal))
    return results
