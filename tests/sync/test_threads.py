"""Two hundred threads in each waiting call: nothing that a process has few of is held meanwhile."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import courtyard as cy

THREADS = 200
LARGE = b"x" * 20_000


class Crowd:
    """Threads that all do one thing, and what they came to."""

    def __init__(self, call: Callable[[int], Any]) -> None:
        self.results: list[Any] = []

        def run(number: int) -> None:
            try:
                self.results.append(call(number))
            except BaseException as error:
                self.results.append(error)

        self.threads = [
            threading.Thread(target=run, args=(n,), daemon=True) for n in range(THREADS)
        ]
        for thread in self.threads:
            thread.start()

    def join(self) -> list[Any]:
        end = time.monotonic() + 40
        for thread in self.threads:
            thread.join(max(0, end - time.monotonic()))
        assert len(self.results) == THREADS, f"{len(self.results)} of {THREADS} came to an end"
        return self.results


def let_them_come() -> None:
    time.sleep(0.2)  # what comes later is tested as well, only less


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue", "PriorityQueue"])
def test_put_into_a_full_queue(kind: str) -> None:
    queue = getattr(cy, kind)(maxsize=1)
    queue.put(LARGE)
    crowd = Crowd(lambda n: queue.put(LARGE + str(n).encode(), timeout=40))
    let_them_come()
    found = [queue.get(timeout=20) for _ in range(THREADS + 1)]
    assert crowd.join() == [None] * THREADS
    assert sorted(found) == sorted([LARGE] + [LARGE + str(n).encode() for n in range(THREADS)])
    cy.check(queue)


@pytest.mark.parametrize("kind", ["Queue", "PriorityQueue"])
def test_get_from_an_empty_queue(kind: str) -> None:
    queue = getattr(cy, kind)()
    crowd = Crowd(lambda n: queue.get(timeout=40))
    let_them_come()
    queue.put_many([LARGE + str(n).encode() for n in range(THREADS)])
    assert sorted(crowd.join()) == sorted(LARGE + str(n).encode() for n in range(THREADS))
    cy.check(queue)


CONTAINERS: dict[str, tuple[Callable[[], Any], Callable[[Any, int], Any]]] = {
    "Value": (lambda: cy.Value(object, 0), lambda kept, n: kept.set(LARGE)),
    "Array": (lambda: cy.Array("B", 20_000), lambda kept, n: kept.__setitem__(slice(None), LARGE)),
    "Dict": (lambda: cy.Dict(), lambda kept, n: kept.__setitem__(n % 5, LARGE)),
    "Dict.pop": (
        lambda: cy.Dict({n: LARGE for n in range(THREADS)}),
        lambda kept, n: kept.pop(n) == LARGE or 1 / 0,
    ),
    "List": (lambda: cy.List(), lambda kept, n: kept.append(LARGE)),
    "List.pop": (lambda: cy.List([LARGE] * THREADS), lambda kept, n: kept.pop() == LARGE or 1 / 0),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_writes_behind_get_lock(name: str) -> None:
    make, write = CONTAINERS[name]
    kept = make()
    with kept.get_lock():
        crowd = Crowd(lambda n: write(kept, n))
        let_them_come()
    assert not [result for result in crowd.join() if isinstance(result, BaseException)]
    cy.check(kept)


def test_a_condition_a_barrier_and_locks() -> None:
    condition, barrier = cy.Condition(), cy.Barrier(THREADS)
    lock, semaphore, event = cy.RLock(), cy.Semaphore(1), cy.Event()

    def wait(number: int) -> bool:
        with condition:
            told = condition.wait(40)
        barrier.wait(40)
        with lock, semaphore:
            pass
        return told and event.wait(40)

    crowd = Crowd(wait)
    end = time.monotonic() + 20
    while condition._waiters < THREADS and time.monotonic() < end:
        time.sleep(0.01)
    with condition:
        condition.notify_all()
    event.set()
    assert crowd.join() == [True] * THREADS
    cy.check(condition)


def test_leases_of_large_items() -> None:
    queue = cy.Queue()
    queue.put_many([LARGE] * THREADS)
    done = threading.Event()

    def lease(number: int) -> bool:
        with queue.lease(timeout=40) as item:
            done.wait(40)
            return bool(item == LARGE)

    crowd = Crowd(lease)
    let_them_come()
    done.set()
    assert crowd.join() == [True] * THREADS
    assert queue.empty()
    cy.check(queue)
