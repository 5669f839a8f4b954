"""What there is to see of spaces: which there are, what is in them, who uses, holds and awaits it.

For tools (the command line is written on it); nothing of it is public. Looking changes nothing: the
dead are told of, not recovered, and nothing that was pickled is loaded.

``spaces()`` lists the files of this user's folder without entering them. ``survey(space)`` looks at
all objects and processes of one space at one moment; ``peek`` at the contents of one object.
``remove`` and ``remove_orphans`` take files away.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from typing import TYPE_CHECKING, Any

from courtyard import _native
from courtyard._errors import CourtyardError, NotFound
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
)

if TYPE_CHECKING:
    from pathlib import Path

    from courtyard._space import Space

# What stands for a name that nobody has given yet: which one it is, the waiter alone knows.
A_NAME = "space.wait_for()"

_KINDS = {1: "private", 2: "named", 3: "durable"}


@dataclass(frozen=True)
class SpaceInfo:
    """A file in this user's folder.

    Attributes:
        path: the file.
        kind: ``"private"``, ``"named"``, ``"durable"``; ``"draft"`` for one that is being built, or
            was when its maker was killed; ``"unknown"`` for another layout, or no space at all.
        name: its name; None if it has none.
        in_use: whether a process is registered there.
        orphaned: whether it is private, or a draft, and no process uses it: ``remove_orphans``
            removes it. One whose pickles may not be loaded yet is left alone for a minute.
        nbytes: what the file takes, holes not counted.
        objects, names: how many objects live there, and how many have a name.

    """

    path: Path
    kind: str
    name: str | None
    in_use: bool
    orphaned: bool
    nbytes: int
    objects: int
    names: int


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
        started: when it registered, in seconds since the epoch.
        handles: how many handles on objects it has.
        is_self: whether it is the one that asks.
        holds: the locks that it holds, and what else it has of objects.
        awaits: what its threads have been waiting for; ``A_NAME`` of those in ``space.wait_for()``.

    """

    pid: int
    alive: bool
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


def spaces() -> list[SpaceInfo]:
    """Return the spaces of this user's folder, and drafts, by name; private ones last."""
    found = [_space_info(*listed) for listed in _native.spaces()]
    return sorted(found, key=lambda info: (info.name is None, info.name or "", str(info.path)))


def folder() -> Path:
    """Return the folder of this user's spaces."""
    return _native.folder_of_spaces()


def _space_info(
    path: Path,
    kind: int,
    title: str,
    alive: bool,
    draft: bool,
    nbytes: int,
    objects: int,
    names: int,
    tickets: int,
) -> SpaceInfo:
    what = "draft" if draft else _KINDS.get(kind, "unknown")
    orphaned = not alive and what in ("draft", "private")
    return SpaceInfo(path, what, title or None, alive, orphaned, nbytes, objects, names)


def enter(info: SpaceInfo) -> Space:
    """Open a space of the list, a private one too."""
    from courtyard._space import Space

    if info.kind == "named" and info.name is not None:
        return Space(info.name, create=False)
    if info.kind == "durable":
        return Space(info.path.absolute().as_uri(), create=False)
    if info.kind != "private":
        raise CourtyardError(f"{info.path}: not a space that this version can enter ({info.kind})")
    return Space._of(_native.Space.attached(info.path, int(info.path.stem, 16)))


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
            slot, _thread = found["holder"]
            holds.setdefault(slot, []).append(Held(info.holder.pid, info.label, "lock", 1))
        for (slot, _), held in zip(holdings_of(found), info.holdings, strict=True):
            holds.setdefault(slot, []).append(held)
        for slot, since in found["waits"]:
            waiter = Waiter(slots[slot][1], info.label, (now - since) / 1e9)
            awaits.setdefault(slot, []).append(waiter)
    for slot, since in for_names:
        if slot in slots:
            waiter = Waiter(slots[slot][1], A_NAME, (now - since) / 1e9)
            awaits.setdefault(slot, []).append(waiter)
    own = native.slot
    shown = tuple(
        ProcessInfo(
            pid,
            alive,
            time.time() - (now - started) / 1e9,
            handles,
            slot == own,
            tuple(holds.get(slot, ())),
            tuple(awaits.get(slot, ())),
        )
        for slot, pid, started, alive, handles in processes
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
        import courtyard

        type_ = described[0]
        cls, details = getattr(courtyard, type_, None), tuple(described[1:])
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


class Opaque:
    """What stands for a value that is a pickle: it is not loaded."""

    __slots__ = ("nbytes",)

    def __init__(self, nbytes: int) -> None:
        """Stand for a pickle of so many bytes."""
        self.nbytes = nbytes

    def __repr__(self) -> str:
        """Say what it stands for."""
        return f"<pickle, {self.nbytes} bytes>"


def peek(space: Space, name: str, count: int = 10) -> list[Any]:
    """Return up to ``count`` entries of the object of that name, decoded without unpickling.

    Of a dict pairs of key and value, of a list, a set or an array elements, of a value the value
    itself; of a lock or the like nothing. Of a queue the first items, in the order in which they
    would be taken; of a PriorityQueue the first is the next, and the others follow as they stand in
    its heap. Calls of ``get`` on a queue wait for it. A pickle, as value or key, comes as an
    ``Opaque``, and so does an item of more than 1 MiB. A class of the program's own (a
    ``Value(Point)``) is not imported: its bytes come instead.
    """
    return _native.peek(lambda: _entries(space, name, count))


def _entries(space: Space, name: str, count: int) -> list[Any]:
    from itertools import islice

    import courtyard as cy

    native = space._opened()
    found = native.lookup(name)
    if found is None:
        raise NotFound(f"there is no {name!r} in {space!r}")
    described = found[0]
    foreign = len(described) > 1 and _is_foreign(described[1])
    obj: Any = _plainly(native, found) if foreign else space[name]
    if isinstance(obj, _native.RawValue):
        if foreign and found[0][1][3:] != ("",):
            return [_native.RawValue._bytes(obj)]
        return [_native.RawValue.get(obj)]
    if isinstance(obj, _native.RawArray):
        return list(islice(iter(obj), count))
    if isinstance(obj, cy.List | cy.Deque):
        return obj._values()[:count]
    if isinstance(obj, _native.Queue):
        return obj._peek(count)
    if isinstance(obj, cy.Set):
        return _native.Table._keys(obj)[:count]
    if isinstance(obj, _native.Dict):
        return _native.Dict._items(obj)[:count]
    return []


def _is_foreign(described: Any) -> bool:
    """Say whether a class has to be imported to read it."""
    if isinstance(described, tuple) and described[0] == "class":
        return True
    return isinstance(described, tuple) and described[0] == "array" and _is_foreign(described[1])


def _plainly(native: Any, found: Any) -> Any:
    """Open a value or an array of a program's own class: as its bytes, or as any object."""
    import ctypes

    from courtyard import _value

    described = found[0][1]
    count = prod(found[0][2]) if len(found[0]) > 2 else 1
    while described[0] == "array":
        described, count = described[1], count * described[2]
    layout = described[3]
    if not layout:
        return _value._make(_value.RawValue, object, (), found[1])
    nbytes = int(layout.partition(":")[0]) * count
    return _value._make(_value.RawValue, ctypes.c_char * nbytes, (), found[1])


def remove(url: str, *, force: bool = False) -> bool:
    """Remove a named space or a file; return False if others use it. ``force``: all the same.

    It is not entered, so one of another layout goes too. Raises NotFound if there is none.
    """
    path = _space_path(url)
    if not path.exists():
        raise NotFound(f"there is no space {url!r}")
    return _native.remove_space(path, force)


def _space_path(url: str) -> Path:
    from pathlib import Path

    from courtyard._space import _path_of

    if url.startswith("file:"):
        return Path(_path_of(url))
    return _native.space_path(url)


def remove_orphans(*, dry_run: bool = False) -> list[SpaceInfo]:
    """Remove what killed programs left: private spaces and drafts not in use; return them.

    With ``dry_run`` they are only named. Those with pickles under way stay for a minute.
    """
    orphans = [info for info in spaces() if info.orphaned]
    if dry_run:
        return orphans
    return [info for info in orphans if _native.remove_orphan(info.path)]
