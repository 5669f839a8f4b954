"""Calls that never wait find what a killed process held within a moment, too."""

import queue
import time
from collections.abc import Callable
from typing import Any

import pytest

import courtyard as cy
from tests.support import children

SOON = 20.0  # seconds; a tenth of one where the machine is calm
QUEUES = (cy.Queue, cy.LifoQueue, cy.PriorityQueue)


def taken_by_the_dead(take: Callable[[], object]) -> None:
    """Have a child take something, and die by SIGKILL."""
    has_taken = cy.Event()

    def run() -> None:
        take()
        has_taken.set()
        time.sleep(600)

    child = children.fork(run)
    assert has_taken.wait(SOON)
    children.kill(child)


def comes(attempt: Callable[[], object]) -> bool:
    """Return whether an attempt that does not wait succeeds before long."""
    end = time.monotonic() + SOON
    while time.monotonic() < end:
        if attempt():
            return True
    return False


LOCKS: dict[str, Callable[[], Any]] = {
    "Lock": cy.Lock,
    "RLock": cy.RLock,
    "Condition": cy.Condition,
    "Semaphore": lambda: cy.Semaphore(1),
    "BoundedSemaphore": lambda: cy.BoundedSemaphore(1),
    "get_lock of a value": lambda: cy.Value("i").get_lock(),
    "get_lock of an array": lambda: cy.Array("i", 3).get_lock(),
    "get_lock of a dict": lambda: cy.Dict().get_lock(),
}


@pytest.mark.parametrize("arguments", [{"blocking": False}, {"timeout": 0}], ids=str)
@pytest.mark.parametrize("kind", LOCKS)
def test_a_dead_holders_lock_is_acquired(kind: str, arguments: dict[str, Any]) -> None:
    lock = LOCKS[kind]()
    taken_by_the_dead(lock.acquire)
    assert comes(lambda: lock.acquire(**arguments))


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Condition", "Semaphore"])
def test_a_dead_holders_lock_is_free(kind: str) -> None:
    lock = LOCKS[kind]()
    taken_by_the_dead(lock.acquire)
    assert comes(lambda: not lock.locked())


@pytest.mark.parametrize("others", [0, 3])
@pytest.mark.parametrize("kind", [cy.Semaphore, cy.BoundedSemaphore])
def test_permits_of_the_dead_are_counted(kind: Any, others: int) -> None:
    permits = kind(1 + others)
    taken_by_the_dead(permits.acquire)
    assert comes(lambda: permits.get_value() == 1 + others)
    taken_by_the_dead(permits.acquire)
    assert comes(lambda: f"value={1 + others}" in repr(permits))


def test_a_barrier_is_seen_to_break() -> None:
    barrier = cy.Barrier(2)
    child = children.fork(barrier.wait)
    assert comes(lambda: barrier.n_waiting)
    children.kill(child)
    assert comes(lambda: barrier.broken)
    assert comes(lambda: not barrier.n_waiting)


CALLS: dict[str, Callable[[Any], object]] = {
    "get_nowait": lambda q: q.get_nowait(),
    "get(timeout=0)": lambda q: q.get(timeout=0),
    "get_many": lambda q: q.get_many(3, timeout=0),
    "lease(block=False)": lambda q: q.lease(block=False).__enter__(),
    "lease(timeout=0)": lambda q: q.lease(timeout=0).__enter__(),
    "peek": lambda q: q.peek(),
    "clear": lambda q: q.clear(),
    "qsize": lambda q: q.qsize(),
}


@pytest.mark.parametrize("kind", QUEUES)
@pytest.mark.parametrize("name", CALLS)
def test_an_item_that_the_dead_had_on_a_lease_is_found(kind: Any, name: str) -> None:
    q = kind()
    q.put("item")
    taken_by_the_dead(lambda: q.lease().__enter__())

    def attempt() -> bool:
        try:
            return bool(CALLS[name](q))
        except queue.Empty:
            return False

    assert comes(attempt)
