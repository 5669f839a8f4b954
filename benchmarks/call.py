"""The cost of a statement: alone, and in several processes at once."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.synchronize import Barrier

from benchmarks.offer import FORK, Statement
from benchmarks.operation import Figure, Setting

REPEATS = 20  # short ones: the more of them, the likelier that one goes undisturbed
BATCH = 0.001  # seconds that a process works between two looks at the clock
ALONE = f"one at a time in a loop; the best of {REPEATS} repeats, less that of the empty loop"
TOGETHER = (
    "{} processes at once; elapsed time by increments of all; what is missing at the end is lost"
)


def calibrate(timer: timeit.Timer, seconds: float) -> int:
    """Return how many runs of the statement take about so long."""
    number = 1
    while (taken := timer.timeit(number)) < seconds / 4:
        number *= 2
    return max(1, int(number * seconds / taken))


def alone(statement: Statement, setting: Setting) -> Figure:
    """Return the nanoseconds of a statement in one process, without the loop around it."""
    setting.pin(0)
    timer = timeit.Timer(statement.code, globals=dict(statement.names))
    empty = timeit.Timer("pass")
    seconds = setting.seconds / REPEATS
    number, rounds = calibrate(timer, seconds), calibrate(empty, seconds / 4)
    pairs = [
        (timer.timeit(number) / number * 1e9, empty.timeit(rounds) / rounds * 1e9)
        for _ in range(REPEATS)
    ]
    # The least of each: what others on the machine do only ever adds.
    gross, loop = (min(column) for column in zip(*pairs, strict=True))
    return Figure(gross - loop, details={"loop": loop})


def _work(
    statement: Statement, setting: Setting, index: int, start: Barrier, report: Connection
) -> None:
    setting.pin(index)
    timer = timeit.Timer(statement.code, globals=dict(statement.names))
    done = 0
    # Calibrated by all at once, since that is what will be measured.
    start.wait()
    batch = 1
    while (taken := timer.timeit(batch)) < BATCH / 4:
        done += batch
        batch *= 2
    done += batch
    batch = max(1, int(batch * BATCH / taken))
    start.wait()
    warmed, begun = done, time.monotonic()
    while (now := time.monotonic()) < begun + setting.seconds:
        timer.timeit(batch)
        done += batch
    report.send((begun, now, done - warmed, done))


def together(processes: int) -> Callable[[Statement, Setting], Figure]:
    """Return the measure of a statement in so many processes at once.

    Its figure is the nanoseconds a run, all processes taken together; lost updates are counted.
    """
    return partial(_together, processes)


def _together(processes: int, statement: Statement, setting: Setting) -> Figure:
    before = statement.total() if statement.total else 0
    start = FORK.Barrier(processes)
    pipes = [FORK.Pipe(duplex=False) for _ in range(processes)]
    workers = [
        FORK.Process(target=_work, args=(statement, setting, index, start, report), daemon=True)
        for index, (_, report) in enumerate(pipes)
    ]
    for worker in workers:
        worker.start()
    reports = []
    pending = [told for told, _ in pipes]
    while pending:
        for told in wait(pending, timeout=0.1):
            assert isinstance(told, Connection)
            reports.append(told.recv())
            pending.remove(told)
        for worker in workers:
            if worker.exitcode:
                raise RuntimeError(f"a process ended with exit code {worker.exitcode}")
    for worker in workers:
        worker.join()
    begun, ended, counts, done = zip(*reports, strict=True)
    lost = 0.0
    if statement.total:
        lost = 1 - (statement.total() - before) / sum(done)
    figure = (max(ended) - min(begun)) / sum(counts) * 1e9
    return Figure(figure, lost, {"least": min(counts) / sum(counts)})
