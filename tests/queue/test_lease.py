"""Leases: attempts, the end of the line, what they are to others."""

import itertools
import os
import pickle
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, Full
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork, run_script
from tests.support.lease import ALL, LARGE, Job, broken, drained, made, state

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
