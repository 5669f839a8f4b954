"""What it costs to begin: an import, the first value, a value sent to a new process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import context
from multiprocessing.connection import Connection
from multiprocessing.popen_spawn_posix import Popen
from multiprocessing.reduction import ForkingPickler
from typing import Any

from benchmarks.offer import SPAWN, Parcel, Script
from benchmarks.operation import Figure, Goal, Operation, Setting

TITLE = "Start-up"

NUMBER = 42  # what every parcel carries
SCRIPT = """
import time
begun = time.perf_counter_ns()
{}
print(time.perf_counter_ns() - begun)
"""


def _count(setting: Setting) -> int:
    return max(2, int(setting.seconds / 0.03))


def script(script: Script, setting: Setting) -> Figure:
    """Measure code in a fresh interpreter, from its first line to its last."""
    setting.pin(0)
    command = [sys.executable, "-I", "-c", SCRIPT.format(script.what)]
    times = [
        int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        for _ in range(_count(setting))
    ]
    return Figure(statistics.median(times))


def _receive(content: Any, read: Callable[[Any], int], report: Connection) -> None:
    number = read(content)
    report.send((time.monotonic_ns(), number))


def send(parcel: Parcel, setting: Setting) -> Figure:
    """Measure from just before a process is spawned until it has read what it was sent."""
    setting.pin(0)
    times = []
    for _ in range(_count(setting)):
        told, report = SPAWN.Pipe(duplex=False)
        process = SPAWN.Process(target=_receive, args=(parcel.content, parcel.read, report))
        begun = time.monotonic_ns()
        process.start()
        report.close()
        received, number = told.recv()
        process.join()
        if number != NUMBER:
            raise RuntimeError(f"{NUMBER} was sent, {number} was received")
        times.append(received - begun)
    return Figure(statistics.median(times))


def size(parcel: Parcel, _: Setting) -> Figure:
    """Measure what a process argument adds to the message that starts the process."""
    process = Popen.__new__(Popen)  # never started; some things pickle for no other purpose
    vars(process)["_fds"] = []
    context.set_spawning_popen(process)
    try:
        return Figure(len(ForkingPickler.dumps(parcel.content)))
    finally:
        context.set_spawning_popen(None)


OPERATIONS = (
    Operation(
        "import",
        "import",
        "import",
        script,
        "in a fresh interpreter, from before the import to after it",
        goals=(Goal(1.5, "multiprocessing"),),
    ),
    Operation(
        "first",
        "import and make the first one",
        "first",
        script,
        "in a fresh interpreter, from before the import to after the first one is made",
    ),
    Operation(
        "send",
        "send one to a spawned process",
        "send",
        send,
        "from before `Process.start()` under spawn until the new process has read the number",
    ),
    Operation(
        "size",
        "size of the message",
        "send",
        size,
        "length of the pickle that takes one to a new process",
        unit="bytes",
        pinnings=("unpinned",),
        rounds=1,
    ),
)
