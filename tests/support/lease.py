"""Queues to lease from, and items that cannot be loaded while a test says so."""

from typing import Any

import courtyard as cy

ALL = [cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.JoinableQueue]
LARGE = "x" * 20_000


class Job:
    """One that the consumers cannot load, once `broken` says so."""

    def __init__(self, number: int, payload: Any = None) -> None:
        self.number, self.payload = number, payload

    def __reduce__(self) -> tuple[Any, ...]:
        return load, (self.number, self.payload)

    def __lt__(self, other: Any) -> bool:
        return self.number < (other.number if isinstance(other, Job) else other)

    def __gt__(self, other: Any) -> bool:
        return self.number > (other.number if isinstance(other, Job) else other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and self.number == other.number

    __hash__ = None  # type: ignore[assignment]


broken: set[int] = set()
raises: Any = ValueError


def load(number: int, payload: Any) -> Job:
    if number in broken:
        raise raises(number)
    return Job(number, payload)


def made(cls: Any, *items: Any, maxsize: int = 0) -> Any:
    q = cls(maxsize)
    q.put_many(items)
    return q


def drained(q: Any) -> list[Any]:
    return q.get_many(1000) if q.qsize() else []


def state(q: Any) -> tuple[int, int]:
    return q.qsize(), q.unfinished_tasks
