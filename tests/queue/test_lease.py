"""Leases: attempts, going back for later, moving to another queue, items that do not load."""

import itertools
import os
import pickle
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.context import BaseContext
from pathlib import Path
from queue import Empty, Full
from queue import Queue as StandardQueue
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork, join, kill, run_script, start

ALL = [cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.JoinableQueue]
LARGE = "x" * 20_000


class Job:
    """One that the consumers cannot load, once `broken` says so."""

    def __init__(self, number: int, payload: Any = None) -> None:
        self.number, self.payload = number, payload

    def __reduce__(self) -> tuple[Any, ...]:
        return load, (self.number, self.payload)

    def __lt__(self, other: Any) -> bool:
        return self.number < (other.number if isinstance(other, Job) else other)

    def __gt__(self, other: Any) -> bool:
        return self.number > (other.number if isinstance(other, Job) else other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and self.number == other.number

    __hash__ = None  # type: ignore[assignment]


broken: set[int] = set()
raises: Any = ValueError


def load(number: int, payload: Any) -> Job:
    if number in broken:
        raise raises(number)
    return Job(number, payload)


@pytest.fixture(autouse=True)
def _whole() -> Any:
    broken.clear()
    yield
    broken.clear()


def made(cls: Any, *items: Any, maxsize: int = 0) -> Any:
    q = cls(maxsize)
    q.put_many(items)
    return q


def drained(q: Any) -> list[Any]:
    return q.get_many(1000) if q.qsize() else []


def state(q: Any) -> tuple[int, int]:
    return q.qsize(), q.unfinished_tasks


# -- attempts


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("item", [7, "text", LARGE, Job(3), Job(4, LARGE)])
def test_attempts_count(cls: Any, item: Any) -> None:
    q = made(cls, item)
    lease = q.lease()
    assert lease.attempts == 0
    for attempt in range(1, 6):
        lease = q.lease()
        with suppress(ZeroDivisionError), lease as got:
            assert got == item and lease.attempts == attempt
            match attempt:
                case 1:
                    lease.give_back()
                case 2:
                    raise ZeroDivisionError
                case 3:
                    lease.requeue()
                case 4:
                    lease.requeue(0.001)
        assert lease.attempts == attempt
    assert state(q) == (0, 0)
    q.put(item)
    with (lease := q.lease()):
        assert lease.attempts == 1
    q.check()


def test_attempts_after_a_kill() -> None:
    """Exact, however its holders died."""
    q = made(cy.Queue, "poison")
    for attempt in range(1, 6):

        def hold(attempt: int = attempt) -> None:
            lease = q.lease()
            lease.__enter__()
            assert lease.attempts == attempt
            os.kill(os.getpid(), signal.SIGKILL)

        child = fork(hold)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    with (lease := q.lease()) as item:
        assert (item, lease.attempts) == ("poison", 6)
    q.check()


def test_get_does_not_count() -> None:
    q = made(cy.Queue, Job(1))
    broken.add(1)
    for _ in range(3):
        with pytest.raises(cy.LoadError):
            q.get()
    broken.clear()
    with (lease := q.lease()):
        assert lease.attempts == 1


# -- requeue


def test_end_of_the_line() -> None:
    q = made(cy.Queue, *range(6))
    for number in (0, 1):
        with (lease := q.lease()) as item:
            assert item == number
            lease.requeue()
        q.put(number + 10)
    assert state(q) == (8, 8)
    assert drained(q) == [2, 3, 4, 5, 0, 10, 1, 11]


def test_end_of_the_line_across_pages() -> None:
    q = made(cy.Queue, *("x" * 3000 + str(n) for n in range(40)))
    for _ in range(40):
        with (lease := q.lease()):
            lease.requeue()
    for number in range(40):
        assert q.get().endswith("x" + str(number))
        q.put(number)
    assert drained(q) == list(range(40))


def test_end_of_a_line_of_requeued_ones() -> None:
    q = made(cy.Queue, *"abc")
    for _ in range(5):
        for expected in "abc":
            with (lease := q.lease()) as item:
                assert item == expected
                lease.requeue()
    assert drained(q) == ["a", "b", "c"]


def test_on_top_of_a_stack() -> None:
    q = made(cy.LifoQueue, 1, 2, 3)
    with (lease := q.lease()):
        q.put(4)
        lease.requeue()
    assert drained(q) == [3, 4, 2, 1]


def test_by_priority() -> None:
    q = made(cy.PriorityQueue, 5, 1, 3)
    with (lease := q.lease()) as item:
        assert item == 1
        q.put_many([0, 2])
        lease.requeue()
    assert state(q) == (5, 5)
    assert drained(q) == [0, 1, 2, 3, 5]
    q.put_many([4, 1, (9)])
    with (lease := q.lease()):
        lease.requeue(0.02)
    assert q.get() == 4
    time.sleep(0.05)
    q.put(0)
    assert drained(q) == [0, 1, 9]


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("item", [7, LARGE])
def test_full_and_shut_down(cls: Any, item: Any) -> None:
    q = made(cls, item, maxsize=1)
    with (lease := q.lease()):
        assert q.full()
        with pytest.raises(Full):
            q.put_nowait(1)
        lease.requeue()
        assert q.full() and q.qsize() == 1
    with (lease := q.lease()):
        q.shutdown()
        lease.requeue()
    with (lease := q.lease()) as got:
        assert got == item and lease.attempts == 3
        lease.requeue(0.01)
    with (lease := q.lease()) as got:
        assert got == item and lease.attempts == 4
    with pytest.raises(cy.ShutDown):
        q.get()
    with pytest.raises(cy.ShutDown):
        q.lease().__enter__()
    assert state(q) == (0, 0)


def test_full_space() -> None:
    with cy.Space(size_limit=3 << 20) as space:
        queues = [
            cls.named(cls.__name__, space=space)
            for cls in (cy.Queue, cy.LifoQueue, cy.PriorityQueue)
        ]
        for q in queues:
            q.put(0)
            with q.lease():  # which takes a row for leases
                pass
            q.put_many([1, 2, 3])
        leases = [q.lease() for q in queues]
        assert [lease.__enter__() for lease in leases] == [1, 3, 1]
        rows = cy.List.named("rows", [0] * 60_000, space=space)
        at = 0
        for size in (60_000, 9000, 3000, 1000, 500, 250, 120, 90, 70, 40, 20, 9):
            with suppress(cy.SpaceFull):
                while True:
                    rows[at] = b"x" * size
                    at += 1
        for q, lease in zip(queues, leases, strict=True):
            lease.requeue(0.001)
            assert state(q) == (3, 3)
        time.sleep(0.01)
        for q in queues:
            assert sorted(q.get() for _ in range(3)) == [1, 2, 3]
            q.check()


def test_small_items_in_a_full_space() -> None:
    with cy.Space(size_limit=4 << 20) as space:
        queue, rows = space.Queue(), space.list([0] * 60_000)
        queue.put_many(range(1000))
        at = 0
        for size in (60_000, 9000, 3000, 1000, 500, 250, 120, 90, 70, 40, 20, 9):
            with suppress(cy.SpaceFull):
                while True:
                    rows[at] = b"x" * size
                    at += 1
        leases: list[Any] = []
        with pytest.raises(cy.SpaceFull):  # at once they are too many
            for _ in range(1000):
                leases.append(queue.lease(timeout=0))
                assert leases[-1].__enter__() == len(leases) - 1
        kept = len(leases) - 1
        assert kept > 100
        for timeout in (0, 0.05):
            with pytest.raises(cy.SpaceFull):
                queue.lease(timeout=timeout).__enter__()
        assert (queue.qsize(), queue.unfinished_tasks) == (1000 - kept, 1000)
        assert queue.get_nowait() == kept
        for lease in leases[:kept]:
            lease.__exit__(None, None, None)
        for number in range(kept + 1, 1000):
            with queue.lease(timeout=0) as item:
                assert item == number
        space.check()


def test_what_a_queue_has_filled_its_own_leases_empty() -> None:
    chance = random.Random(5)
    with cy.Space(size_limit=4 << 20) as space:
        queue, done = space.Queue(), space.Counter()
        with suppress(Full):
            for number in itertools.count():
                queue.put_nowait((number, "x" * chance.choice([0, 100, 700, 1500, 4000])))
        items = queue.qsize()

        def work() -> None:
            with suppress(Empty):
                while True:
                    with queue.lease(timeout=1) as item:
                        if item[0] % 10 == 0:
                            time.sleep(0.0005)  # others meet it
                    numbers.append(item[0])
            done.update(numbers)

        numbers: list[int] = []
        children = [fork(work) for _ in range(6)]
        for child in children:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert done.copy() == dict.fromkeys(range(items), 1)
        assert (queue.qsize(), queue.unfinished_tasks) == (0, 0)
        space.check()


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


@pytest.mark.parametrize("cls", ALL)
def test_process_that_requeues_and_dies(cls: Any) -> None:
    q = made(cls, 1, 2, 3)
    for delay in (0, 0.05):

        def work(delay: float = delay) -> None:
            lease = q.lease()
            lease.__enter__()
            lease.requeue(delay)
            os.kill(os.getpid(), signal.SIGKILL)

        child = fork(work)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert state(q) == (3, 3)
    assert sorted(q.get(timeout=20) for _ in range(3)) == [1, 2, 3]
    q.check()


@pytest.mark.parametrize("cls", ALL)
def test_join_and_shutdown_know_of_it(cls: Any) -> None:
    q = made(cls, 1, 2)
    for delay in (0, 100):
        with (lease := q.lease()):
            lease.requeue(delay)
    assert state(q) == (2, 2)
    assert q.statistics().entries == 2
    assert len(q._peek(10)) == 2
    waiter = threading.Thread(target=q.join)
    waiter.start()
    time.sleep(0.05)
    assert waiter.is_alive()
    q.shutdown(immediate=True)
    waiter.join(20)
    assert not waiter.is_alive()
    assert state(q) == (0, 0)
    with pytest.raises(cy.ShutDown):
        q.get()
    q.check()


def test_peek_says_what_comes() -> None:
    q = made(cy.Queue, *range(5))
    with (lease := q.lease()):
        lease.requeue()
    with (lease := q.lease()):
        lease.requeue(100)
    with (lease := q.lease()):
        lease.give_back()
    assert q._peek(10) == [2, 3, 4, 0, 1]


def test_dropped_queue_gives_its_memory_back() -> None:
    with cy.Space() as space:
        used = space.statistics().used
        for turn in range(30):
            q = cy.Queue.named(f"q{turn}", space=space)
            q.put_many([LARGE, 1, "two", LARGE])
            for delay in (0, 50, 10):
                with (lease := q.lease()):
                    lease.requeue(delay)
            q.close()
            del space[f"q{turn}"]
        assert space.statistics().used <= used + (1 << 17)
        space.check()


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


def test_lease_that_has_no_item() -> None:
    q, other = made(cy.Queue, 1), cy.Queue()
    lease = q.lease()
    calls: list[Callable[[], Any]] = [lease.requeue, lease.drop, lambda: lease.move(other)]
    for call in calls:
        with pytest.raises(RuntimeError, match="no item"):
            call()
    with lease:
        lease.requeue()
        for call in calls:
            with pytest.raises(RuntimeError, match="no item"):
                call()
        lease.give_back()
    with pytest.raises(RuntimeError, match="once only"), lease:
        pass
    assert state(q) == (1, 1) and state(other) == (0, 0)


def test_lease_of_the_parent() -> None:
    q = made(cy.Queue, 1)
    lease = q.lease()
    lease.__enter__()

    def child() -> None:
        for call in (lease.requeue, lease.drop, lambda: lease.move(q)):
            with pytest.raises(RuntimeError, match="no item"):
                call()
        os._exit(7)

    assert os.waitstatus_to_exitcode(os.waitpid(fork(child), 0)[1]) == 7
    assert state(q) == (0, 1)
    lease.requeue()
    assert q.get() == 1


# -- drop, move


def test_queue_closed_while_an_item_is_on_a_lease() -> None:
    """The lease still ends as it does otherwise; nothing else can be done with that handle."""
    with cy.Space() as space:
        other = space.named("q", cy.Queue)
        failed = space.Queue()
        for way, left in {"": 0, "raise": 1, "requeue": 1, "drop": 0, "move": 0, "gone": 1}.items():
            other.put(way)
            handle = cy.Queue.named("q", space=space)
            lease: Any = handle.lease()
            if way == "gone":
                lease.__enter__()
                handle.close()
                del lease
            else:
                with suppress(ZeroDivisionError), lease:
                    handle.close()
                    with pytest.raises(cy.Closed):
                        handle.qsize()
                    if way == "raise":
                        raise ZeroDivisionError
                    if way:
                        lease.move(failed) if way == "move" else getattr(lease, way)()
            assert (other.qsize(), other.unfinished_tasks) == (left, left), way
            assert other.get_many(2, timeout=0) == [way] if left else other.empty()
            if left:
                other.task_done()
        assert failed.get() == "move"
        space.check()


def test_closing_the_last_handle_during_a_lease_frees_the_queue() -> None:
    with cy.Space() as space:
        objects = space.statistics().objects
        queue = space.Queue()
        queue.put("x")
        with queue.lease():
            queue.close()
            assert space.statistics().objects == objects + 1
        assert space.statistics().objects == objects
        space.check()


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


# -- items that cannot be loaded


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
        said = f'first item of {cls.__name__} "jobs": .*load cannot .*; a lease can still drop'
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


def test_other_errors_give_it_back_first_in_line(monkeypatch: pytest.MonkeyPatch) -> None:
    q = made(cy.Queue, Job(0), 1)
    broken.add(0)
    for error in (KeyboardInterrupt, MemoryError):
        monkeypatch.setattr(sys.modules[__name__], "raises", error)
        with pytest.raises(error):
            q.lease().__enter__()
        assert state(q) == (2, 2)
    broken.clear()
    assert drained(q) == [Job(0), 1]


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


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_between_processes(method: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, sys, time\n"
        "import courtyard as cy\n"
        "def work(jobs, failed):\n"
        "    while True:\n"
        "        lease = jobs.lease()\n"
        "        try:\n"
        "            with lease as job:\n"
        "                if lease.attempts > 3: lease.move(failed)\n"
        "                elif job % 2: lease.requeue(0.01)\n"
        "        except cy.ShutDown: return\n"
        "if __name__ == '__main__':\n"
        "    jobs, failed = cy.Queue(), cy.Queue()\n"
        "    jobs.put_many(list(range(20))); jobs.shutdown()\n"
        "    c = multiprocessing.get_context(sys.argv[1])\n"
        "    ps = [c.Process(target=work, args=(jobs, failed)) for _ in range(2)]\n"
        "    [p.start() for p in ps]; [p.join() for p in ps]\n"
        "    jobs.join()\n"
        "    print(sorted(failed.get_many(100)), jobs.qsize())\n"
    )
    done = run_script(script, method, limit=50, env={"PYTHONWARNINGS": "ignore"})
    assert done.stdout == f"{list(range(1, 20, 2))} 0\n", done.stderr


def test_durable_space(tmp_path: Path) -> None:
    """It stays in the file, attempts and all."""
    url = f"file://{tmp_path}/jobs.cy"
    with cy.Space(url) as space:
        q = cy.Queue.named("q", space=space)
        q.put_many([1, 2, 3])
        for delay in (0, 0.01, 1000):
            with (lease := q.lease()):
                lease.requeue(delay)
    code = (
        "import courtyard as cy, time\n"
        f"with cy.Space({url!r}) as space:\n"
        "    q = space['q']; time.sleep(0.05)\n"
        "    lease = q.lease()\n"
        "    with lease as item: print(item, lease.attempts)\n"
        "    print(q.get(), q.qsize())\n"
        "    space.check()\n"
    )
    done = run_script(code)
    assert done.stdout == "1 2\n2 1\n", done.stderr


def test_what_a_lease_is() -> None:
    assert cy.Lease.__module__ == "courtyard" and "Lease" in cy.__all__
    assert isinstance(cy.Queue().lease(), cy.Lease)
    assert str(cy.Lease[int]) == "courtyard.Lease[int]"
    with pytest.raises(TypeError):
        cy.Lease()
    with pytest.raises(TypeError):
        pickle.dumps(cy.Queue().lease())


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
