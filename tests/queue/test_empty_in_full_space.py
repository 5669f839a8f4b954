"""A queue that is emptied goes on in a full space: it needs no second page."""

import os
import queue
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork, join, start

ITEMS: list[Any] = [1, "one", b"x" * 900, [1, {"a": 2}], (3, frozenset({4}))]


@pytest.fixture(params=[0, 100_000], ids=["unbounded", "maxbytes"])
def jobs(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Make a queue in a space that another object has filled."""
    with cy.Space(size_limit=1 << 20) as space:
        jobs: Any = cy.Queue.named("jobs", maxbytes=request.param, space=space)
        fill(space)
        yield jobs
        space.check()
        space.destroy()


def fill(space: cy.Space) -> None:
    kept = space.named("kept", cy.Dict)
    at = 0
    for size in (900, 100, 1):
        with suppress(cy.SpaceFull):
            while True:
                kept[at] = bytes(size)
                at += 1


WAYS: list[tuple[Callable[[Any, Any], Any], Callable[[Any], Any]]] = [
    (lambda jobs, item: jobs.put(item), lambda jobs: jobs.get()),
    (lambda jobs, item: jobs.put_nowait(item), lambda jobs: jobs.get_nowait()),
    (lambda jobs, item: jobs.put_many([item]), lambda jobs: jobs.get_many(1)[0]),
    (lambda jobs, item: jobs.put(item, timeout=0), lambda jobs: lease(jobs)),
]


def lease(jobs: Any) -> Any:
    with jobs.lease() as item:
        return item


@pytest.mark.parametrize(("put", "get"), WAYS)
@pytest.mark.parametrize("item", ITEMS)
def test_one_item_in_turn(
    jobs: Any, put: Callable[[Any, Any], Any], get: Callable[[Any], Any], item: Any
) -> None:
    for _ in range(1500):
        put(jobs, item)
        assert get(jobs) == item
    assert jobs.qsize() == 0


def test_several_in_turn(jobs: Any) -> None:
    """What is in the queue when its page ends stays there."""
    chance, number, expected = random.Random(5), 0, 0
    for _ in range(1000):
        for _ in range(chance.randrange(1, 9)):
            with suppress(cy.SpaceFull, queue.Full):
                jobs.put_nowait(number)
                number += 1
        assert jobs.qsize() == number - expected
        while not jobs.empty():
            assert jobs.get() == expected
            expected += 1
    assert number > 4000


def echo(jobs: Any, answers: Any) -> None:
    while (item := jobs.get()) is not None:
        answers.put(item)


def test_a_stop_gets_through(jobs: Any, ctx: BaseContext) -> None:
    with cy.Space(size_limit=1 << 20) as other:
        answers: Any = cy.Queue.named("answers", space=other)
        fill(other)
        child = start(ctx, echo, jobs, answers)
        for number in range(2500):
            jobs.put(number)
            if number % 50 == 0:
                while not answers.empty():
                    answers.get()
        jobs.put(None)
        while child.is_alive():
            with suppress(queue.Empty):
                answers.get(timeout=0.01)
        join(child)
        other.check()
        other.destroy()


def turn(jobs: Any) -> None:
    while True:
        with suppress(queue.Empty):
            while True:
                jobs.get_nowait()
        for _ in range(200):
            jobs.put(b"x" * 700)
            with suppress(queue.Empty):
                jobs.get_nowait()


def test_whoever_is_killed(jobs: Any) -> None:
    chance, end = random.Random(7), time.monotonic() + 3
    while time.monotonic() < end:
        children = [fork(turn, jobs) for _ in range(2)]
        time.sleep(chance.random() * 0.03)
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        assert jobs.qsize() <= 2
        jobs.space.check()
        while not jobs.empty():
            assert jobs.get() == b"x" * 700
        for number in range(40):
            jobs.put(number)
            assert jobs.get() == number
