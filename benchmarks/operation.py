"""What a workload is made of: operations, how they are measured, and our goals."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

PINNINGS = ("pinned", "unpinned")


@dataclass(frozen=True)
class Setting:
    """How a cell is measured: for how long, and whether its processes are pinned."""

    pinned: bool = False
    seconds: float = 0.1
    cpus: tuple[int, ...] = field(default_factory=lambda: tuple(sorted(os.sched_getaffinity(0))))

    def pin(self, index: int) -> None:
        """Keep this process, the cell's ``index``-th, on a CPU of its own as far as they go."""
        if self.pinned:
            os.sched_setaffinity(0, {self.cpus[index % len(self.cpus)]})


@dataclass(frozen=True)
class Figure:
    """What a cell measured, in the unit of its operation; less is better."""

    value: float
    # The share of updates that were lost.
    lost: float = 0.0
    # Whatever else is worth keeping, by name.
    details: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Goal:
    """What courtyard's figure may be at most: ``limit`` times another figure, or as such.

    The other one is that of a peer, named with its variant if it has one, as in
    ``multiprocessing:Pipe``; or that of the best peer, ``best``; or courtyard's own of another
    operation, ``own`` and the operation's key.
    """

    limit: float
    beside: str | None = None
    own: str = ""


@dataclass(frozen=True)
class Operation:
    """Something that peers can be asked to do, with a figure as the answer."""

    name: str
    title: str
    offer: str  # the name of what an adapter must offer
    measure: Callable[[Any, Setting], Figure]
    how: str
    unit: str = "ns"  # or "bytes", "share"
    goals: tuple[Goal, ...] = ()
    pinnings: tuple[str, ...] = PINNINGS
    rounds: int | None = None  # at most so many
    copies: int = 1  # how many of the offer are made: one is measured as such, more as a tuple
