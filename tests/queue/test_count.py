"""What a queue counts is right soon after a kill, also for a program that only asks."""

import os
import signal
import time
from collections.abc import Callable
from queue import Empty
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork

QUEUES = [cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.JoinableQueue]


def killed(work: Callable[[], object]) -> None:
    def run() -> None:
        kept = work()
        os.kill(os.getpid(), signal.SIGKILL)
        assert kept

    os.waitpid(fork(run), 0)


def soon(test: Callable[[], bool]) -> bool:
    """Return whether a test holds at last; only it is asked."""
    end = time.monotonic() + 20
    while not test():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("cls", QUEUES)
def test_what_was_taken_counts_as_done(cls: Any) -> None:
    q = cls()
    q.put_many([1, 2, 3])
    killed(lambda: [q.get(), q.get()])
    assert soon(lambda: q.unfinished_tasks == 1) and q.qsize() == 1
    q.get()
    q.task_done()
    assert q.unfinished_tasks == 0
    with pytest.raises(ValueError, match="too many times"):
        q.task_done()


@pytest.mark.parametrize("cls", QUEUES)
@pytest.mark.parametrize("ask", ["qsize", "empty", "unfinished_tasks", "get_nowait", "get_many"])
def test_what_was_leased_is_there_again(cls: Any, ask: str) -> None:
    q = cls()
    q.put(1)
    killed(lambda: q.lease().__enter__())

    def get(call: Callable[[], object]) -> bool:
        try:
            return call() in (1, [1])
        except Empty:
            return False

    asks: dict[str, Callable[[], bool]] = {
        "qsize": lambda: bool(q.qsize() == 1),
        "empty": lambda: not q.empty(),
        "unfinished_tasks": lambda: q.unfinished_tasks == 1 and q.statistics().entries == 1,
        "get_nowait": lambda: get(q.get_nowait),
        "get_many": lambda: get(lambda: q.get_many(3, timeout=0)),
    }
    assert soon(asks[ask])
    assert q.unfinished_tasks == 1
    q.check()


@pytest.mark.parametrize("cls", QUEUES)
def test_leases_of_the_living_stay(cls: Any) -> None:
    q = cls()
    q.put(1)
    with q.lease() as item:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            assert q.qsize() == 0 and q.empty() and q.unfinished_tasks == 1
            with pytest.raises(Empty):
                q.get_nowait()
    assert item == 1 and q.unfinished_tasks == 0
