"""What two processes do to each other: contended increments, wake-ups, start-up."""

from __future__ import annotations

import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import courtyard

CONTEXT = multiprocessing.get_context("fork")
INCREMENTS = 200_000
WAKES = 200
STARTS = 15


def add(value: Any, start: Any) -> None:
    """Increment a courtyard value many times."""
    start.wait()
    for _ in range(INCREMENTS):
        value.increment()


def add_locked(value: Any, start: Any) -> None:
    """Increment a multiprocessing value many times."""
    start.wait()
    for _ in range(INCREMENTS):
        with value.get_lock():
            value.value += 1


def together(worker: Callable[..., None], value: Any) -> float:
    """Return the nanoseconds an increment of two processes at once; a lost one is an error."""
    start = CONTEXT.Barrier(3)
    workers = [CONTEXT.Process(target=worker, args=(value, start), daemon=True) for _ in range(2)]
    for process in workers:
        process.start()
    start.wait()
    before = time.perf_counter_ns()
    for process in workers:
        process.join()
    taken = time.perf_counter_ns() - before
    if value.value != 2 * INCREMENTS:
        raise SystemExit(f"{2 * INCREMENTS - value.value} increments were lost")
    return taken / (2 * INCREMENTS)


def wait_value(value: Any, woken: Any) -> None:
    """Wait for each number in turn and say when it came."""
    for number in range(1, WAKES + 1):
        value.wait_for(number)
        woken.value = time.monotonic_ns()


def wait_event(event: Any, woken: Any) -> None:
    """Wait for an event again and again and say when it came."""
    for _ in range(WAKES):
        event.wait()
        event.clear()
        woken.value = time.monotonic_ns()


def wakes(worker: Callable[..., None], subject: Any, tell: Callable[[int], None]) -> float:
    """Return the median nanoseconds from a change to the sleeper it wakes."""
    woken = courtyard.Value("q")
    process = CONTEXT.Process(target=worker, args=(subject, woken), daemon=True)
    process.start()
    delays = []
    for number in range(1, WAKES + 1):
        time.sleep(0.003)  # the other sleeps by then
        before = time.monotonic_ns()
        tell(number)
        delays.append(woken.wait_for(lambda at, before=before: at > before and at) - before)
    process.join()
    return statistics.median(delays)


def import_time(module: str) -> float:
    """Return the nanoseconds that an import adds to a start of Python."""

    def run(code: str) -> float:
        before = time.perf_counter_ns()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter_ns() - before

    rounds = [(run("pass"), run(f"import {module}")) for _ in range(STARTS)]
    return statistics.median(b for _, b in rounds) - statistics.median(a for a, _ in rounds)


def idle_cpu() -> float:
    """Return the share of a core that a waiting process uses."""
    value = courtyard.Value("i")

    def sleep() -> None:
        value.wait_for(1)

    process = CONTEXT.Process(target=sleep, daemon=True)
    process.start()
    time.sleep(0.5)

    def used() -> float:
        with open(f"/proc/{process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    before, start = used(), time.monotonic()
    time.sleep(5)
    share = (used() - before) / (time.monotonic() - start)
    value.value = 1
    process.join()
    return share


def measure() -> list[tuple[str, float, float, str, float]]:
    """Measure each case: (name, ours, theirs, their name, goal)."""
    rounds = [
        (
            together(add, courtyard.Value("q")),
            together(add_locked, multiprocessing.Value("q")),
        )
        for _ in range(3)
    ]
    own, other = (statistics.median(column) for column in zip(*rounds, strict=True))
    results = [("increment, two processes", own, other, "multiprocessing.Value", 1 / 10)]
    value, event = courtyard.Value("q"), multiprocessing.Event()
    own = wakes(wait_value, value, value.set)
    other = wakes(wait_event, event, lambda _: event.set())
    results.append(("wake a sleeper", own, other, "multiprocessing.Event", 1 / 2))
    own, other = import_time("courtyard"), import_time("multiprocessing")
    results.append(("import", own, other, "import multiprocessing", 1.5))
    return results
