"""A space at one moment: its objects and its processes, who uses, holds and awaits what."""

from __future__ import annotations

import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from typing import TYPE_CHECKING, Any

from courtyard._error import NotFound
from courtyard._public import find
from courtyard._statistics import (
    VALUED,
    Held,
    ObjectFigures,
    SpaceStatistics,
    Waiter,
    boot_clock,
    figures,
    holdings_of,
    label_of,
    who,
)

if TYPE_CHECKING:
    from courtyard._space import Space

# What stands for a name that nobody has given yet: which one it is, the waiter alone knows.
A_NAME = "space.wait_for()"


@dataclass(frozen=True)
class ObjectInfo(ObjectFigures):
    """An object of a space: what its statistics say, and how it is found there.

    Its ``type`` is courtyard's class; of an object without a name the base that its memory shows
    (a Set or a Counter without one is a ``"Dict"``, and of an ``"Array"`` the entries are bytes).

    Attributes:
        key: what makes it this one, in its space.
        declared: what its name says that it was declared as: ``"i"``, ``"float32, (2, 3)"``; of a
            queue or a deque how many items it may have now, ``"100"``; empty if there is nothing to
            say.
        value: permits that a semaphore has; 1 or 0 of an event; None for others.

    """

    key: tuple[int, int]
    declared: str
    value: int | None

    @property
    def label(self) -> str:
        """Its name, or what stands for one."""
        return label_of(self.key, self.name)


@dataclass(frozen=True)
class ProcessInfo:
    """A process that is registered in a space.

    Attributes:
        pid: its number in its own PID namespace.
        alive: False: it died, and what it held goes back when the next one looks.
        ended: whether it is not alive because it ended normally.
        started: when it registered, in seconds since the epoch.
        handles: how many handles on objects it has.
        is_self: whether it is the one that asks.
        holds: the locks that it holds, and what else it has of objects.
        awaits: what its threads and tasks have been waiting for; ``A_NAME`` of those in
            ``space.wait_for()``.

    """

    pid: int
    alive: bool
    ended: bool
    started: float
    handles: int
    is_self: bool
    holds: tuple[Held, ...]
    awaits: tuple[Waiter, ...]


@dataclass(frozen=True)
class Survey:
    """A space at one moment."""

    processes: tuple[ProcessInfo, ...]
    objects: tuple[ObjectInfo, ...]

    def find(self, name: str) -> ObjectInfo:
        """Return the object of that name. Raises NotFound if there is none."""
        for found in self.objects:
            if found.name == name:
                return found
        raise NotFound(f"there is no {name!r} in this space")


def statistics(space: Space) -> SpaceStatistics:
    """Return what ``space.statistics()`` does; what the dead held counts as held."""
    return SpaceStatistics(*space._opened().census(recover=False))


def survey(space: Space, glob: str | None = None) -> Survey:
    """Look at a space's objects, or those whose names match, and its processes; O(space)."""
    native = space._opened()
    processes, objects, for_names = native.view()
    now = boot_clock()
    slots = {process[0]: process for process in processes}
    infos = tuple(_object_info(found, processes, now) for found in objects)
    holds: dict[int, list[Held]] = {}
    awaits: dict[int, list[Waiter]] = {}
    for info, found in zip(infos, objects, strict=True):
        if info.holder is not None:
            slot, seen = found["holder"]
            held = Held(info.holder.pid, info.label, "lock", 1, **who(seen))
            holds.setdefault(slot, []).append(held)
        for (slot, _), held in zip(holdings_of(found), info.holdings, strict=True):
            holds.setdefault(slot, []).append(held)
        for slot, since, seen in found["waits"]:
            waiter = Waiter(slots[slot][1], info.label, (now - since) / 1e9, **who(seen))
            awaits.setdefault(slot, []).append(waiter)
    for slot, since, seen in for_names:
        if slot in slots:
            waiter = Waiter(slots[slot][1], A_NAME, (now - since) / 1e9, **who(seen))
            awaits.setdefault(slot, []).append(waiter)
    own = native.slot
    shown = tuple(
        ProcessInfo(
            pid,
            alive,
            ended and not alive,
            time.time() - (now - started) / 1e9,
            handles,
            slot == own,
            tuple(holds.get(slot, ())),
            tuple(awaits.get(slot, ())),
        )
        for slot, pid, started, alive, handles, ended in processes
    )
    if glob is not None:
        infos = tuple(
            info for info in infos if info.name is not None and fnmatchcase(info.name, glob)
        )
    named_first = sorted(infos, key=lambda info: (info.name is None, info.name or "", info.key))
    return Survey(shown, tuple(named_first))


def _object_info(found: Any, processes: list[Any], now: int) -> ObjectInfo:
    base, described = found["base"], found["described"]
    type_, declared, entries = base, "", None
    if described:
        type_ = described[0]
        cls, details = find(type_), tuple(described[1:])
        if cls is not None and cls._changes:  # no name says how it is now
            counted = found["counted"]
            details = (found["most"], *([counted and counted[1]] if base == "Queue" else []))
        declared = cls._shown(details) if cls is not None else ""
        if type_ in ("Array", "RawArray"):
            entries = prod(described[2])
    elif base == "Array":
        entries = found["length"]
    fields = figures(found, processes, now, type_)
    if entries is not None:
        fields["entries"] = entries
    value = found["count"] if base in VALUED else None
    return ObjectInfo(**fields, key=found["key"], declared=declared, value=value)
