"""What objects and spaces say of themselves, frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class SpaceStatistics:
    """What a space holds.

    Attributes:
        size: bytes of its file that may be used.
        used: bytes of these in blocks that hold something.
        live_blocks: blocks that an object or a table consists of.
        idle_blocks: blocks at hand, being filled, or waiting for a reader to leave them.
        objects: living objects.
        names: objects that have a name.
        tickets: pickles of objects under way.
        participants: processes registered.

    """

    size: int
    used: int
    live_blocks: int
    idle_blocks: int
    objects: int
    names: int
    tickets: int
    participants: int


@dataclass(frozen=True)
class ObjectStatistics:
    """What an object holds.

    Attributes:
        type: what it is, as its repr says it.
        nbytes: bytes of a value, of an array's elements, of anything else's fixed part.
        version: as its ``version``, which changes with every change.
        space: what the space holds that it lives in.

    """

    type: str
    nbytes: int
    version: int
    space: SpaceStatistics


class Described(Protocol):
    """An object that knows its figures."""

    def _figures(self) -> tuple[int, int, list[int]]: ...


def object_statistics(obj: Described, name: str) -> ObjectStatistics:
    """Make the statistics of an object out of its native figures."""
    nbytes, version, census = obj._figures()
    return ObjectStatistics(name, nbytes, version, SpaceStatistics(*census))
