"""Ends a test run that hangs, from outside: a process of its own, told of each test over a pipe.

Run by conftest as ``watchdog.py PID FOLDER``. Its standard input carries the lines
``start LIMIT NAME`` and ``end``. When a test passes its limit, every process of the run prints its
stacks (faulthandler answers SIGABRT) and is killed. When the run is over, however it ended, what
is left of it is killed and FOLDER, its shared memory, is removed.

A thread inside the tested process could not do this: it needs the GIL, which a hanging native
call may hold, and it dies with the process that it should clean up after.
"""

import os
import select
import shutil
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """What /proc tells of a process."""

    parent: int
    group: int
    born: int  # in clock ticks since boot


def processes() -> dict[int, Process]:
    """Return all processes that are not zombies."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                # The name, in parentheses, may hold anything; the fields after it are numbers.
                fields = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                if fields[0] not in "ZX":
                    found[int(folder.name)] = Process(
                        parent=int(fields[1]), group=int(fields[2]), born=int(fields[19])
                    )
    return found


class Run:
    """The test run that is watched."""

    def __init__(self, pid: int, folder: str) -> None:
        self.pid = pid
        self.folder = folder
        table = processes()
        self.process = table[pid]
        # Who started the run is no part of it, though perhaps born in the same tick.
        self.ancestors = set()
        parent = self.process.parent
        while parent in table:
            self.ancestors.add(parent)
            parent = table[parent].parent
        self.fd = os.pidfd_open(pid)

    def others(self) -> list[int]:
        """Return the processes that the run has started, near and far.

        The process group alone will not do: it is often shared with make and the shell.
        """
        table = processes()

        def belongs(pid: int) -> bool:
            process = table[pid]
            orphan = (
                process.group == self.process.group
                and process.born >= self.process.born
                and (process.parent not in table or table[process.parent].group != process.group)
            )
            return orphan or self.descends(pid, table) or self.marked(pid)

        spared = {self.pid, os.getpid(), *self.ancestors}
        return [pid for pid in table if pid not in spared and belongs(pid)]

    def descends(self, pid: int, table: dict[int, Process]) -> bool:
        while pid in table and pid != self.pid:
            pid = table[pid].parent
        return pid == self.pid

    def marked(self, pid: int) -> bool:
        """Whether the process, or the one it was forked from, was executed by the run."""
        with suppress(OSError):
            mark = f"COURTYARD_DIR={self.folder}".encode()
            return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return False

    def stop(self) -> None:
        """Print the stacks of all processes and kill the run."""
        send(self.pid, signal.SIGSTOP)  # it would go on when the child that it waits for dies
        children = self.others()
        for pid in children:
            send(pid, signal.SIGABRT)
        time.sleep(0.5 if children else 0)
        send(self.pid, signal.SIGABRT)
        send(self.pid, signal.SIGCONT)
        select.select([self.fd], [], [], 5)
        send(self.pid, signal.SIGKILL)
        select.select([self.fd], [], [], 5)

    def clean(self) -> None:
        """Kill what is left of the run and remove its folder."""
        for _ in range(50):  # an orphan may only be known as one once its parent is dead
            left = self.others()
            if not left:
                break
            for pid in left:
                send(pid, signal.SIGKILL)
            time.sleep(0.02)
        shutil.rmtree(self.folder, ignore_errors=True)


def send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def watch(run: Run) -> None:
    """Return when the run is over."""
    pipe = sys.stdin.fileno()
    poll = select.poll()
    poll.register(run.fd, select.POLLIN)
    poll.register(pipe, select.POLLIN)
    name, limit, deadline = "", 0.0, None
    buffer = b""
    while True:
        wait = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ready = [fd for fd, _ in poll.poll(wait)]
        if run.fd in ready:
            return
        if pipe in ready:
            data = os.read(pipe, 65536)
            if not data:
                poll.unregister(pipe)
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                word, *rest = line.decode().split(" ", 2)
                if word == "start":
                    limit, name = float(rest[0]), rest[1]
                    deadline = time.monotonic() + limit
                else:
                    deadline = None
        elif deadline is not None and time.monotonic() >= deadline:
            print(
                f"\nwatchdog: {name} took longer than {limit:g} s: the run is killed",
                file=sys.stderr,
                flush=True,
            )
            run.stop()
            return


if __name__ == "__main__":
    run = Run(int(sys.argv[1]), sys.argv[2])
    watch(run)
    run.clean()
