"""Items that some processes put into a queue and others take out."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import mmap
import textwrap
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from benchmarks import item
from benchmarks.call import ALONE, alone
from benchmarks.offer import Line, Signal, Statement, Task
from benchmarks.operation import Figure, Goal, Operation, Setting
from benchmarks.workload.wake import child, idle, watch

TITLE = "Queue"

WARM = 0.1  # seconds in which pages are touched and magazines filled
BATCH = 64
AWAITED = 50  # repeats at least

PRODUCE = """
def produce(items):
    for item in items:
{put}
"""
CONSUME = """
def consume(count):
    for _ in range(count):
{get}
    return item
"""


def function(source: str, name: str, names: dict[str, Any], **code: str) -> Any:
    """Return a function with this code in its loop."""
    space = dict(names)
    exec(source.format(**{k: textwrap.indent(v, " " * 8) for k, v in code.items()}), space)
    return space[name]


def _produce(line: Line, items: Callable[[], Iterable[Any]], setting: Setting, index: int) -> None:
    setting.pin(index)
    function(PRODUCE, "produce", line.names | line.sender(), put=line.put)(items())


def _consume(line: Line, stride: int, setting: Setting, index: int, counts: memoryview) -> None:
    setting.pin(index)
    consume = function(CONSUME, "consume", line.names | line.receiver(), get=line.get)
    while True:
        last = consume(stride)
        counts[index] += stride * (len(last) if isinstance(last, list) else 1)


def flow(
    items: Callable[[], Iterable[Any]], stride: int, processes: int, line: Line, setting: Setting
) -> Figure:
    """Measure the time from item to item where they come out, all consumers taken together."""
    counts = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
    consumers = slice(processes, 2 * processes)
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(child(_produce, line, items, setting, index))
            for index in range(processes)
        ]
        workers += [
            stack.enter_context(child(_consume, line, stride, setting, index, counts))
            for index in range(processes, 2 * processes)
        ]

        def look() -> tuple[list[int], float]:
            for worker in workers:
                watch(worker)
            return counts[consumers].tolist(), time.monotonic()

        while not all(look()[0]):
            time.sleep(0.001)
        time.sleep(WARM)
        before, begun = look()
        time.sleep(setting.seconds)
        while (after := look())[0] == before:
            time.sleep(0.01)
    done = [now - then for now, then in zip(after[0], before, strict=True)]
    figure = (after[1] - begun) / sum(done) * 1e9
    return Figure(figure, details={"least": min(done) / sum(done) * processes / 2})


def put_and_get(line: Line, setting: Setting) -> Figure:
    """Measure putting and taking out at once, with nobody else there."""
    names = line.names | line.sender() | line.receiver() | {"number": item.NUMBER}
    return alone(Statement(f"item = number\n{line.put}\n{line.get}", names), setting)


def _answer(pair: tuple[Line, Line], setting: Setting) -> None:
    setting.pin(1)
    ping, pong = pair
    there = function(CONSUME, "consume", ping.names | ping.receiver(), get=ping.get)
    back = function(PRODUCE, "produce", pong.names | pong.sender(), put=pong.put)
    while True:
        back((there(1),))


def round_trip(pair: tuple[Line, Line], setting: Setting) -> Figure:
    """Measure an item's way there and back through two queues, as fast as it goes."""
    ping, pong = pair
    with child(_answer, pair, setting) as process:
        setting.pin(0)
        there = function(PRODUCE, "produce", ping.names | ping.sender(), put=ping.put)
        back = function(CONSUME, "consume", pong.names | pong.receiver(), get=pong.get)
        for number in range(20):
            there((number,))
            if back(1) != number:
                raise RuntimeError("another item came back than was sent")
        number, begun = 0, time.monotonic_ns()
        while (now := time.monotonic_ns()) < begun + setting.seconds * 1e9 or number < 20:
            there((number,))
            back(1)
            number += 1
        watch(process)
    return Figure((now - begun) / number)


def waiting(line: Line, setting: Setting) -> Figure:
    """Measure what a consumer uses while there is nothing."""

    def wait(_: int) -> None:
        function(CONSUME, "consume", line.names | line.receiver(), get=line.get)(1)

    def wake(number: int) -> None:
        function(PRODUCE, "produce", line.names | line.sender(), put=line.put)((number,))

    return idle(Signal(line.what, wait, wake), setting)


def batches() -> Iterable[list[int]]:
    """Yield numbers in batches without end."""
    return (list(range(start, start + BATCH)) for start in itertools.count(0, BATCH))


THROUGH = (
    "{} in processes of their own, as fast as it goes; elapsed time by items taken, while all run"
)
ONE_TO_ONE = THROUGH.format("one producer and one consumer")


def there(task: Task, setting: Setting) -> Figure:
    """Measure awaiting what is there already, in one task."""
    setting.pin(0)

    async def main() -> float:
        best, end, repeats = float("inf"), time.monotonic() + setting.seconds, 0
        while repeats < AWAITED or time.monotonic() < end:
            for number in range(BATCH):
                task.put(number)
            before = time.perf_counter_ns()
            for _ in range(BATCH):
                await task.get()
            best = min(best, (time.perf_counter_ns() - before) / BATCH)
            repeats += 1
        return best

    return Figure(asyncio.run(main()))


OPERATIONS = (
    Operation(
        "int",
        "numbers, one a call",
        "queue-int",
        partial(flow, itertools.count, 50, 1),
        ONE_TO_ONE,
        goals=(Goal(1 / 20, "multiprocessing"), Goal(1 / 2, "best")),
    ),
    Operation(
        "bytes",
        "100 bytes, one a call",
        "queue-bytes",
        partial(flow, partial(itertools.repeat, item.BYTES), 50, 1),
        ONE_TO_ONE,
        goals=(Goal(1 / 1.2, "best"),),
    ),
    Operation(
        "nested",
        "a nested dict of 1 KB, one a call",
        "queue-nested",
        partial(flow, partial(itertools.repeat, item.NESTED), 20, 1),
        ONE_TO_ONE,
        goals=(Goal(1 / 1.3, "best"),),
    ),
    Operation(
        "array",
        "a NumPy array of 1 MiB, one a call",
        "queue-array",
        partial(flow, lambda: itertools.repeat(item.array()), 2, 1),
        ONE_TO_ONE,
        goals=(Goal(1 / 5, "pyzmq"), Goal(1 / 5, "multiprocessing:Pipe")),
    ),
    Operation(
        "batch",
        f"numbers, {BATCH} a call",
        "queue-batch",
        partial(flow, batches, 1, 1),
        ONE_TO_ONE,
        goals=(Goal(1 / 3, own="queue/int"),),
    ),
    Operation(
        "two",
        "numbers, two producers, two consumers",
        "queue-shared",
        partial(flow, itertools.count, 50, 2),
        THROUGH.format("two producers and two consumers"),
        goals=(Goal(1 / 0.6, own="queue/int"),),
    ),
    Operation(
        "alone",
        "put and get in one process",
        "queue-alone",
        put_and_get,
        ALONE,
        goals=(Goal(1 / 3, "best"),),
    ),
    Operation(
        "await",
        "await an item that is there",
        "task-alone",
        there,
        f"in one task of asyncio's, the best of {AWAITED} repeats or more of {BATCH} items",
        goals=(Goal(1, "floor:asyncio.Queue"),),
    ),
    Operation(
        "round-trip",
        "there and back through two queues",
        "queue-int",
        round_trip,
        "a number there and back between two processes, as fast as it goes",
        goals=(Goal(1 / 15, "multiprocessing"),),
        copies=2,
    ),
    Operation(
        "idle",
        "CPU used by a consumer that waits",
        "queue-int",
        waiting,
        "CPU time of the waiting process by elapsed time",
        unit="share",
        goals=(Goal(0.005),),
        pinnings=("unpinned",),
        rounds=3,
    ),
)
