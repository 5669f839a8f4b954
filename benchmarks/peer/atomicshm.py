"""atomicshm: atomic operations on any shared buffer. It has no locks and no waiting."""

from __future__ import annotations

import mmap
from typing import Any

import atomicshm

from benchmarks.offer import Offers, Script, Statement

TITLE = "atomicshm"
DISTRIBUTION = "atomicshm"


def make() -> Any:
    """Return an atomic integer in memory that forked processes share."""
    return atomicshm.AtomicView(mmap.mmap(-1, mmap.PAGESIZE)).cell_u64(0)


def cell(code: str) -> Statement:
    """Return a statement on an atomic integer ``v``."""
    v = make()
    return Statement(code, {"v": v}, v.load)


def create() -> Statement:
    """Return what makes an atomic integer, with its memory."""
    names = {"AtomicView": atomicshm.AtomicView, "mmap": mmap.mmap}
    return Statement("AtomicView(mmap(-1, 4096)).cell_u64(0)", names)


OFFERS: Offers = {
    "read-raw": lambda: cell("v.load()"),
    "write-raw": lambda: cell("v.store(7)"),
    "increment-raw": lambda: cell("v.fetch_add(1)"),
    "create-raw": create,
    "import": lambda: Script("import atomicshm"),
    "first": lambda: Script(
        "import atomicshm, mmap; v = atomicshm.AtomicView(mmap.mmap(-1, 4096)).cell_u64(0)"
    ),
}
