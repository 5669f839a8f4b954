"""What objects and spaces say of themselves, frozen."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from courtyard import _native

if TYPE_CHECKING:
    from collections.abc import Iterable

# What a process has of an object, by the class that the object's memory shows.
_HELD = {
    "Semaphore": "permits",
    "Condition": "places in line",
    "Barrier": "places",
    "Queue": "items taken",
}
COUNT = (1 << 63) - 1  # the highest bit of an amount is no part of the number
IN_LINE = 1 << 62  # one waiter of a condition, whose place is below it
_TASK = 1 << 31  # the highest bit of a task's number
# Of these the count is no number of entries, but a value: free permits; whether it is set.
VALUED = ("Semaphore", "Event")


@dataclass(frozen=True)
class SpaceStatistics:
    """What a space holds.

    Attributes:
        size: bytes of its file that objects may use, as far as it has grown: ``used`` and ``free``.
        used: bytes of these that are in use: in blocks that hold something.
        live_blocks: blocks that an object or a table consists of.
        idle_blocks: free blocks that processes keep, blocks being filled, and blocks still read.
        objects: living objects.
        names: objects that have a name.
        tickets: pickles of objects under way.
        participants: processes registered.
        free: bytes of ``size`` that hold nothing, given back to the system or not.
        taken: bytes of memory, or of disk, that its file takes now: with the space's own tables, a
            few hundred kB which ``size`` leaves out, and without what went back to the system.

    """

    size: int
    used: int
    live_blocks: int
    idle_blocks: int
    objects: int
    names: int
    tickets: int
    participants: int
    free: int
    taken: int


@dataclass(frozen=True)
class Held:
    """Something of an object that a process holds.

    Attributes:
        pid: the process, by its number in its own PID namespace.
        object: the object's name, or ``#`` and a number.
        what: ``"permits"`` of a semaphore, ``"items taken"`` of a queue and not called done,
            ``"places in line"`` of a condition, ``"places"`` of a barrier; ``"lock"``.
        amount: how many.
        thread: of a lock, as of its ``Holder``.
        name: as of a ``Holder``.
        is_task: as of a ``Holder``.

    """

    pid: int
    object: str
    what: str
    amount: int
    thread: int | None
    name: str | None
    is_task: bool


@dataclass(frozen=True)
class Waiter:
    """A thread or task that has been waiting, for more than a tenth of a second.

    Attributes:
        pid: its process, by its number in its own PID namespace.
        object: the name of what it waits for, or ``#`` and a number.
        seconds: for how long.
        thread: courtyard's number of the thread or task in that process, from 1 on; None if it is
            not known.
        name: the name of the thread or task; None if it is not known.
        is_task: whether it is a task of asyncio or trio.

    """

    pid: int
    object: str
    seconds: float
    thread: int | None
    name: str | None
    is_task: bool


@dataclass(frozen=True)
class Holder:
    """The holder of an object's lock.

    Attributes:
        pid: its process, by its number in its own PID namespace.
        thread: courtyard's number of the thread or task in that process, from 1 on; None for a
            ``Lock``, which does not know it.
        alive: False if it died; the next thread that acquires the lock gets it.
        seconds: for how long at least, as its first waiter noted; None if none has been waiting.
        name: the name of the task, or of the thread if that has been waiting in the space before;
            None if it is not known. Of each process there are no more than 32 names.
        is_task: whether it is a task of asyncio or trio.

    """

    pid: int
    thread: int | None
    alive: bool
    seconds: float | None
    name: str | None
    is_task: bool


@dataclass(frozen=True)
class ObjectFigures:
    """What an object is, its size, and which processes use it: see ``ObjectStatistics``."""

    type: str
    name: str | None
    nbytes: int
    blocks: int
    entries: int | None
    version: int
    references: int
    participants: tuple[int, ...]
    holder: Holder | None
    holdings: tuple[Held, ...]
    waiters: tuple[Waiter, ...]
    contention: int
    queued_bytes: int | None
    maxbytes: int | None


@dataclass(frozen=True)
class ObjectStatistics(ObjectFigures):
    """What an object holds, and which processes use it.

    Attributes:
        type: what it is, as its repr says it.
        name: the name it is found by; None for an anonymous one.
        nbytes: bytes that it takes of its space: the sizes of all its blocks. An estimate if it has
            more than 4096 entries.
        blocks: how many these are; an estimate as ``nbytes`` is.
        entries: elements of an array, keys of a dict, items of a queue; None for all else.
        version: as its ``version``, which changes with every change.
        references: handles, its name, values that hold it, and pickles under way.
        participants: PIDs of the living processes that have handles, each once.
        holder: the holder of its lock, a ``Holder``; None if it is free.
        holdings: what processes have of it otherwise, each a ``Held``: permits, items taken.
        waiters: threads and tasks that have been waiting for more than a tenth of a second, longest
            first, each a ``Waiter``; no more than 42 of each process.
        contention: how often a thread had to sleep in a call on it, since it was made: for its
            lock, for an item, a permit or the like, or while another changed it.
        queued_bytes: what the items of a queue with ``maxbytes`` count, those on a lease too; None
            for all else.
        maxbytes: what they may count; None where they are not bounded in bytes.
        space: what the space holds that it lives in.

    The figures of the space are taken first, then those of the object, each at one moment. All are
    exact but two: ``nbytes`` and ``blocks`` of an object with more than 4096 entries are estimated
    from about 2048 of them. They are right if the entries take the same number of bytes. Where
    sizes from 3 to 9000 bytes are mixed, the typical error is 3 to 4%, and it is more if a few
    large entries have most of the bytes. Of a ``LifoQueue``, the last items put stand for all.

    """

    space: SpaceStatistics


def figures(found: Any, processes: Iterable[Any], now: int, type_: str) -> dict[str, Any]:
    """Make of what the engine saw of an object the fields of its ``ObjectFigures``.

    ``processes`` are those that it saw, ``now`` is the boot clock in nanoseconds.
    """
    slots = {process[0]: process for process in processes}
    name, base = found["name"], found["base"]
    label = label_of(found["key"], name)

    def pid(slot: int) -> int:
        return slots[slot][1] if slot in slots else 0

    def is_alive(slot: int) -> bool:
        return slot in slots and slots[slot][3]

    waits = [
        Waiter(pid(slot), label, (now - since) / 1e9, **who(seen))
        for slot, since, seen in found["waits"]
    ]
    waits.sort(key=lambda waiter: -waiter.seconds)
    holder = None
    if found["holder"] is not None:
        slot, seen = found["holder"]
        seconds = waits[0].seconds if waits else None
        holder = Holder(pid(slot), alive=is_alive(slot), seconds=seconds, **who(seen))
    what = _HELD.get(base, "held")
    queued, most = found["counted"] or (None, None)
    return {
        "type": type_,
        "name": name,
        "nbytes": found["nbytes"],
        "blocks": found["blocks"],
        "entries": None if base in VALUED else found["count"],
        "version": found["version"],
        "references": found["references"],
        "participants": tuple(sorted({pid(slot) for slot in found["users"] if is_alive(slot)})),
        "holder": holder,
        "holdings": tuple(
            Held(pid(slot), label, what, amount, **who((0, None)))
            for slot, amount in holdings_of(found)
        ),
        "waiters": tuple(waits),
        "contention": found["contention"],
        "queued_bytes": queued,
        "maxbytes": most,
    }


def who(found: tuple[int, str | None]) -> dict[str, Any]:
    """Make of what the engine saw of a thread or task the fields that say which it is."""
    number, name = found
    return {"thread": number & ~_TASK or None, "name": name, "is_task": bool(number & _TASK)}


def label_of(key: tuple[int, int], name: str | None) -> str:
    """Return an object's name, or what stands for one."""
    return name if name is not None else f"#{key[0]}"


def holdings_of(found: Any) -> list[tuple[int, int]]:
    """Return who has something of an object: slots and amounts."""
    held: dict[int, int] = {}
    for slot, amount in found["holdings"]:
        count = amount & COUNT
        held[slot] = held.get(slot, 0) + (1 if count & IN_LINE else count)
    return [(slot, amount) for slot, amount in held.items() if amount > 0]


def boot_clock() -> int:
    """Return the clock that the engine notes times by, in nanoseconds."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def object_statistics(obj: Any, type_: str, entries: int | None = None) -> ObjectStatistics:
    """Make the statistics of an object; ``entries`` where the engine does not know them."""
    census, processes, found = _native.figures(obj)
    fields = figures(found, processes, boot_clock(), type_)
    if entries is not None:
        fields["entries"] = entries
    return ObjectStatistics(**fields, space=SpaceStatistics(*census))
