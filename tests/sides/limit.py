"""Calls where something is scarce: descriptors, addresses, room; where privileges were dropped."""

import ctypes
import gc
import os
import re
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import courtyard as cy
from tests.sides.member import Member, classes, invite, members, nobody
from tests.sides.play import LIMIT, ended, play
from tests.support.children import die_with_parent

ROOM = 8 << 20  # bytes of a space that is full
DISK = 12 << 20  # bytes of a file system that is full
MEMORY = 16 << 10  # kilobytes of its own by which a process may grow, after a warm-up
NOBODY = 65534


def everything() -> list[tuple[Member, Any]]:
    """Make an object for each call there is."""
    invite(nobody)
    found = [(member, member.specimen()) for cls in classes() for member in members(cls)]
    for member, specimen in found:
        if member.cls == "Condition":
            specimen.release()  # else a child would wait for its parent
    return found


def attempt(calls: list[tuple[Member, Any]]) -> None:
    """Make all calls; each has a result, or raises an exception."""
    for member, specimen in calls:
        try:
            member.call(specimen)
        except Exception:
            pass
        except BaseException as error:
            raise AssertionError(f"{member} raised {error!r}") from error
        if member.name == "acquire":  # else a child would wait for its parent
            with suppress(Exception):
                specimen.release()


def use() -> None:
    """See that all is well again."""
    text = b"x" * 100_000
    kept = cy.Dict(a=text)
    queue = cy.Queue()
    queue.put(kept["a"], timeout=LIMIT)
    assert queue.get(timeout=LIMIT) == text
    queue.check()


@contextmanager
def limited(what: int, amount: int) -> Iterator[None]:
    before = resource.getrlimit(what)
    resource.setrlimit(what, (amount, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(what, before)


def _child(work: Callable[[], object]) -> None:
    child = play(work)
    assert not (wrong := ended(child)), f"a child {wrong}"


def descriptors() -> None:
    """Use everything with no descriptor left, in a child too."""
    calls = everything()
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    with limited(resource.RLIMIT_NOFILE, lowest):
        attempt(calls)
        _child(lambda: attempt(calls))
    use()


def addresses() -> None:
    """Use everything, and open spaces, with hardly any addresses left."""
    calls = everything()
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[0])
    with limited(resource.RLIMIT_AS, pages * resource.getpagesize() + (8 << 20)):
        attempt(calls)
        with suppress(Exception):
            cy.Array("b", 64 << 20)
        for number in range(3):
            with suppress(Exception):
                cy.Space(f"scarce {os.getpid()} {number}").destroy(force=True)
        attempt(calls)
    use()


def room() -> None:
    """Use everything in a space that is full to the last byte."""
    space = cy.Space(f"full {os.getpid()}", size_limit=ROOM)
    calls, filling = [], []

    def fill() -> None:
        calls.extend(everything())
        for size in (100_000, 10_000, 1000, 10):
            with suppress(cy.SpaceFull):
                while True:
                    filling.append(cy.Array("b", [7] * size))
        attempt(calls)
        attempt(calls)

    space._opened().call(fill, (), {})
    _child(lambda: attempt(calls))
    space.check()
    assert len(filling) > 20
    assert all(array[-1] == 7 for array in filling)
    filling.clear()
    space._opened().call(use, (), {})
    calls.clear()
    space.destroy(force=True)


def _mounted(folder: str) -> None:
    """Mount a small file system that this process alone sees; OSError if that is not permitted."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_namespace, new_user, private = 0x20000, 0x10000000, 0x44000
    user = 0 if os.geteuid() == 0 else new_user
    size = f"size={DISK}".encode()
    steps: list[Callable[[], int]] = [
        lambda: libc.unshare(new_namespace | user),
        lambda: libc.mount(b"none", b"/", None, private, None),
        lambda: libc.mount(b"none", folder.encode(), b"tmpfs", 0, size),
    ]
    for step in steps:
        if step() != 0:
            raise OSError(ctypes.get_errno(), "a file system cannot be mounted here")


def may_mount() -> bool:
    """Return whether this process may mount a file system of its own."""
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if not child:
            code = 1
            with suppress(OSError):
                _mounted(folder)
                code = 0
            os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def disk() -> None:
    """Use everything in a file on a file system that is full, and then in it again."""
    signal.alarm(4 * LIMIT)
    with tempfile.TemporaryDirectory() as folder:
        _child(lambda: _on_a_full_disk(folder))


def _on_a_full_disk(folder: str) -> None:
    signal.alarm(3 * LIMIT)
    _mounted(folder)
    space = cy.Space(f"file://{folder}/space.cy")
    calls, filling = [], []

    def fill() -> None:
        calls.extend(everything())
        for size in (100_000, 10_000, 1000, 10):
            with suppress(cy.SpaceFull):
                while True:
                    filling.append(cy.Array("b", [7] * size))
        attempt(calls)

    space._opened().call(fill, (), {})
    _child(lambda: attempt(calls))
    space.check()
    assert len(filling) > 100
    assert all(array[-1] == 7 for array in filling)
    filling.clear()
    space._opened().call(use, (), {})
    space.check()


def memory() -> None:
    """Make everything and use it, again and again: a process's own memory stays what it was."""

    def own() -> int:
        gc.collect()
        found = re.search(r"RssAnon:\s*(\d+)", Path("/proc/self/status").read_text())
        assert found is not None
        return int(found[1])

    signal.alarm(6 * LIMIT)
    rounds, before, end = 0, 0, time.monotonic() + LIMIT / 2
    while rounds < 4 or time.monotonic() < end:
        attempt(everything())
        rounds += 1
        if rounds == 3:
            before = own()
    after = own()
    assert after - before < MEMORY, f"{before} kB after 3 rounds, {after} after {rounds}"


def _without_privileges(calls: list[tuple[Member, Any]], drop: Callable[[], object]) -> None:
    """Go on as somebody else, with children that are killed while they hold a lock."""
    lock = cy.Lock()
    drop()
    attempt(calls)
    _child(lambda: attempt(calls))
    _child(use)
    reading, writing = os.pipe()
    holder = os.fork()
    if not holder:
        die_with_parent()
        lock.acquire()
        os.write(writing, b"x")
        signal.pause()
    assert os.read(reading, 1)
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    assert lock.acquire(timeout=LIMIT / 2), "nobody can take a dead one's lock"
    use()


def setuid() -> None:
    """Drop privileges, as daemons do, after all was opened."""

    def drop() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    _without_privileges(everything(), drop)


def chroot() -> None:
    """Lose sight of all files after all was opened."""
    calls = everything()
    with tempfile.TemporaryDirectory() as folder:

        def drop() -> None:
            os.chroot(folder)
            os.chdir("/")

        _child(lambda: _without_privileges(calls, drop))


SCENARIOS: dict[str, Callable[[], None]] = {
    "descriptors": descriptors,
    "addresses": addresses,
    "room": room,
    "memory": memory,
} | ({"disk": disk} if may_mount() else {})
# For root alone.
PRIVILEGED: dict[str, Callable[[], None]] = {"setuid": setuid, "chroot": chroot}
