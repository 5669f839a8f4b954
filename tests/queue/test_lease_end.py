"""Items on a lease that are dropped, or moved to another queue."""

import threading
import time
from queue import Full
from queue import Queue as StandardQueue
from typing import Any

import pytest

import courtyard as cy
from tests.support.lease import ALL, LARGE, Job, drained, made, state


@pytest.mark.parametrize("cls", ALL)
def test_drop(cls: Any) -> None:
    q = made(cls, 1, 2, maxsize=2)
    with (lease := q.lease()):
        lease.drop()
        assert state(q) == (1, 1)
        q.put_nowait(5)
    assert state(q) == (2, 2)


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("to", ALL)
@pytest.mark.parametrize("item", [7, "t", LARGE, Job(3, LARGE)])
def test_move(cls: Any, to: Any, item: Any) -> None:
    jobs, failed = made(cls, item), made(to)
    with (lease := jobs.lease()):
        lease.requeue()
    with (lease := jobs.lease()):
        lease.move(failed)
        assert state(jobs) == (0, 0) and state(failed) == (1, 1)
    assert state(jobs) == (0, 0) and state(failed) == (1, 1)
    with (lease := failed.lease()) as got:
        assert got == item and lease.attempts == 1
    assert state(failed) == (0, 0)
    jobs.join()
    failed.join()
    jobs.check()


def test_move_keeps_the_order() -> None:
    jobs, failed = made(cy.Queue, *range(5)), made(cy.Queue, "a")
    for number in range(3):
        with (lease := jobs.lease()):
            lease.move(failed)
        failed.put(f"after {number}")
    assert drained(failed) == ["a", 0, "after 0", 1, "after 1", 2, "after 2"]
    assert drained(jobs) == [3, 4]


def test_move_wakes_who_gets_and_who_joins() -> None:
    jobs, failed = made(cy.Queue, 1, maxsize=1), cy.Queue()
    got: list[Any] = []
    threads = [
        threading.Thread(target=lambda: got.append(failed.get())),
        threading.Thread(target=jobs.join),
        threading.Thread(target=jobs.put, args=(2,)),
    ]
    for thread in (threads[0], threads[2]):
        thread.start()
    time.sleep(0.05)
    with (lease := jobs.lease()):
        lease.move(failed)
    for thread in (threads[0], threads[2]):
        thread.join(20)
        assert not thread.is_alive()
    assert got == [1] and jobs.get() == 2


def test_move_where_there_is_no_room() -> None:
    jobs, full, closed = made(cy.Queue, 1), made(cy.Queue, 0, maxsize=1), cy.Queue()
    closed.shutdown()
    with (lease := jobs.lease()) as item:
        with pytest.raises(Full):
            lease.move(full)
        with pytest.raises(cy.ShutDown):
            lease.move(closed)
        assert item == 1 and state(jobs) == (0, 1)
    assert state(jobs) == (0, 0) and full.qsize() == 1


def test_move_to_what_is_no_queue() -> None:
    queue = cy.Queue[str]()
    queue.put("work")
    lease = queue.lease()
    with lease:
        for other, class_name in ((StandardQueue(), "queue.Queue"), (None, "NoneType")):
            with pytest.raises(TypeError, match=f"expected a courtyard queue .* {class_name}$"):
                lease.move(other)  # type: ignore[arg-type]
        assert lease.attempts == 1
    assert queue.unfinished_tasks == 0


def test_move_to_itself_and_elsewhere() -> None:
    jobs = made(cy.Queue, 1, 2)
    with (lease := jobs.lease()):
        lease.move(jobs)
    assert drained(jobs) == [2, 1]
    jobs.put(3)
    with cy.Space() as space, (lease := jobs.lease()) as item:
        with pytest.raises(ValueError, match="same space"):
            lease.move(cy.Queue.named("q", space=space))
        with pytest.raises(TypeError):
            lease.move(cy.List())
        assert item == 3
