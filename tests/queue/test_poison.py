"""Items that cannot be loaded, and what a worker does with them."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork, kill, run_script
from tests.support.lease import ALL, LARGE, Job, broken, drained, made, state


@pytest.mark.parametrize("payload", [None, LARGE])
@pytest.mark.parametrize("cls", ALL)
def test_workers_that_only_lease_get_past_it(cls: Any, payload: Any) -> None:
    """Each item that loads is had before the poison comes again."""
    q = made(cls, Job(0, payload), *range(1, 8))
    if cls is cy.LifoQueue:
        q.put(Job(0, payload))
        q.get()
        q.task_done()
    broken.add(0)
    got: list[Any] = []
    failed = 0
    while len(got) < 7:
        try:
            with q.lease(timeout=5) as item:
                got.append(item if isinstance(item, int) else item.number)
        except cy.LoadError:
            failed += 1
            assert failed <= 2
    assert sorted(got) == list(range(1, 8))
    assert state(q) == (1, 1)
    broken.clear()
    with (lease := q.lease()) as item:
        assert item == Job(0) and lease.attempts == failed + 1
    q.check()


def test_stack_with_poison_on_top() -> None:
    q = made(cy.LifoQueue, 1, 2, Job(0), 3)
    broken.add(0)
    assert q.get() == 3
    with pytest.raises(cy.LoadError):
        q.lease().__enter__()
    q.put(4)
    with q.lease() as item:
        assert item == 4
    lease = q.lease()
    with lease as item:
        assert item == 2
        lease.requeue(0.01)
    time.sleep(0.05)
    assert [q.get(), q.get()] == [2, 1]
    with pytest.raises(cy.LoadError):
        q.lease().__enter__()
    assert state(q)[0] == 1


def test_priority_queue_with_poison() -> None:
    """What cannot be loaded goes last, and neither getters nor putters are held up."""
    q = made(cy.PriorityQueue, *(Job(n) for n in (5, 1, 4, 2, 3)))
    broken.update((1, 3))
    q.put(Job(0))
    got = []
    for _ in range(30):
        with suppress(cy.LoadError), q.lease(block=False) as item:
            got.append(item.number)
        if len(got) == 4:
            break
    assert sorted(got) == [0, 2, 4, 5]
    assert q.qsize() == 2
    broken.clear()
    assert sorted(job.number for job in drained(q)) == [1, 3]


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("get", [lambda q: q.get(), lambda q: q.lease().__enter__()])
def test_who_cannot_load_it_is_told_the_way_on(cls: Any, get: Callable[[Any], Any]) -> None:
    with cy.Space() as space:
        q = space.named("jobs", cls)
        q.put(Job(0))
        broken.add(0)
        said = f'item of {cls.__name__} "jobs": .*load cannot .*; (a|the) lease can still drop'
        with pytest.raises(cy.LoadError, match=said):
            get(q)


PROGRAM = """
import functools, courtyard as cy
@functools.total_ordering
class Urgent:
    def __lt__(self, other):
        return True
q = cy.Space(@URL@)["jobs"]
q.put_many([5, 3, Urgent()])
"""


def test_priority_queue_with_what_only_another_program_can_load(tmp_path: Path) -> None:
    """It is first by its own program's order, and blocks nobody who leases."""
    with cy.Space((tmp_path / "space").as_uri()) as space:
        q = space.named("jobs", cy.PriorityQueue)
        run_script(PROGRAM.replace("@URL@", repr((tmp_path / "space").as_uri())))
        for _ in range(2):
            with pytest.raises(cy.LoadError):
                q.get()
        lease = q.lease()
        with pytest.raises(cy.LoadError), lease:
            pass
        assert lease.attempts == 1
        lease.give_back()
        assert [q.get(), q.get()] == [3, 5]
        lease = q.lease()
        with pytest.raises(cy.LoadError), lease:
            pass
        assert lease.attempts == 2
        lease.drop()
        assert state(q) == (0, 2)
        space.destroy()


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("way", ["requeue", "delay", "drop", "move", "nothing", "give back"])
def test_what_the_program_does_with_it(cls: Any, way: str) -> None:
    q, failed = made(cls, Job(0)), made(cls)
    broken.add(0)
    lease = q.lease()
    with pytest.raises(cy.LoadError) as caught, lease:
        pytest.fail("it was loaded")
    assert lease.attempts == 1
    assert state(q) == (0, 1)
    del caught
    match way:
        case "requeue":
            lease.requeue()
        case "delay":
            lease.requeue(0.01)
            time.sleep(0.05)
        case "drop":
            lease.drop()
        case "move":
            lease.move(failed)
        case "nothing":
            del lease
        case "give back":
            lease.give_back()
    broken.clear()
    there = way not in ("drop", "move")
    assert state(q) == ((1, 1) if there else (0, 0))
    assert state(failed) == ((1, 1) if way == "move" else (0, 0))
    if there:
        with (lease := q.lease()) as item:
            assert item == Job(0) and lease.attempts == 2
    if way == "move":
        assert failed.get() == Job(0)
    q.check()


def exit_at_once(_number: int) -> BaseException:
    """Have a signal handler raise while the item is loaded."""
    os.kill(os.getpid(), signal.SIGUSR1)
    return ValueError("no signal came")


@pytest.mark.parametrize("error", [KeyboardInterrupt, exit_at_once])
def test_what_says_nothing_of_the_item_gives_it_back_first_in_line(
    error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    q = made(cy.Queue, Job(0), 1)
    broken.add(0)
    monkeypatch.setattr("tests.support.lease.raises", error)
    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: sys.exit(3))
    with pytest.raises(SystemExit if error is exit_at_once else error):
        q.lease().__enter__()
    signal.signal(signal.SIGUSR1, before)
    assert state(q) == (2, 2)
    broken.clear()
    assert drained(q) == [Job(0), 1]


class Panic(BaseException):
    """What a class of an extension in Rust raises."""


@pytest.mark.parametrize("error", [MemoryError, SystemExit, Panic, cy.SpaceFull])
def test_whatever_loading_raises_the_lease_has_the_item(
    error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    q, failed = made(cy.Queue, Job(0), 1), cy.Queue[Any]()
    broken.add(0)
    monkeypatch.setattr("tests.support.lease.raises", error)
    expected = error if error in (Panic, cy.SpaceFull) else cy.LoadError
    for attempt in (1, 2):
        lease = q.lease()
        with pytest.raises(expected) as caught:
            lease.__enter__()
        assert lease.attempts == attempt and state(q) == (1, 2)
        if attempt == 1:
            del caught, lease  # it goes to the end
            assert q.get() == 1
            q.task_done()
            q.put(1)
    lease.move(failed)
    broken.clear()
    assert failed.get() == Job(0) and drained(q) == [1]


def test_killed_with_poison_in_hand() -> None:
    q = made(cy.Queue, Job(0), 1)
    broken.add(0)

    def hold() -> None:
        lease = q.lease()
        with suppress(cy.LoadError):
            lease.__enter__()
        os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(fork(hold), 0)
    broken.clear()
    q.check()  # which gives back what the dead one held
    with (lease := q.lease(timeout=20)) as item:
        assert item == Job(0) and lease.attempts == 2
    assert state(q) == (1, 1)
    q.check()


# -- others


def work_badly(q: Any, failed: Any, results: Any) -> None:
    """Do the first thing that comes to mind with each item; be killed at any moment."""
    number = os.getpid()
    while True:
        lease = q.lease()
        with suppress(ZeroDivisionError), lease as item:
            number = (number * 1103515245 + 12345) % 2**31
            match number >> 16 & 7:
                case 0 | 1:
                    lease.requeue()
                case 2:
                    lease.requeue((number >> 20 & 15) / 1000)
                case 3:
                    raise ZeroDivisionError
                case 4 if lease.attempts > 2:
                    lease.move(failed)
                case _:
                    results[item] = lease.attempts


@pytest.mark.parametrize("cls", ALL[:3])
@pytest.mark.parametrize("payload", ["", "x" * 6000])
def test_nothing_is_lost_with_killed_workers(cls: Any, payload: str) -> None:
    with cy.Space() as space:
        q = cls.named("q", space=space)
        failed, results = cls.named("f", space=space), cy.Dict.named("r", space=space)
        items = [f"{n:04}{payload}" for n in range(150)]
        q.put_many(items)
        for turn in range(25):
            children = [fork(work_badly, q, failed, results) for _ in range(2)]
            time.sleep(0.005 + turn % 5 * 0.004)
            for child in children:
                kill(child)
            if turn % 6 == 0:
                space.check()
        left = []
        while True:
            try:
                left.append(q.get(timeout=1))
            except Empty:
                break
        aside = drained(failed)
        assert len(left) == len(set(left)) and len(aside) == len(set(aside))
        assert set(left).isdisjoint(aside)
        # A worker may be killed between storing a result and the end of its lease.
        assert set(left) | set(aside) | set(results) == set(items)
        assert q.qsize() == failed.qsize() == 0
        space.check()


def test_the_least_items_come_first_until_one_cannot_be_loaded() -> None:
    q = made(cy.PriorityQueue, Job(1), Job(2), Job(9))
    broken.add(2)
    assert q.get().number == 1
    assert q.get().number == 9, "what cannot be loaded comes after all others"
    with pytest.raises(cy.LoadError):
        q.get()
    q.put(Job(0))
    with pytest.raises(cy.LoadError):
        q.get()  # it is first in line now, as in any queue
    lease = q.lease()
    with pytest.raises(cy.LoadError), lease:
        pass
    lease.drop()
    assert q.get().number == 0
