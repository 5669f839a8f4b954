"""What a signal cut short beside a stopped peer is given back later."""

import queue
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import courtyard as cy
from tests.support.stopped import (
    GET_LOCK,
    SOON,
    Interrupted,
    Stage,
    alarm,
    stopped_at_random,
)

# What gives something back, the lock that is held, and what is there when it is done.
GIVING: dict[str, tuple[Callable[[Stage], Any], Callable[[Stage], int], Callable[[Stage], Any]]] = {
    "release": (
        lambda s: s.semaphore.release(),
        lambda s: s.place(s.semaphore),
        lambda s: s.semaphore.acquire(timeout=5) and s.semaphore.get_value() == 4,
    ),
    "task_done": (
        lambda s: s.queue.task_done(),
        lambda s: s.place(s.queue, GET_LOCK),
        lambda s: (
            s.queue.qsize() == 0 and cy.wait_for(s.queue, lambda q: not q.unfinished_tasks, 5)
        ),
    ),
    "the end of a lease": (
        lambda s: s.lease.__exit__(None, None, None),
        lambda s: s.place(s.queue, GET_LOCK),
        lambda s: (
            s.queue.qsize() == 0 and cy.wait_for(s.queue, lambda q: not q.unfinished_tasks, 5)
        ),
    ),
    "an item given back": (
        lambda s: s.lease.give_back(),
        lambda s: s.place(s.queue, GET_LOCK),
        lambda s: s.queue.get(timeout=5) == 1,
    ),
}


@pytest.mark.parametrize("name", GIVING)
def test_what_a_signal_cut_short_is_given_back_later(stage: Stage, name: str) -> None:
    """A call that gives something back ends by Ctrl-C beside a stopped process; it is done."""
    call, lock, is_done = GIVING[name]
    at = lock(stage)
    if name.endswith(("of a lease", "given back")):
        stage.lease = stage.queue.lease()
        stage.lease.__enter__()
    elif name == "task_done":
        stage.queue.get()
    else:
        assert stage.semaphore.acquire()
    start = time.monotonic()
    with stage.peer.holding(at), pytest.raises(Interrupted), alarm(0.1):
        call(stage)
    assert time.monotonic() - start < SOON
    assert is_done(stage)
    cy.check(stage.queue)


class Stops:
    """Stops a peer inside the lock, so to speak, while it is loaded, and does not load."""

    stop: Callable[[], object]

    def __init__(self, text: str) -> None:
        self.text = text

    def __setstate__(self, state: dict[str, Any]) -> None:
        Stops.stop()
        self.__dict__.update(state)


@pytest.mark.parametrize("size", [3, 100, 50_000])
def test_an_item_goes_back_later_where_a_lock_is_held_by_then(stage: Stage, size: int) -> None:
    stage.queue.get()
    stage.queue.put_many([1, Stops("x" * size), 2])
    held = stage.peer.holding(stage.place(stage.queue, GET_LOCK))

    def stop() -> None:
        held.__enter__()
        raise ValueError

    Stops.stop = stop
    with pytest.raises((Interrupted, ValueError)), alarm(0.1):
        stage.queue.get_many(3)
    held.__exit__(None, None, None)
    Stops.stop = bool
    assert stage.queue.get(timeout=5) == 1
    assert stage.queue.get(timeout=5).text == "x" * size
    assert stage.queue.get(timeout=5) == 2
    cy.check(stage.queue)


def test_all_permits_are_back_beside_peers_that_are_stopped_anywhere() -> None:
    permits, tasks, ended = cy.Semaphore(4), cy.JoinableQueue(), 0

    def work() -> None:
        permits.acquire()
        permits.release()
        tasks.put(1)
        tasks.get()
        tasks.task_done()

    for _ in stopped_at_random(work, 60):
        with suppress(queue.Full):
            tasks.put(1, timeout=0.01)
        with suppress(queue.Empty):
            tasks.get(timeout=0.01)
            with suppress(Interrupted), alarm(0.02):
                tasks.task_done()
        if permits.acquire(timeout=0.01):
            with suppress(Interrupted), alarm(0.02):
                permits.release()
            ended += 1
    assert ended
    for _ in range(4):
        assert permits.acquire(timeout=5)  # the killed one's come back, too
    with suppress(queue.Empty):
        while True:
            tasks.get(timeout=0.2)
            tasks.task_done()
    assert tasks.unfinished_tasks == 0
    cy.check(permits)
