"""The engine's locks, held as by a process that was stopped inside one.

A lock word names its holder; one that is written to name a living process is a held lock. So the
tests need not stop a peer at the right instruction. The offsets are those of the design page.
"""

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DIRECTORY = 0x300
OBJECTS = 0x340
DATA = 0x40
STATES, RECORDS, RECORD_SIZE, SLOTS = 0x1000, 0x5000, 0xA000, 1024
DRAIN_LOCKS, DRAINING = 0x3000, 2
FIRST_ROWS, OBJECT_ROW, UNIT = 64, 40, 16 << 10

# In a cell; the last two in a queue's.
SEQUENCE = 0x18
GET_LOCK = 0x30
TURN = GET_LOCK + 128


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

    def cell(self, handle: Any) -> int:
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
