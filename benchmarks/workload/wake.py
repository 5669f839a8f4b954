"""A process that waits until another one wakes it."""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import statistics
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

from benchmarks.offer import FORK, Signal, Task
from benchmarks.operation import Figure, Goal, Operation, Setting

TITLE = "Wake-up"

ASLEEP = 0.002  # seconds after which a waiter sleeps, whatever it tried before
SETTLED = 0.3  # and after which it has backed off as far as it will


@contextlib.contextmanager
def child(target: Any, *args: Any) -> Iterator[BaseProcess]:
    """Run a function in a forked process that ends with the block."""
    process = FORK.Process(target=target, args=args, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def watch(process: BaseProcess) -> None:
    """Raise if the process has ended."""
    if process.exitcode is not None:
        raise RuntimeError(f"the waiter ended with exit code {process.exitcode}")


def _sleep(signal: Signal, setting: Setting, woken: memoryview, ready: memoryview) -> None:
    setting.pin(1)
    for number in range(1, len(woken)):
        ready[0] = number
        signal.wait(number)
        woken[number] = time.monotonic_ns()
        signal.reset()


def _sleep_in_a_loop(task: Task, setting: Setting, woken: memoryview, ready: memoryview) -> None:
    setting.pin(1)

    async def main() -> None:
        for number in range(1, len(woken)):
            ready[0] = number
            await task.get()
            woken[number] = time.monotonic_ns()

    asyncio.run(main())


def _delays(sleep: Any, of: Any, wake: Callable[[int], object], setting: Setting) -> Figure:
    count = max(20, int(setting.seconds / ASLEEP))
    woken = memoryview(mmap.mmap(-1, 8 * (count + 1))).cast("q")
    ready = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
    delays = []
    with child(sleep, of, setting, woken, ready) as process:
        setting.pin(0)
        for number in range(1, count + 1):
            while ready[0] < number:
                watch(process)
                time.sleep(ASLEEP / 4)
            time.sleep(ASLEEP)
            before = time.monotonic_ns()
            wake(number)
            while not woken[number]:
                watch(process)
                time.sleep(ASLEEP / 4)
            delays.append(woken[number] - before)
    return Figure(
        statistics.median(delays), details={"p99": statistics.quantiles(delays, n=100)[-1]}
    )


def sleeper(signal: Signal, setting: Setting) -> Figure:
    """Measure the time from just before the wake to just after the wait, in another process."""
    return _delays(_sleep, signal, signal.wake, setting)


def task(task: Task, setting: Setting) -> Figure:
    """Measure the time from just before the put to the task going on, in another process."""
    return _delays(_sleep_in_a_loop, task, task.put, setting)


def _answer(ping: Signal, pong: Signal, setting: Setting) -> None:
    setting.pin(1)
    number = 0
    while True:
        number += 1
        ping.wait(number)
        ping.reset()
        pong.wake(number)


def round_trip(pair: tuple[Signal, Signal], setting: Setting) -> Figure:
    """Measure wakes there and back, as fast as they go."""
    ping, pong = pair
    number = 0
    with child(_answer, ping, pong, setting):
        setting.pin(0)
        before = now = time.monotonic_ns()
        while (now := time.monotonic_ns()) < before + setting.seconds * 1e9 or number < 20:
            if number == 10:
                before = now  # the first ones warm up
            number += 1
            ping.wake(number)
            pong.wait(number)
            pong.reset()
    return Figure((now - before) / (number - 10))


def _wait(signal: Signal) -> None:
    signal.wait(1)


def idle(signal: Signal, setting: Setting) -> Figure:
    """Measure the share of a CPU that a waiter uses; then see that it still wakes."""
    with child(_wait, signal) as process:
        time.sleep(SETTLED)
        assert process.pid is not None
        clock = (~process.pid << 3) | 2  # clock_getcpuclockid(3), which Python doesn't have
        used, begun = time.clock_gettime(clock), time.monotonic()
        time.sleep(10 * setting.seconds)
        used, taken = time.clock_gettime(clock) - used, time.monotonic() - begun
        watch(process)
        signal.wake(1)
        process.join()
        if process.exitcode:
            watch(process)
    return Figure(used / taken)


OPERATIONS = (
    Operation(
        "sleeper",
        "wake a sleeper",
        "signal",
        sleeper,
        "from just before the wake to just after the wait in another process, asleep for 2 ms",
        goals=(Goal(0.5, "multiprocessing"),),
    ),
    Operation(
        "task",
        "resume a task of asyncio's",
        "task",
        task,
        "from just before the put to the task going on in another process, asleep for 2 ms",
        goals=(Goal(0.5, "multiprocessing"), Goal(0.5, "aioprocessing")),
    ),
    Operation(
        "round-trip",
        "wake and be woken",
        "signal",
        round_trip,
        "there and back between two processes, as fast as it goes",
        copies=2,
    ),
    Operation(
        "idle",
        "CPU used by a waiter",
        "signal",
        idle,
        "CPU time of the waiting process by elapsed time",
        unit="share",
        goals=(Goal(0.005),),
        pinnings=("unpinned",),
        rounds=3,
    ),
)
