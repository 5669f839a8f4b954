"""Each change of a queue wakes ``wait_for`` and changes ``version``, however it is made."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import courtyard as cy

QUEUES = [cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.JoinableQueue]


class Poor:
    """An item that is loaded by running code, and so is taken in another way."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __lt__(self, other: Any) -> bool:
        return bool(self.number < other.number)


ITEMS = [1, "text", "x" * 20_000, Poor(1)]


def begin_lease(q: Any) -> None:
    lease = q.lease()
    lease.__enter__()
    held.append(lease)


held: list[Any] = []
TAKES: dict[str, Callable[[Any], object]] = {
    "get": lambda q: q.get(),
    "get_nowait": lambda q: q.get_nowait(),
    "get_timeout": lambda q: q.get(timeout=5),
    "get_copy": lambda q: q.get(copy=False),
    "get_many": lambda q: q.get_many(2),
    "lease": begin_lease,
    "clear": lambda q: q.clear(),
    "shutdown": lambda q: q.shutdown(immediate=True),
}


def wakes(q: Any, test: Callable[[Any], bool], change: Callable[[], object]) -> float:
    """Return how long after a change ``wait_for`` returns, which has slept for a while before."""
    done = 0.0

    def act() -> None:
        nonlocal done
        time.sleep(0.25)  # after its first looks for the dead it sleeps for a second
        done = time.monotonic()
        change()

    thread = threading.Thread(target=act)
    thread.start()
    assert q.wait_for(test, timeout=30)
    woken = time.monotonic()
    thread.join()
    return woken - done


def is_prompt(again: Callable[[], float]) -> bool:
    """Return whether one of some wakes was by the change, not by the clock: others may compute."""
    return any(again() < 0.35 for _ in range(6))


@pytest.mark.parametrize("cls", QUEUES)
@pytest.mark.parametrize("take", TAKES)
def test_wait_for_is_woken_when_items_are_taken(cls: Any, take: str) -> None:
    for item in ITEMS if cls is cy.Queue else ITEMS[:1]:

        def again(item: Any = item) -> float:
            q = cls()
            q.put(0 if isinstance(item, int) else item)
            q.get()
            q.put(item)
            took = wakes(q, lambda q: q.empty(), lambda: TAKES[take](q))
            held.clear()
            return took

        assert is_prompt(again), item


@pytest.mark.parametrize("cls", QUEUES)
def test_wait_for_is_woken_by_the_rest(cls: Any) -> None:
    def tasks() -> float:
        q = cls()
        q.put(1)
        q.get()
        return wakes(q, lambda q: not q.unfinished_tasks, q.task_done)

    def ends(end: str) -> Callable[[], float]:
        def again() -> float:
            q = cls()
            q.put(1)
            lease = q.lease()
            lease.__enter__()
            return wakes(q, lambda q: not q.unfinished_tasks or q.qsize() > 0, getattr(lease, end))

        return again

    def room() -> float:
        q = cls(maxsize=1)
        q.put(1)
        return wakes(q, lambda q: not q.full(), lambda: setattr(q, "maxsize", 2))

    def puts() -> float:
        q = cls()
        return wakes(q, lambda q: q.qsize() == 1, lambda: q.put(1))

    for again in (tasks, ends("drop"), ends("requeue"), ends("give_back"), room, puts):
        assert is_prompt(again), again


def test_wait_for_among_those_who_put_and_get() -> None:
    """Watchers lose no change, and getters no item, whoever flags whose words."""
    q, ends = cy.Queue[int](maxsize=2), cy.Event()
    seen = cy.Value("i", 0)

    def watch() -> None:
        while not ends.is_set():
            if q.wait_for(lambda q: q.qsize() == 2 or ends.is_set(), timeout=5):
                seen.increment()
            q.wait_for(lambda q: q.qsize() < 2 or ends.is_set(), timeout=5)

    watchers = [threading.Thread(target=watch) for _ in range(2)]
    got: list[int] = []
    getter = threading.Thread(target=lambda: got.extend(q.get() for _ in range(3000)))
    for thread in (*watchers, getter):
        thread.start()
    for number in range(3000):
        q.put(number)
    getter.join(60)
    assert got == list(range(3000))
    ends.set()
    q.put(1)
    for thread in watchers:
        thread.join(60)
        assert not thread.is_alive()
    assert seen.value > 0


@pytest.mark.parametrize("cls", QUEUES)
def test_each_change_changes_the_version(cls: Any) -> None:
    q, other = cls(maxsize=100), cls()
    lease: Any = None

    def enter() -> None:
        nonlocal lease
        lease = q.lease()
        lease.__enter__()

    steps: list[Callable[[], object]] = [
        *(lambda item=item: q.put(item) for item in (3, 1, 2, 5, 4)),
        lambda: q.put_many([6, 7, 8, 9]),
        q.get,
        q.get_nowait,
        lambda: q.get_many(2),
        q.task_done,
        enter,
        lambda: lease.drop(),
        enter,
        lambda: lease.requeue(),
        enter,
        lambda: lease.give_back(),
        enter,
        lambda: lease.move(other),
        lambda: setattr(q, "maxsize", 50),
        q.clear,
        q.shutdown,
        q.reopen,
    ]
    for number, step in enumerate(steps):
        before = q.version
        step()
        assert q.version != before, number
    before = q.version
    q.qsize(), q.empty(), q.full(), q.statistics(), repr(q)
    assert q.version == before
