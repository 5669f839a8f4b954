"""What a peer's adapter may offer to the workloads."""

from __future__ import annotations

import ctypes
import itertools
import multiprocessing
import os
import signal
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

# Most of what peers share can be inherited; not all of it can be sent.
FORK = multiprocessing.get_context("fork")
SPAWN = multiprocessing.get_context("spawn")


class Unsupported(Exception):
    """Raised by an offer that can't be made here; the text is the reason that readers see."""


@dataclass(frozen=True)
class Statement:
    """Python code, run in a loop, and the names it uses."""

    code: str
    names: dict[str, Any] = field(default_factory=dict)
    # For code that adds 1: what all processes have added.
    total: Callable[[], int] | None = None

    @property
    def what(self) -> str:
        """What ran, for the reader of a table."""
        return self.code


@dataclass(frozen=True)
class Critical:
    """Python code that enters and leaves a section where no other process may be."""

    enter: str
    leave: str
    names: dict[str, Any] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """What ran, for the reader of a table."""
        return f"{self.enter}; {self.leave}"


@dataclass(frozen=True)
class Task:
    """How a task of asyncio's gets what is put, in this process or another."""

    what: str
    get: Callable[[], Awaitable[Any]]
    put: Callable[[int], object]


@dataclass(frozen=True)
class Signal:
    """How one process wakes another; the numbers rise by one each time."""

    what: str
    wait: Callable[[int], object]
    wake: Callable[[int], object]
    # By the waiter, when it has woken, before it waits again.
    reset: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Line:
    """Python code that puts ``item`` into a queue, and that takes it out; each waits where it must.

    What a process needs of its own is made there by ``sender`` and ``receiver``.
    """

    put: str
    get: str
    names: dict[str, Any] = field(default_factory=dict)
    sender: Callable[[], dict[str, Any]] = dict
    receiver: Callable[[], dict[str, Any]] = dict

    @property
    def what(self) -> str:
        """What ran, for the reader of a table."""
        return f"{self.put}; {self.get}".replace("\n", "; ")


@dataclass(frozen=True)
class Table:
    """Python code that reads ``value`` under ``key``, and that stores it there.

    ``open`` returns the names that the code uses, in each process that runs it.
    """

    get: str
    set: str
    open: Callable[[], dict[str, Any]]
    # Store one value under all of these keys, as quickly as that goes.
    fill: Callable[[dict[str, Any], list[str], Any], object]
    # The bytes of shared memory in use.
    used: Callable[[dict[str, Any]], int] | None = None

    @property
    def what(self) -> str:
        """What ran, for the reader of a table."""
        return f"{self.get}; {self.set}"


@dataclass(frozen=True)
class Script:
    """Python code for a fresh interpreter."""

    what: str


@dataclass(frozen=True)
class Parcel:
    """What is sent to a spawned process, and the function there that reads a number from it."""

    what: str
    content: Any
    read: Callable[[Any], int]


Offer = Statement | Critical | Signal | Line | Table | Script | Parcel
# By name; what follows a colon tells several of one peer apart: "signal", "signal:Condition".
Offers = dict[str, Callable[[], Any]]

PR_SET_PDEATHSIG = 1


def serve(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Start a server that the kernel kills when this process ends, however it ends."""
    prctl = ctypes.CDLL(None).prctl

    def end_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    return subprocess.Popen(command, text=True, preexec_fn=end_with_parent, **quiet | options)


_numbers = itertools.count()
_polls = itertools.count(1)

POLLS = 64  # in vain, before the CPU is given to whoever is waited for


def relax() -> None:
    """Do what a loop that polls does when it finds nothing."""
    if next(_polls) % POLLS == 0:
        os.sched_yield()


def path() -> str:
    """Return a new path in shared memory; what is there goes with the cell."""
    folder = os.environ.get("COURTYARD_DIR") or tempfile.gettempdir()
    return os.path.join(folder, f"peer-{os.getpid()}-{next(_numbers)}")


def name() -> str:
    """Return a new name; what shared memory has a name that begins so goes with the cell too."""
    folder = os.path.basename(os.environ.get("COURTYARD_DIR") or "peer")
    return f"{folder}-{os.getpid()}-{next(_numbers)}"
