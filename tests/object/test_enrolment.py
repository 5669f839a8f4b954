"""Where a process is on record with an object: in one row, however many handles it loads."""

import os
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import courtyard as cy
from tests.support import children

HANDLES = 3000


def acquire_and_release(semaphore: Any) -> None:
    assert semaphore.acquire()
    semaphore.release()


def get(queue: Any) -> None:
    queue.put(1)
    assert queue.get() == 1


def get_and_say_so(queue: Any) -> None:
    get(queue)
    queue.task_done()


WORK: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "Semaphore": (lambda: cy.Semaphore(3), acquire_and_release),
    "BoundedSemaphore": (lambda: cy.BoundedSemaphore(3), acquire_and_release),
    "Queue": (cy.Queue, get),
    "JoinableQueue": (cy.JoinableQueue, get_and_say_so),
    "PriorityQueue": (cy.PriorityQueue, get_and_say_so),
}


@pytest.mark.parametrize("name", WORK)
def test_handles_that_are_loaded_leave_nothing(name: str) -> None:
    make, work = WORK[name]
    kept = make()
    pickled = pickle.dumps(kept)

    def round_of(handles: int) -> int:
        for _ in range(handles):
            work(pickle.loads(pickled))
        return int(kept.space.statistics().used)

    before = round_of(100)
    assert round_of(HANDLES) < before + 40_000  # a page or two of a queue; rows took 100,000
    cy.check(kept)


@pytest.mark.parametrize("name", WORK)
def test_objects_that_go_leave_nothing(name: str) -> None:
    make, work = WORK[name]
    kept = cy.Lock()

    def round_of(objects: int) -> int:
        for _ in range(objects):
            work(make())
        return int(kept.space.statistics().used)

    before = round_of(100)
    assert round_of(HANDLES) < before + 40_000  # a page or two of a queue; rows took 100,000


def test_a_permit_outlives_its_handle_and_is_given_by_another() -> None:
    semaphore = cy.Semaphore(1)
    pickled = pickle.dumps(semaphore)
    assert pickle.loads(pickled).acquire()
    pickle.loads(pickled).release()
    assert semaphore.get_value() == 1

    def die_holding() -> None:
        assert pickle.loads(pickled).acquire()
        os._exit(0)

    child = children.fork(die_holding)
    os.waitpid(child, 0)
    assert semaphore.acquire(timeout=20)  # it came back, once
    assert not semaphore.acquire(False)


def test_what_several_handles_took_counts_together() -> None:
    queue = cy.JoinableQueue()
    pickled = pickle.dumps(queue)
    queue.put_many([1, 2, 3])
    handles = [pickle.loads(pickled) for _ in range(3)]
    assert [handle.get() for handle in handles] == [1, 2, 3]
    handles.clear()
    for _ in range(3):
        pickle.loads(pickled).task_done()
    assert queue.unfinished_tasks == 0
