"""The engine's locks, held as by a process that was stopped inside one.

A lock word names its holder; one that is written to name a living process is a held lock. So the
tests need not stop a peer at the right instruction. The offsets are those of the design page.
"""

import mmap
import os
import random
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import courtyard as cy
from tests.support import children

DIRECTORY = 0x300
OBJECTS = 0x340
DATA = 0x40
STATES, RECORDS, RECORD_SIZE, SLOTS = 0x1000, 0x5000, 0xA000, 1024
DRAIN_LOCKS, DRAINING = 0x3000, 2
FIRST_ROWS, OBJECT_ROW, UNIT = 64, 40, 16 << 10

# In an object; the last two in a queue's.
SEQUENCE = 0x18
GET_LOCK = 0x30
TURN = GET_LOCK + 128
SHARD = GET_LOCK  # the first of a dict's

SOON = 8.0  # seconds: far beyond any timeout here and far below for ever


class Peer:
    """A process that has a space open and does nothing, and the locks that it seems to hold."""

    def __init__(self, handle: Any, pid: int) -> None:
        path = Path(os.environ["COURTYARD_DIR"]) / f"{handle._identity()[0]:032x}.cy1"
        self.file = os.open(path, os.O_RDWR)
        size = os.fstat(self.file).st_size
        self.memory = mmap.mmap(self.file, size)
        self.slot = next(slot for slot in range(SLOTS) if self._is(slot, pid))

    def _is(self, slot: int, pid: int) -> bool:
        return (
            self.read(STATES + 8 * slot) & 3 == 1 and self.read(RECORDS + RECORD_SIZE * slot) == pid
        )

    def read(self, offset: int) -> int:
        word: int = struct.unpack_from("=Q", self.memory, offset)[0]
        return word

    def write(self, offset: int, word: int) -> None:
        struct.pack_into("=Q", self.memory, offset, word)

    def place(self, handle: Any) -> int:
        """Where the words of an object are. It opens a ticket."""
        row, serial = handle._address()[2:4]
        part = (row // FIRST_ROWS + 1).bit_length() - 1
        first = FIRST_ROWS * ((1 << part) - 1)
        at = self.read(OBJECTS + 8 * part) + OBJECT_ROW * (row - first)
        assert self.read(at) == serial, "the layout is another one"
        root = self.read(at + 8)
        return root + (0x40 if (root - self.read(DATA)) % UNIT == 0 else 0x10)

    @contextmanager
    def holding(self, *locks: int) -> Iterator[None]:
        """Hold locks that nobody else holds."""
        generation = self.read(STATES + 8 * self.slot) >> 32
        for lock in locks:
            assert self.read(lock) == 0
            self.write(lock, generation << 32 | (self.slot + 1) << 16)
        try:
            yield
        finally:
            for lock in locks:
                self.write(lock, 0)

    def close(self) -> None:
        self.memory.close()
        os.close(self.file)


class Stage:
    """One of each, and a process that may seem to hold their locks."""

    lease: Any

    def __init__(self) -> None:
        self.queue, self.full = cy.Queue(), cy.Queue(maxsize=1)
        self.least, self.semaphore = cy.PriorityQueue(), cy.Semaphore(5)
        self.condition, self.barrier = cy.Condition(), cy.Barrier(1)
        self.array, self.dict = cy.Array("i", 100), cy.Dict(a=1)
        for kept in (self.queue, self.full, self.least):
            kept.put(1)
        self.pid = children.fork(self.idle)
        while True:
            try:
                self.peer = Peer(self.queue, self.pid)
                return
            except StopIteration:
                time.sleep(0.001)

    def idle(self) -> None:
        self.queue.qsize()
        time.sleep(600)

    def place(self, kept: Any, offset: int = 0) -> int:
        return self.peer.place(kept) + offset

    def close(self) -> None:
        self.peer.close()
        children.kill(self.pid)


class Interrupted(Exception):
    """Raised by the alarm."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise Interrupted in this thread after so many seconds."""

    def ring(number: int, frame: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def stopped_at_random(work: Callable[[], object], tries: int) -> Iterator[None]:
    """Yield with a child that repeats ``work`` stopped somewhere; so many times."""

    def repeat() -> None:
        while True:
            work()

    child = children.fork(repeat)
    for _ in range(tries):
        time.sleep(random.uniform(0.0002, 0.003))
        os.kill(child, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(child, signal.SIGCONT)
    children.kill(child)
