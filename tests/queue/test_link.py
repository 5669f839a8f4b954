"""Courtyard objects in a queue's items live as long as the items do, and no longer."""

import gc
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.context import BaseContext
from queue import Full
from typing import Any

import pytest

import courtyard as cy
from tests.object.test_sharing import count_objects, eventually
from tests.support.children import fork, join, start

QUEUES = [cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.JoinableQueue]
LARGE = "x" * 20_000

# They count all that is in the space.
pytestmark = pytest.mark.usefixtures("own_home")


class Job:
    """One with an object in it, in the order of its numbers."""

    def __init__(self, number: int, value: Any) -> None:
        self.number, self.value = number, value

    def __lt__(self, other: Any) -> bool:
        return bool(self.number < other.number)


SHAPES: list[tuple[Callable[[int, Any], Any], Callable[[Any], Any]]] = [
    (lambda number, value: (number, LARGE[:number], value), lambda item: item[2]),
    (lambda number, value: (number, LARGE, [value]), lambda item: item[2][0]),
    (Job, lambda item: item.value),
]


def entrust(q: Any, shape: int = 0, number: int = 1) -> bool:
    """Put an item with a new object that nothing else keeps."""
    q.put(SHAPES[shape][0](number, cy.Value("i", number)))
    return True


def value_in(shape: int, item: Any) -> int:
    found: int = SHAPES[shape][1](item).value
    return found


@pytest.fixture(params=QUEUES)
def q(request: Any) -> Any:
    return request.param()


def tidied(q: Any, before: int) -> bool:
    gc.collect()
    done = eventually(lambda: count_objects(q) == before)
    q.check()
    assert q.statistics().space.tickets == 0
    return done


@pytest.mark.parametrize("shape", range(len(SHAPES)))
@pytest.mark.parametrize(
    "way",
    ["done", "drop", "get", "get_many", "clear", "shutdown", "queue gone", "moved and gone"],
)
def test_it_lives_as_long_as_the_item(q: Any, shape: int, way: str) -> None:
    probe = cy.Value("i")
    before = count_objects(probe)
    other = type(q)()
    entrust(q, shape)
    gc.collect()
    assert count_objects(probe) == before + 2
    lease: Any = None
    # All that an item goes through on the way.
    assert q._peek(3) and value_in(shape, q.peek()) == 1
    for end in ("give_back", "requeue"):
        with (lease := q.lease()) as item:
            assert value_in(shape, item) == 1
            getattr(lease, end)()
            del item
        gc.collect()
        probe.check()
    with (lease := q.lease()):
        lease.move(other)
    with (lease := other.lease()):
        lease.move(q)
    with pytest.raises(ZeroDivisionError), q.lease():
        1 / 0  # noqa: B018
    gc.collect()
    assert count_objects(probe) == before + 2 and q.qsize() == 1
    if way in ("done", "drop"):
        with (lease := q.lease()) as item:
            assert value_in(shape, item) == 1
            if way == "drop":
                lease.drop()
        del item
    elif way == "get":
        assert value_in(shape, q.get()) == 1
    elif way == "get_many":
        entrust(q, shape, 2)
        got = sorted(value_in(shape, item) for item in q.get_many(5))
        assert got == [1, 2]
    elif way == "clear":
        assert q.clear() == 1
    elif way == "shutdown":
        q.shutdown(immediate=True)
    elif way == "moved and gone":
        with (lease := q.lease()):
            lease.move(other)
    del lease, other
    if way == "queue gone":
        q.close()
        assert tidied(probe, before - 1)
    else:
        assert tidied(probe, before)


def test_many_are_compared_and_none_is_lost() -> None:
    q = cy.PriorityQueue[Any]()
    before = count_objects(q)
    for number in (5, 2, 9, 1, 7, 3, 8, 4, 6, 0):
        entrust(q, 2, number)
        gc.collect()
    with (lease := q.lease()):
        lease.requeue(delay=0.05)
    time.sleep(0.1)
    got = [q.get() for _ in range(10)]
    assert [(job.number, job.value.value) for job in got] == [(n, n) for n in range(10)]
    del got, lease
    assert tidied(q, before)


def test_what_was_taken_outlives_the_item_and_the_queue() -> None:
    q = cy.Queue[Any]()
    probe = cy.Value("i")
    before = count_objects(probe)
    entrust(q)
    with q.lease() as item:
        pass
    q.close()
    value = item[2]
    del item
    value.value = 5
    assert value.value == 5
    probe.check()
    del value
    assert tidied(probe, before - 1)


@pytest.mark.parametrize("cls", QUEUES)
def test_whoever_is_killed_with_an_item_in_hand(cls: Any) -> None:
    """A leased item comes back with its objects; one taken goes, and they with it."""
    q = cls()
    before = count_objects(q)

    def die(work: Callable[[], object]) -> None:
        def run() -> None:
            kept = work()
            assert kept is not None
            os.kill(os.getpid(), signal.SIGKILL)

        os.waitpid(fork(run), 0)
        q.statistics()  # gives back what the dead held

    entrust(q, 2, 1)
    for _ in range(3):
        die(lambda: q.lease().__enter__())
        gc.collect()
        assert q.qsize() == 1 and count_objects(q) == before + 1
        assert q.peek().value.value == 1
    die(lambda: q.get())
    assert q.qsize() == 0 and tidied(q, before)

    # Put by one that is dead by now.
    die(lambda: entrust(q, 2, 4))
    with q.lease() as item:
        assert item.value.value == 4
    del item
    assert tidied(q, before)


def work(q: Any, done: Any) -> None:
    while True:
        with q.lease() as job:
            if job.number < 0:
                return
            job.value.increment()
        done.increment()


def test_among_processes(ctx: BaseContext) -> None:
    q, done = cy.Queue[Any](maxsize=10), cy.Value("i")
    before = count_objects(q)
    workers = [start(ctx, work, q, done) for _ in range(2)]
    kept = [cy.Value("i", number) for number in range(30)]
    for number, value in enumerate(kept):
        q.put(Job(number, value))
    for number in range(30):
        q.put(Job(number, cy.Value("i", number)))
    for _ in workers:
        q.put(Job(-1, None))
    for worker in workers:
        join(worker)
    assert done.value == 60
    assert [value.value for value in kept] == list(range(1, 31))
    del kept, value
    assert tidied(q, before)


def test_objects_of_another_space_and_of_its_own() -> None:
    with cy.Space() as space:
        q = cy.Queue.named("q", space=space)
        there = cy.Value.named("there", "i", 3, space=space)
        q.put([cy.Value("i", 1), there, cy.Value("i", 2)])
        gc.collect()
        assert [value.value for value in q.peek()] == [1, 3, 2]
        assert [value.value for value in q.get()] == [1, 3, 2]


def test_a_queue_in_itself_and_in_another() -> None:
    probe = cy.Value("i")
    before = count_objects(probe)
    q = cy.Queue[Any]()
    q.put(q)
    assert q.get() is not None and q.qsize() == 0
    other = cy.Queue[Any]()
    other.put(q)
    q.put(other)
    q.clear()
    q.put("hello")
    del q
    gc.collect()
    assert other.get().get() == "hello"
    del other
    assert tidied(probe, before)


@pytest.mark.parametrize("bound", [300, 2000])
def test_what_such_an_item_counts(bound: int) -> None:
    q = cy.Queue[Any](maxbytes=bound)
    value = cy.Value("i", 7)
    count = 0
    while not q.full() and count < 20:
        try:
            q.put_nowait(value)
        except Full:
            break
        count += 1
    assert count == bound // (q._counted_bytes() // count)
    q.check()
    while q.qsize():
        with q.lease():
            pass
    assert q._counted_bytes() == 0


def test_where_there_is_no_room_nothing_is_kept() -> None:
    q = cy.Queue[Any](maxsize=1)
    before = count_objects(q)
    entrust(q)
    for _ in range(3):
        with pytest.raises(Full):
            q.put_nowait((1, cy.Value("i")))
    gc.collect()
    assert count_objects(q) == before + 1
    closed = cy.Value("i")
    closed.close()
    with pytest.raises(cy.Closed):
        q.put((1, closed))
    q.clear()
    assert tidied(q, before)
