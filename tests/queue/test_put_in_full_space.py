"""Producers in a space with room for one item or two: a put waits for the room that a get makes."""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import join, start

LIMIT = 4_000_000
SIZES = [100_000, 1_500_000, 3_000_000]
CLASSES = [cy.Queue, cy.LifoQueue, cy.PriorityQueue]


def item(number: int, size: int) -> tuple[int, bytes]:
    return number, bytes([number % 256]) * size


def produce(jobs: Any, numbers: range, size: int, many: bool = False) -> None:
    if many:
        jobs.put_many([item(number, size) for number in numbers])
    else:
        for number in numbers:
            jobs.put(item(number, size))


def consume(jobs: Any, count: int, size: int) -> list[int]:
    numbers = []
    for _ in range(count):
        number, payload = jobs.get(timeout=30)
        assert payload == item(number, size)[1]
        numbers.append(number)
    return numbers


@pytest.fixture
def space() -> cy.Space:
    return cy.Space(size_limit=LIMIT)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cls", CLASSES)
def test_another_process_gets_all_of_them(
    space: cy.Space, ctx: BaseContext, cls: Any, size: int
) -> None:
    jobs, count = space.named("jobs", cls), 60
    child = start(ctx, produce, jobs, range(count), size)
    assert sorted(consume(jobs, count, size)) == list(range(count))
    join(child)
    space.check()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("many", [False, True])
def test_threads_that_put_at_once(space: cy.Space, cls: Any, size: int, many: bool) -> None:
    jobs, raised = space.named("jobs", cls), []

    def run(number: int) -> None:
        try:
            produce(jobs, range(5 * number, 5 * number + 5), size, many)
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    try:
        assert sorted(consume(jobs, 40, size)) == list(range(40))
    finally:
        jobs.shutdown(immediate=True)  # what is left does not wait for ever
        for thread in threads:
            thread.join()
    assert not raised
    space.check()


def work(jobs: Any, count: int, size: int) -> None:
    for _ in range(count):
        with jobs.lease(timeout=30) as (number, payload):
            time.sleep(0.3)  # longer than a put goes on in a full space
            assert payload == item(number, size)[1]


@pytest.mark.parametrize("cls", CLASSES)
def test_another_process_has_what_fills_the_space_on_a_lease(
    space: cy.Space, ctx: BaseContext, cls: Any
) -> None:
    jobs = space.named("jobs", cls)
    child = start(ctx, work, jobs, 5, 3_000_000)
    produce(jobs, range(5), 3_000_000)
    jobs.join()
    join(child)
    # One's own lease makes no room: it would be waited for by who has it.
    jobs.put(item(0, 3_000_000))
    with jobs.lease(), pytest.raises(cy.SpaceFull):
        jobs.put(item(1, 3_000_000))
    space.check()


PUTS: list[Callable[[Any, Any], Any]] = [
    lambda jobs, payload: jobs.put(payload),
    lambda jobs, payload: jobs.put(payload, timeout=30),
    lambda jobs, payload: jobs.put(payload, timeout=0.01),
    lambda jobs, payload: jobs.put(payload, timeout=0),
    lambda jobs, payload: jobs.put(payload, block=False),
    lambda jobs, payload: jobs.put_nowait(payload),
    lambda jobs, payload: jobs.put_many([payload]),
]


@pytest.mark.parametrize("put", PUTS)
@pytest.mark.parametrize("cls", CLASSES)
def test_what_no_get_makes_room_for_is_refused(
    space: cy.Space, cls: Any, put: Callable[[Any, Any], Any]
) -> None:
    kept, jobs = space.named("kept", cy.Dict, a=bytes(3_000_000)), space.named("jobs", cls)
    begun = time.monotonic()
    with pytest.raises(cy.SpaceFull):
        put(jobs, bytes(2_000_000))
    assert time.monotonic() - begun < 10
    assert jobs.qsize() == 0
    kept.clear()
    put(jobs, bytes(2_000_000))
    with pytest.raises(queue.Full):
        jobs.put(bytes(3_000_000), timeout=0.1)  # there is one that could be taken
    space.check()


@pytest.mark.parametrize("size", [2_000_000, 300])
@pytest.mark.parametrize(
    "put", [*PUTS[2:6], lambda jobs, payload: jobs.put_many([payload], timeout=0)]
)
@pytest.mark.parametrize("cls", CLASSES)
def test_what_a_get_would_make_room_for_is_told_to_come_later(
    space: cy.Space, cls: Any, put: Callable[[Any, Any], Any], size: int
) -> None:
    """Whether it waits for no time, or does not wait: there is an item, so the queue is full."""
    jobs = space.named("jobs", cls)
    for each in (500_000, 10_000, 300, size, size):
        with suppress(queue.Full):
            while True:
                put(jobs, bytes(each))
    count = jobs.qsize()
    assert count > 0
    with pytest.raises(queue.Full):
        put(jobs, bytes(size))
    assert jobs.qsize() == count
    space.check()
