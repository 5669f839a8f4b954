"""Looking at the first item of a queue, and taking all items out at once."""

import gc
import os
import pickle
import queue
import threading
import time
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork, kill

CLASSES = [cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.SimpleQueue, cy.JoinableQueue]


@pytest.mark.parametrize("cls", CLASSES)
def test_peek(cls: Any) -> None:
    q = cls()
    with pytest.raises(queue.Empty):
        q.peek()
    items = [(2, "b" * 10), (1, [b"x" * 9000]), (3, {"c": b"y" * 2_000_000})]
    q.put_many(items)
    before = q.version
    first = q.peek()
    assert first == q.peek() and first is not q.peek()
    assert (q.qsize(), q.unfinished_tasks, q.version) == (3, 3, before)
    for _ in items:
        assert q.peek() == q.get()
    q.shutdown()
    with pytest.raises(cy.ShutDown):
        q.peek()


def test_peek_leaves_shared_objects_alive() -> None:
    """What it loads goes away again; the item keeps what it refers to."""
    q: Any = cy.Queue()
    q.put([cy.Value("i", 5), cy.Dict(a=1)])
    for _ in range(3):
        assert q.peek()[0].value == 5
        gc.collect()
    value, mapping = q.get()
    assert (value.value, dict(mapping)) == (5, {"a": 1})


class Cannot:
    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)


def test_peek_at_what_cannot_be_loaded() -> None:
    q: Any = cy.Queue()
    q.put(Cannot())
    with pytest.raises(cy.LoadError, match="first item"):
        q.peek()
    assert q.qsize() == q.clear() == 1  # which loads nothing


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("item", [(1,), (1, "x" * 3000), (1, "x" * 9000), 1, 1.5])
def test_clear(cls: Any, item: Any) -> None:
    q = cls()
    assert q.clear() == 0
    q.put(item)
    q.get()
    for count in (1, 2, 30, 300):
        q.put_many([item] * count)
        with pytest.raises(ZeroDivisionError), q.lease():
            raise ZeroDivisionError  # one is back, first in line
        assert q.clear() == count
        assert (q.qsize(), q.unfinished_tasks) == (0, 1)
        q.check()
    q.put(item)
    with q.lease() as leased:
        assert q.clear() == 0
        assert leased == item and q.unfinished_tasks == 2
    q.task_done()
    q.join()
    with pytest.raises(queue.Empty):
        q.get_nowait()
    q.put_many([item, item])
    assert q.get_many(5) == [item, item]


def test_clear_makes_room_and_ends_join() -> None:
    q: Any = cy.Queue(2)
    q.put_many("ab")
    threads = [
        threading.Thread(target=q.put, args=("c", True, 20)),
        threading.Thread(target=q.join),
    ]
    empty: list[bool] = []
    waiting = threading.Thread(target=lambda: empty.append(q.wait_for(lambda q: q.qsize() < 2, 20)))
    threads.append(waiting)
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    assert q.clear() == 2
    threads[0].join(20)
    waiting.join(20)
    assert q.clear() == 1 and empty == [True]
    threads[1].join(20)
    assert not any(thread.is_alive() for thread in threads)


def test_clear_gives_memory_back() -> None:
    q: Any = cy.Queue()
    q.put(1)
    used = 0
    for turn in range(30):
        q.put_many([b"x" * 100, b"x" * 5000, b"x" * 50_000] * 20)
        assert q.clear() == 60 + (turn == 0)
        if turn == 3:
            used = q.statistics().space.used
    assert q.statistics().space.used <= used + 4096


def test_clear_in_a_full_space() -> None:
    with cy.Space(size_limit=3 << 20) as space:
        q: Any = cy.Queue.named("q", space=space)
        with pytest.raises(queue.Full):
            while True:
                q.put(b"x" * 10_000, block=False)
        with pytest.raises(queue.Full):
            while True:
                q.put(b"x" * 100, block=False)
        count = q.qsize()
        assert q.clear() == count
        q.put(b"x" * 50_000)
        assert q.clear() == 1
        with pytest.raises(queue.Full):
            while True:
                q.put(1, block=False)
        count = q.qsize()
        assert q.clear() == count
        q.check()
        space.destroy()


@pytest.mark.parametrize("cls", [cy.Queue, cy.LifoQueue])
def test_clear_beside_producers_and_consumers(cls: Any) -> None:
    """Each item is got once, or cleared."""
    q, got, done = cls(), cy.List(), 2000

    def produce(first: int) -> None:
        for number in range(first, first + done):
            q.put((number, "x" * (number % 3 * 3000)))

    def consume() -> None:
        mine = []
        while True:
            try:
                mine.append(q.get(timeout=1)[0])
            except queue.Empty:
                break
        got.extend(mine)

    children = [fork(produce, 0), fork(produce, done), fork(consume)]
    cleared = 0
    for _ in range(200):
        cleared += q.clear()
        time.sleep(0.001)
    for child in children:
        os.waitpid(child, 0)
    cleared += q.clear()
    numbers = list(got)
    assert len(numbers) == len(set(numbers))
    assert len(numbers) + cleared == 2 * done
    q.check()


@pytest.mark.parametrize("cls", [cy.Queue, cy.LifoQueue, cy.PriorityQueue])
def test_killed_in_clear(cls: Any) -> None:
    q = cls()

    def work() -> None:
        while True:
            q.put_many([(n, b"x" * (n % 2 * 5000)) for n in range(20)])
            q.clear()

    for turn in range(40):
        child = fork(work)
        time.sleep(0.002 + turn % 7 * 0.001)
        kill(child)
        q.check()  # which carries through what it had begun
        assert q.unfinished_tasks == q.qsize()
    count = q.qsize()
    assert len(q.get_many(count + 1, timeout=5) if count else []) <= count
    assert q.clear() + q.unfinished_tasks >= count
    q.check()


@pytest.mark.parametrize("cls", [cy.Queue, cy.LifoQueue, cy.PriorityQueue, cy.JoinableQueue])
def test_maxsize_reads_as_given(cls: Any) -> None:
    q = cls(-1)
    assert q.maxsize == queue.Queue(-1).maxsize == -1
    q.put_many(range(100))
    assert not q.full() and "at most" not in repr(q)
    q.maxsize = 3
    assert q.full()
    q.maxsize = -5
    assert (q.maxsize, q.full()) == (-5, False)
    assert pickle.loads(pickle.dumps(q)).maxsize == -5


@pytest.mark.parametrize("cls", [cy.Queue, cy.LifoQueue, cy.PriorityQueue])
def test_peek_and_clear_of_what_was_requeued(cls: Any) -> None:
    """What is for later is not the next one; it goes with the others."""
    q = cls()
    q.put_many([1, 2, 3])
    for delay in (0, 100):
        lease = q.lease()
        with lease:
            lease.requeue(delay=delay)
    found = []
    while not q.empty():
        try:
            found.append(q.peek())
        except queue.Empty:
            break
        assert found[-1] == q.get_nowait()
    with pytest.raises(queue.Empty):
        q.get_nowait()
    assert len(found) == 2 and q.qsize() == 1
    q.put(7)
    assert q.clear() == 2
    assert (q.qsize(), q.unfinished_tasks) == (0, 2)
    q.check()
