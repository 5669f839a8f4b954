"""A table of keys and values that several processes read and write."""

from __future__ import annotations

import itertools
import mmap
import random
import statistics
import textwrap
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks import call, item
from benchmarks.offer import Table
from benchmarks.operation import Figure, Goal, Operation, Setting
from benchmarks.workload.wake import child, watch

TITLE = "Dict"

CHUNK = 1000  # keys between two looks at the clock, of small values
LEAST = 9  # chunks, however long they take

LOOP = """
def loop(keys):
    for key in keys:
{code}
"""


def keys(count: int) -> list[str]:
    """Return so many keys of twelve characters."""
    return [f"key-{number:08}" for number in range(count)]


def loop(code: str, names: dict[str, Any]) -> Any:
    """Return a function that runs this code for each key."""
    space = dict(names)
    exec(LOOP.format(code=textwrap.indent(code, " " * 8)), space)
    return space["loop"]


def chunks(found: list[str], size: int) -> Iterator[list[str]]:
    """Return parts of the keys, in an order that is nobody's, over and over."""
    shuffled = random.Random(1).sample(found, len(found))
    parts = [shuffled[start : start + size] for start in range(0, len(found), size)]
    return itertools.cycle(parts)


def walk(run: Any, parts: Iterator[list[str]], setting: Setting) -> Figure:
    """Return the median over chunks of the nanoseconds a key, with the loop around it."""
    run(next(parts))
    times: list[float] = []
    end = time.monotonic() + setting.seconds
    while time.monotonic() < end or len(times) < LEAST:
        part = next(parts)
        begun = time.perf_counter_ns()
        run(part)
        times.append((time.perf_counter_ns() - begun) / len(part))
    return Figure(statistics.median(times))


def size_of(kind: str) -> int:
    """Return how many keys go between two looks at the clock."""
    return 10 if kind in ("bytes", "array") else CHUNK


def read(kind: str, count: int, table: Table, setting: Setting) -> Figure:
    """Measure reading, with nobody else there."""
    setting.pin(0)
    found = keys(count)
    names = table.open()
    table.fill(names, found, item.value(kind))
    return walk(loop(table.get, names), chunks(found, size_of(kind)), setting)


def write(kind: str, count: int, table: Table, setting: Setting) -> Figure:
    """Measure replacing values, with nobody else there."""
    setting.pin(0)
    found = keys(count)
    names = table.open() | {"value": item.value(kind)}
    table.fill(names, found, item.value(kind))
    return walk(loop(table.set, names), chunks(found, size_of(kind)), setting)


def _disturb(
    code: str, table: Table, found: list[str], setting: Setting, place: int, told: memoryview
) -> None:
    """Run code on these keys for ever; what is open is not to be forked, so each opens it anew."""
    setting.pin(place)
    names = table.open() | {"value": item.value("int")}
    table.fill(names, found, item.value("int"))
    run = loop(code, names)
    for part in chunks(found, 100):
        run(part)
        told[0] += len(part)


def beside(code: str, other: str, table: Table, setting: Setting) -> Figure:
    """Measure one of get and set while another process does the other on the same keys."""
    found, told = keys(1000), memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
    with child(_disturb, getattr(table, other), table, found, setting, 1, told) as process:
        while not told[0]:
            watch(process)
            time.sleep(0.001)
        setting.pin(0)
        before = told[0]
        run = loop(getattr(table, code), table.open() | {"value": item.value("int")})
        figure = walk(run, chunks(found, CHUNK), setting)
        watch(process)
        if told[0] == before:
            raise RuntimeError("the other process came to a halt")
    return figure


def together(table: Table, setting: Setting) -> Figure:
    """Measure two processes that replace values, each under keys of its own."""
    found = keys(1000)
    told = [memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q") for _ in range(2)]
    first = child(_disturb, table.set, table, found[::2], setting, 0, told[0])
    second = child(_disturb, table.set, table, found[1::2], setting, 1, told[1])
    with first as one, second as two:
        while not all(each[0] for each in told):
            watch(one)
            watch(two)
            time.sleep(0.001)
        before, begun = [each[0] for each in told], time.monotonic()
        time.sleep(setting.seconds)
        done, taken = [each[0] for each in told], time.monotonic() - begun
        watch(one)
        watch(two)
    counts = [now - then for now, then in zip(done, before, strict=True)]
    return Figure(taken / sum(counts) * 1e9, details={"least": min(counts) / sum(counts)})


def memory(count: int, table: Table, _: Setting) -> Figure:
    """Measure the shared memory that entries take."""
    if table.used is None:
        raise RuntimeError("nobody knows how much it takes")
    names = table.open()
    table.fill(names, keys(1), item.value("str"))
    before = table.used(names)
    table.fill(names, keys(count), item.value("str"))
    return Figure((table.used(names) - before) / (count - 1))


ALONE = "over all keys, shuffled, in a loop; the median of its parts, with the loop"
HOT, LARGE, HUGE = 1000, 100_000, 1_000_000


def pair(
    name: str,
    title: str,
    kind: str,
    count: int,
    gets: tuple[Goal, ...] = (),
    sets: tuple[Goal, ...] = (),
    rounds: int = 3,
) -> tuple[Operation, Operation]:
    """Return reading and writing of one kind of value."""
    return (
        Operation(
            f"get-{name}", f"get, {title}", f"dict-{kind}", partial(read, kind, count), ALONE,
            goals=gets, pinnings=("pinned",), rounds=rounds,
        ),
        Operation(
            f"set-{name}", f"set, {title}", f"dict-{kind}", partial(write, kind, count), ALONE,
            goals=sets, pinnings=("pinned",), rounds=rounds,
        ),
    )  # fmt: skip


# What the bare table in LIMITS takes with 100,000 keys: nanoseconds of a shuffled get and set.
RAW_GET, RAW_SET = 249, 227

OPERATIONS = (
    *pair(
        "int",
        "1,000 numbers",
        "int",
        HOT,
        (
            Goal(3, "floor"),
            Goal(1 / 2.5, "ultradict2"),
            Goal(1 / 5, "subetha"),
            Goal(1 / 400, "manager"),
        ),
        (Goal(1 / 4, "subetha"), Goal(1 / 150, "ultradict2"), Goal(1 / 400, "manager")),
    ),
    *pair(
        "str",
        "1,000 texts of 100 characters",
        "str",
        HOT,
        (Goal(1 / 2, "ultradict2"),),
        (Goal(1 / 8, "lmdb"),),
    ),
    *pair(
        "nested",
        "1,000 nested dicts of 1 KB",
        "nested",
        HOT,
        (Goal(1 / 1.5, "lmdb"),),
        (Goal(1 / 1.5, "lmdb"),),
    ),
    *pair("bytes", "1 MiB of bytes", "bytes", 4, (), (Goal(1.3, "floor"),)),
    *pair("array", "a NumPy array of 1 MiB", "array", 4, (), (Goal(1.3, "floor"),)),
    *pair(
        "int-100k",
        "100,000 numbers",
        "large",
        LARGE,
        (Goal(1.5 * RAW_GET),),
        (Goal(1.5 * RAW_SET),),
        rounds=1,
    ),
    *pair("str-100k", "100,000 texts of 100 characters", "texts", LARGE, rounds=1),
    *pair(
        "int-1m",
        "1,000,000 numbers",
        "huge",
        HUGE,
        (Goal(1.5 * RAW_GET),),
        (Goal(1.5 * RAW_SET),),
        rounds=1,
    ),
    Operation(
        "get-written",
        "get, while another process sets",
        "dict-shared",
        partial(beside, "get", "set"),
        ALONE,
        goals=(Goal(2, own="dict/get-int"),),
        pinnings=("pinned",),
        rounds=3,
    ),
    Operation(
        "set-read",
        "set, while another process gets",
        "dict-shared",
        partial(beside, "set", "get"),
        ALONE,
        pinnings=("pinned",),
        rounds=3,
    ),
    Operation(
        "set-two",
        "set, two processes, keys of their own",
        "dict-shared",
        together,
        "two processes at once; elapsed time by values set by both",
        goals=(Goal(1, own="dict/set-int"),),
        pinnings=("pinned",),
        rounds=3,
    ),
    Operation("increment", "add 1 to a number, exactly", "dict-increment", call.alone, call.ALONE),
    Operation(
        "increment-2",
        "add 1 to a number, exactly, two processes",
        "dict-increment",
        call.together(2),
        call.TOGETHER.format("two"),
    ),
    Operation(
        "memory",
        "bytes an entry, 100,000 texts of 100 characters",
        "dict-memory",
        partial(memory, LARGE),
        "the growth of what is used, by entries",
        unit="bytes",
        goals=(Goal(200),),
        pinnings=("pinned",),
        rounds=1,
    ),
)
