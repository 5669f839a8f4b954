"""Items that move from a lease into queues of other kinds, and what cannot be compared there."""

import os
import signal
import time
from queue import Empty, Full
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork

FROM = [cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.JoinableQueue]
LARGE = "x" * 20_000


def made(cls: Any, *items: Any, **bounds: Any) -> Any:
    q = cls(**bounds)
    q.put_many(items)
    return q


def counts(q: Any) -> tuple[int, int]:
    return q.qsize(), q.unfinished_tasks


@pytest.mark.parametrize("rest", ["", LARGE])
@pytest.mark.parametrize("cls", FROM)
def test_an_item_has_its_place_by_priority(cls: Any, rest: str) -> None:
    for number in range(9):
        jobs = made(cls, (number * 2 + 1, rest))
        ranked = made(cy.PriorityQueue, *((even, rest) for even in range(0, 20, 4)))
        with (lease := jobs.lease()):
            lease.move(ranked)
        assert counts(jobs) == (0, 0) and counts(ranked) == (6, 6)
        ranked.check()
        found = [ranked.get()[0] for _ in range(6)]
        assert found == sorted([0, 4, 8, 12, 16, number * 2 + 1])


def test_words_and_texts_and_large_ones_move_among_each_other() -> None:
    jobs, ranked = cy.Queue[Any](), cy.PriorityQueue[Any]()
    numbers: list[Any] = [5, 1.5, 2**70, -3, 10**40, 0, 7.25]
    jobs.put_many(numbers)
    for _ in numbers:
        with (lease := jobs.lease()):
            lease.move(ranked)
    assert [ranked.get() for _ in numbers] == sorted(numbers)


@pytest.mark.parametrize("cls", FROM)
def test_what_cannot_be_compared_stays_on_its_lease(cls: Any) -> None:
    jobs, ranked = made(cls, "text"), made(cy.PriorityQueue, (1, "one"), (2, "two"))
    with (lease := jobs.lease()) as item:
        with pytest.raises(TypeError, match="'<' not supported"):
            lease.move(ranked)
        assert counts(jobs) == (0, 1) and counts(ranked) == (2, 2)
        lease.requeue()
    assert item == jobs.get() == "text"
    assert ranked.get_many(5) == [(1, "one"), (2, "two")]
    jobs.check()


class Rude:
    """One whose comparison does what it was told to do."""

    act: Any = None

    def __lt__(self, other: Any) -> bool:
        assert Rude.act is not None
        return bool(Rude.act())


def test_the_comparison_may_end_the_lease_or_use_the_queues() -> None:
    jobs, ranked = made(cy.Queue, Rude()), made(cy.PriorityQueue, 5)
    lease = jobs.lease()
    for act, error in (
        (lambda: lease.drop(), RuntimeError),
        (lambda: ranked.get(), RuntimeError),
        (lambda: 1 / 0, ZeroDivisionError),
    ):
        Rude.act = act
        if lease.attempts == 0:
            lease.__enter__()
        with pytest.raises(error):
            lease.move(ranked)
        assert counts(jobs) == (0, 1) and counts(ranked) == (1, 1)
    Rude.act = lambda: jobs.qsize() == 0
    lease.move(ranked)
    assert counts(jobs) == (0, 0) and counts(ranked) == (2, 2)
    assert isinstance(ranked.get(), Rude)


@pytest.mark.parametrize("item", [7, LARGE])
def test_where_there_is_no_room_it_stays(item: Any) -> None:
    full = made(cy.PriorityQueue, item, maxsize=1)
    small = cy.PriorityQueue[Any](maxbytes=16)
    closed = cy.PriorityQueue[Any]()
    closed.shutdown()
    jobs = made(cy.Queue, item)
    with (lease := jobs.lease()):
        with pytest.raises(Full):
            lease.move(full)
        with pytest.raises(cy.ShutDown):
            lease.move(closed)
        if item == LARGE:
            with pytest.raises(ValueError, match="maxbytes"):
                lease.move(small)
        with cy.Space() as space, pytest.raises(ValueError, match=r"put\(\) it there, then drop"):
            lease.move(cy.PriorityQueue.named("q", space=space))
        gone = cy.PriorityQueue[Any]()
        gone.close()
        with pytest.raises(cy.Closed):
            lease.move(gone)
        assert counts(jobs) == (0, 1)
        lease.requeue()
    assert jobs.get() == item and counts(full) == (1, 1)


def test_into_a_full_space() -> None:
    with cy.Space(size_limit=1 << 20) as space:
        jobs = cy.Queue.named("jobs", space=space)
        ranked = cy.PriorityQueue.named("ranked", space=space)
        jobs.put(3)
        lease = jobs.lease()
        with lease:
            filler = cy.Queue.named("filler", space=space)
            with pytest.raises(Full):
                while True:
                    filler.put_nowait(LARGE)
            with pytest.raises(Full):
                while True:
                    filler.put_nowait(1)
            lease.move(ranked)
            assert counts(ranked) == (1, 1)
            filler.clear()
        ranked.put(4)
        ranked.put(2)
        assert [ranked.get() for _ in range(3)] == [2, 3, 4]
        space.check()


def test_an_item_that_cannot_be_compared_when_it_is_due_holds_nobody_up() -> None:
    """Leased while it was alone, and put back beside others that it cannot be compared with."""
    ranked = made(cy.PriorityQueue, "text")
    with (lease := ranked.lease()):
        lease.requeue()
        ranked.put((1, "one"))
        ranked.put((2, "two"))
    assert ranked.peek() == "text"
    assert [ranked.get(timeout=5) for _ in range(3)] == ["text", (1, "one"), (2, "two")]
    with pytest.raises(Empty):
        ranked.get_nowait()


def test_movers_that_are_killed_lose_nothing() -> None:
    """Whenever that is, each item is in one of the two queues, and the turn is free."""
    jobs, ranked = cy.Queue[Any](), cy.PriorityQueue[Any]()
    jobs.put_many(list(range(100)))

    def move() -> None:
        while True:
            with (lease := jobs.lease()):
                lease.move(ranked)
            with (lease := ranked.lease()):
                lease.move(jobs)

    end = time.monotonic() + 2
    rounds = 0
    while time.monotonic() < end or rounds < 10:
        child = fork(move)
        time.sleep(0.01 + rounds % 7 * 0.005)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        rounds += 1
    jobs.statistics()  # gives back what the dead held
    found = [jobs.get() for _ in range(jobs.qsize())]
    ranks = [ranked.get() for _ in range(ranked.qsize())]
    assert sorted(found + ranks) == list(range(100))
    jobs.check()


def test_what_was_moved_comes_a_thousand_at_a_time() -> None:
    """Each of these items has a block of its own, which it may have to go back to."""
    q, done = cy.Queue[int](), cy.Queue[int]()
    q.put_many(range(1001))
    for _ in range(1001):
        with (lease := q.lease()):
            lease.move(done)
    assert done.get_many(1001) == [*range(1000)]
    assert done.get_many(1001) == [1000]
