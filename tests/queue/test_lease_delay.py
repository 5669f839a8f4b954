"""Items that go back into a queue for later."""

import random
import threading
import time
from contextlib import suppress
from multiprocessing.context import BaseContext
from queue import Empty
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import join, start
from tests.support.lease import ALL, made, state


def test_delay() -> None:
    q = made(cy.Queue, "later", "now")
    start = time.monotonic()
    with (lease := q.lease()):
        lease.requeue(0.3)
    assert state(q) == (2, 2) and not q.empty()
    assert q.get() == "now"
    with pytest.raises(Empty):
        q.get_nowait()
    with pytest.raises(Empty):
        q.get(timeout=0.05)
    with pytest.raises(Empty):
        q.lease(block=False).__enter__()
    assert q.get(timeout=20) == "later"
    assert 0.3 <= time.monotonic() - start < 10


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("how", ["get", "get_many", "lease", "get in a thread", "after shutdown"])
def test_getter_wakes_when_it_is_due(cls: Any, how: str) -> None:
    q = made(cls, 1)
    lease = q.lease()
    lease.__enter__()
    got: list[float] = []

    def take() -> None:
        with suppress(cy.ShutDown):
            take_one()

    def take_one() -> None:
        match how:
            case "get_many":
                q.get_many(3)
            case "lease":
                with q.lease():
                    pass
            case _:
                q.get()
        got.append(time.monotonic())

    thread = threading.Thread(target=take)
    if how != "get":
        thread.start()
        time.sleep(0.1)
    if how == "after shutdown":
        q.shutdown()
        thread.join(20)
        assert not got  # it was told that no more will come
        thread = threading.Thread(target=take)
    start = time.monotonic()
    lease.requeue(0.2)
    if not thread.is_alive():
        thread.start()
    thread.join(20)
    assert got and 0.2 <= got[0] - start < 10


def test_sooner_one_wakes_earlier() -> None:
    q = made(cy.Queue, "late", "soon")
    for delay in (30, 0.1):
        with (lease := q.lease()):
            lease.requeue(delay)
    assert q.get(timeout=20) == "soon"
    assert q.qsize() == 1
    thread = threading.Timer(0.1, q.put, ["put"])
    thread.start()
    assert q.get(timeout=20) == "put"
    thread.join()


def test_delayed_in_due_order() -> None:
    q = made(cy.Queue, *range(200))
    delays = [1000 + (n * 37 % 200) * 50 for n in range(200)]
    for delay in delays:
        with (lease := q.lease()):
            lease.requeue(delay)
    assert q._peek(1000) == sorted(range(200), key=lambda n: delays[n])


def test_many_delayed() -> None:
    """Whatever the order of their times: no search is long."""
    q = made(cy.Queue, *range(20_000))
    start = time.monotonic()
    for number in range(20_000):
        with (lease := q.lease()):
            lease.requeue(1000 + (number if number % 2 else -number) % 777)
    assert time.monotonic() - start < 60
    assert q.qsize() == 20_000
    q.check()
    q.shutdown(immediate=True)
    assert state(q) == (0, 0)
    q.check()


@pytest.mark.parametrize(
    ("delay", "error"),
    [
        (-1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        (1e300, OverflowError),
        ("1", TypeError),
        (None, TypeError),
    ],
)
def test_bad_delay_changes_nothing(delay: Any, error: Any) -> None:
    q = made(cy.Queue, 1)
    with (lease := q.lease()) as item:
        with pytest.raises(error):
            lease.requeue(delay)
        assert item == 1 and state(q) == (0, 1)
    assert state(q) == (0, 0)


@pytest.mark.parametrize("delay", [1e9, True, 3, 0.0])
def test_odd_delays(delay: Any) -> None:
    q = made(cy.Queue, 1)
    with (lease := q.lease()):
        lease.requeue(delay)
    assert q.qsize() == 1
    if not delay:
        assert q.get_nowait() == 1


def put_back_for(queue: cy.Queue[Any], item: Any, delay: float) -> None:
    queue.put(item)
    lease = queue.lease()
    with lease:
        lease.requeue(delay)


@pytest.mark.parametrize("kind", [cy.Queue, cy.LifoQueue, cy.PriorityQueue])
@pytest.mark.parametrize("shut", [False, True])
def test_what_was_put_back_for_later_is_still_to_come(kind: type[Any], shut: bool) -> None:
    queue = kind()
    put_back_for(queue, "later", 600)
    if shut:
        queue.shutdown()
    for call in (queue.get_nowait, queue.peek, queue.lease(False).__enter__):
        with pytest.raises(Empty):
            call()
    with pytest.raises(Empty):
        queue.get(timeout=0.01)
    with pytest.raises(Empty):
        queue.get_many(3, timeout=0.01)
    assert (queue.qsize(), queue.empty(), queue.unfinished_tasks) == (1, False, 1)
    assert queue.clear() == 1
    with pytest.raises(cy.ShutDown if shut else Empty):
        queue.peek()


@pytest.mark.parametrize("kind", [cy.Queue, cy.LifoQueue, cy.PriorityQueue])
def test_peek_finds_what_is_due(kind: type[Any]) -> None:
    queue = kind()
    put_back_for(queue, "later", 0.1)
    queue.shutdown()
    while True:
        try:
            assert queue.peek() == "later"
        except Empty:
            continue
        break
    assert queue.get_nowait() == "later"
    with pytest.raises(cy.ShutDown, match="it is empty, and no more will come"):
        queue.peek()


def look_again_and_again(queue: cy.Queue[Any], over: cy.Event) -> None:
    while not over.is_set():
        with suppress(Empty, cy.ShutDown):
            queue.peek()


@pytest.mark.parametrize("how", ["get", "lease"])
def test_nobody_is_told_of_the_end_while_another_looks_at_what_is_due(
    how: str, ctx: BaseContext
) -> None:
    """peek() moves an item that has become due to its place by priority, and leaves it there."""
    queue: cy.PriorityQueue[Any] = cy.PriorityQueue()
    over, chance = cy.Event(), random.Random(5)
    lookers = [start(ctx, look_again_and_again, queue, over) for _ in range(3)]
    end = time.monotonic() + 4
    try:
        while time.monotonic() < end:
            queue.reopen()
            put_back_for(queue, "later", chance.uniform(0, 0.0005))
            queue.shutdown()
            while True:
                with suppress(Empty):  # and ShutDown is what must not come
                    if how == "get":
                        assert queue.get_nowait() == "later"
                        queue.task_done()
                    else:
                        with queue.lease(False) as item:
                            assert item == "later"
                    break
            assert queue.unfinished_tasks == 0
    finally:
        over.set()
        join(*lookers, limit=60)
