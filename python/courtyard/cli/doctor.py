"""``courtyard doctor``: whether this machine is ready, and what to do if not."""

from __future__ import annotations

import multiprocessing
import os
import platform
import resource
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.text import Text

import courtyard as cy
from courtyard import _report
from courtyard.cli.output import (
    AnySpace,
    AsJson,
    console,
    places,
    print_json,
    refusals,
    shown,
    size,
    table,
    title,
)

ROOM = 64 << 20  # bytes: what Docker gives to /dev/shm, and too little for many


@dataclass(frozen=True)
class Finding:
    """One thing looked at: whether it is well, and if not what to do."""

    what: str
    well: bool
    found: str
    advice: str = ""


def doctor(space: AnySpace = None, as_json: AsJson = False) -> None:
    """Look at this machine: room, limits, permissions, stale spaces, dead holders, versions.

    Says what to do about each thing that is not well, and then exits with 1. What killed processes
    hold in the spaces is given back. With --space it looks
    for dead holders, and for what is taken, in that space alone: give it for a space in a file.

    Example: courtyard doctor
    """
    if space is not None:
        with refusals():
            places(space)
    findings = [finding for look in LOOKS for finding in look()]
    with suppress(cy.CourtyardError, OSError):  # then the folder is not well, as is said already
        findings.extend(within(places(space, private=True)))
    if as_json:
        print_json(findings)
    else:
        listing = table("", "", "")
        listing.show_header = False
        for finding in findings:
            mark = Text("ok", style="green") if finding.well else Text("!!", style="bold red")
            listing.add_row(mark, Text(finding.what), Text(shown(finding.found)))
            if finding.advice and not finding.well:
                listing.add_row("", "", Text(f"-> {finding.advice}", style="bold"))
        console().print(listing)
    if not all(finding.well for finding in findings):
        raise typer.Exit(1)


def versions() -> Iterator[Finding]:
    """Name what runs here."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield Finding(
        "versions", True, f"courtyard {cy.__version__}, {python}, Linux {os.uname().release}"
    )
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_context()
    if not isinstance(method, str):
        method = method.get_start_method()
    yield Finding("start method", True, f"{method} (courtyard works with each of them)")


def place() -> Iterator[Finding]:
    """Look at the folder of the spaces: whether it can be made, is ours, and has room."""
    try:
        folder = _report.folder()
        cy.Lock().close()
    except (cy.CourtyardError, OSError) as error:
        yield Finding(
            "folder",
            False,
            str(error),
            "COURTYARD_DIR names a folder of your own with mode 0700, in memory if possible; where "
            "it is missing, it is made",
        )
        return
    status = folder.stat()
    mode = stat.S_IMODE(status.st_mode)
    yield Finding(
        "permissions",
        status.st_uid == os.geteuid() and mode & 0o777 == 0o700,
        f"{folder}, mode {mode:04o}, owner {status.st_uid}",
        f"it changed just now: {folder} must be yours, with mode 0700",
    )
    kind = _file_system(folder)
    yield Finding(
        "memory",
        kind in ("tmpfs", "hugetlbfs", "ramfs"),
        f"{folder} is on {kind}",
        "this is a disk: give the machine a /dev/shm, or set COURTYARD_DIR to a folder on a tmpfs",
    )
    file_system = os.statvfs(folder)
    free, total = (n * file_system.f_frsize for n in (file_system.f_bavail, file_system.f_blocks))
    yield Finding(
        "room",
        free >= ROOM,
        f"{size(free)} of {size(total)} free",
        "remove what is not needed (courtyard ls; courtyard rm), or make it larger "
        "(docker run --shm-size=1g; mount -o remount,size=1g /dev/shm)",
    )


def limits() -> Iterator[Finding]:
    """Look at what the system allows this process."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield Finding(
        "open files",
        files == resource.RLIM_INFINITY or files >= 256,
        "no limit" if files == resource.RLIM_INFINITY else f"at most {files}",
        "ulimit -n 1024",
    )
    for name, limit, option in (
        ("file size", resource.RLIMIT_FSIZE, "-f"),
        ("address space", resource.RLIMIT_AS, "-v"),
    ):
        soft, _ = resource.getrlimit(limit)
        yield Finding(
            name,
            soft == resource.RLIM_INFINITY,
            "no limit" if soft == resource.RLIM_INFINITY else f"at most {size(soft)}",
            f"ulimit {option} unlimited: a space is a large file with holes, mapped whole",
        )


def leftovers() -> Iterator[Finding]:
    """Look for what killed programs left."""
    try:
        orphans = [info for info in _report.spaces() if info.orphaned]
    except (cy.CourtyardError, OSError):
        return  # said already
    held = f"{len(orphans)}, {size(sum(info.nbytes for info in orphans))}" if orphans else "none"
    yield Finding("left by killed programs", not orphans, held, "courtyard rm --orphans")
    unknown = [info.path.name for info in _report.spaces() if info.kind == "unknown"]
    yield Finding(
        "files of other versions",
        not unknown,
        ", ".join(unknown) or "none",
        f"when nothing uses them: rm them in {_report.folder()}",
    )


def within(where: list[tuple[_report.SpaceInfo, cy.Space]]) -> Iterator[Finding]:
    """Look into spaces: what they take, and locks of the dead, which are given back then."""
    found = [_report.statistics(space) for _, space in where]
    used, free, taken = (
        size(sum(getattr(figures, what) for figures in found)) for what in ("used", "free", "taken")
    )
    yield Finding("taken by spaces", True, f"{taken}, {used} used, {free} free")
    dead = [
        f"{obj.label} in {title(info)} (pid {obj.holder.pid})"
        for info, space in where
        for obj in _report.survey(space).objects
        if obj.holder is not None and not obj.holder.alive
    ]
    for _, space in where:
        space.statistics()  # gives back what the dead hold
    yield Finding("dead holders", True, ", ".join(dead) + ": given back now" if dead else "none")


LOOKS = (versions, place, limits, leftovers)


def _file_system(path: Path) -> str:
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, found, *_ = line.split(" ")
        where = where.replace("\\040", " ")
        if path.is_relative_to(where) and len(where) >= len(best):
            best, kind = where, found
    return kind
