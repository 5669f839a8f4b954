"""Queues among processes: order, fairness, waiting, and the death of producers and consumers."""

import os
import queue
import random
import signal
import threading
import time
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork, join, kill, start

KINDS = [cy.Queue, cy.LifoQueue, cy.PriorityQueue]


def produce(q: Any, name: int, count: int) -> None:
    for number in range(count):
        q.put((name, number, b"x" * (number % 7 * 900)))


def consume(q: Any, results: Any) -> None:
    taken = []
    while True:
        item = q.get()
        if item is None:
            break
        taken.append(item[:2])
        assert len(item[2]) == item[1] % 7 * 900
    results.put(taken)


def test_every_item_once_and_in_its_producers_order(ctx: BaseContext) -> None:
    q, results = cy.Queue(maxsize=50), cy.Queue()
    producers = [start(ctx, produce, q, name, 400) for name in range(2)]
    consumers = [start(ctx, consume, q, results) for _ in range(2)]
    join(*producers)
    q.put_many([None, None])
    taken = [results.get(timeout=20) for _ in consumers]
    join(*consumers)
    everything = sorted(item for items in taken for item in items)
    assert everything == [(name, number) for name in range(2) for number in range(400)]
    for items in taken:
        for name in range(2):
            numbers = [number for producer, number in items if producer == name]
            assert numbers == sorted(numbers)


def test_check_beside_consumers_accuses_nobody() -> None:
    """Blocks leave the queue, and are freed, while check() reads who has which."""
    q = cy.Queue()

    def take() -> None:
        while q.get() is not None:
            time.sleep(0.001)

    children = [fork(take) for _ in range(2)]
    end = time.monotonic() + 4
    while time.monotonic() < end:
        q.put_many([b"x" * 5000] * 20)
        while q.qsize():
            q.check()
    q.put_many([None, None])
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    q.check()


def test_consumers_share_the_work() -> None:
    """Fairness: with work for all, nobody is left without."""
    q, results = cy.Queue(), cy.Queue()

    def take(name: int) -> None:
        count = 0
        while q.get() is not None:
            count += 1
            time.sleep(0.001)
        results.put((name, count))

    children = [fork(take, name) for name in range(3)]
    q.put_many([1] * 300)
    q.put_many([None] * 3)
    counts = dict(results.get(timeout=30) for _ in children)
    for child in children:
        os.waitpid(child, 0)
    assert sum(counts.values()) == 300
    assert min(counts.values()) > 20, counts


def test_an_idle_consumer_costs_no_cpu() -> None:
    q = cy.Queue()
    thread = threading.Thread(target=q.get)
    thread.start()
    time.sleep(0.2)
    before = time.process_time()
    time.sleep(1)
    used = time.process_time() - before
    q.put(1)
    thread.join(10)
    assert used < 0.1


def test_ctrl_c_ends_a_wait_and_loses_nothing() -> None:
    q = cy.Queue()

    def interrupt() -> None:
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        q.get(timeout=20)
    thread.join()
    q.put("still here")
    assert q.get(timeout=1) == "still here"


def test_a_killed_consumer_gives_its_leases_back() -> None:
    q = cy.Queue()
    q.put_many(["a", b"b" * 10_000, "c"])

    def hold() -> None:
        leases = [q.lease() for _ in range(2)]
        for lease in leases:
            lease.__enter__()
        ready.put(1)
        time.sleep(60)

    ready = cy.Queue()
    child = fork(hold)
    ready.get(timeout=20)
    assert q.qsize() == 1
    kill(child)
    assert q.get(timeout=5) == "c"
    assert sorted(map(len, [q.get(timeout=5), q.get(timeout=5)])) == [1, 10_000]
    q.check()


def test_a_killed_consumer_does_not_hold_join_up() -> None:
    q, ready = cy.Queue(), cy.Queue()
    q.put_many(range(3))

    def take() -> None:
        q.get_many(3)
        q.task_done()
        ready.put(1)
        time.sleep(60)

    child = fork(take)
    ready.get(timeout=20)
    assert q.unfinished_tasks == 2
    kill(child)
    joined = threading.Thread(target=q.join)
    joined.start()
    joined.join(10)
    assert not joined.is_alive()
    q.put(1)
    assert q.unfinished_tasks == 1  # and no item of others counts as done


def test_items_of_a_killed_producer_stay() -> None:
    q = cy.Queue()

    def put() -> None:
        for number in range(10):
            q.put((number, b"x" * number * 1000))
        q.put("done")
        time.sleep(60)

    child = fork(put)
    while q.qsize() < 11:
        time.sleep(0.01)
    kill(child)
    items = [q.get(timeout=5) for _ in range(11)]
    assert [len(item[1]) for item in items[:10]] == [number * 1000 for number in range(10)]
    q.check()


KILLS = {"small": 300, "full": 5000}.get(os.environ.get("COURTYARD_TORTURE_SIZE", ""), 40)


@pytest.mark.limit(60 + KILLS)
@pytest.mark.parametrize("kind", KINDS)
def test_kills_at_random(kind: Any) -> None:
    """What a producer reported it put is got once, by whoever lives, or under a lease in the end.

    Producers and leaseholders report over pipes, outside shared memory, after each operation.
    """
    q = kind(200)
    rng = random.Random(5)
    promised: dict[int, set[int]] = {}  # producer's first number -> numbers reported
    begun: dict[int, int] = {}
    got: list[int] = []
    finished: set[int] = set()
    maybe: set[int] = set()  # taken by a consumer that was killed before it could report

    def produce(start: int, pipe: int) -> None:
        for number in range(start, start + 1_000_000):
            q.put((number, b"x" * rng.choice([0, 100, 3000, 6000])))
            os.write(pipe, number.to_bytes(8, "little"))

    def work(pipe: int) -> None:
        while True:
            with q.lease() as item:
                number = item[0]
                os.write(pipe, number.to_bytes(8, "little"))  # about to be done with
            os.write(pipe, (number | 1 << 62).to_bytes(8, "little"))

    def told(pipe: int) -> list[int]:
        data = b""
        while chunk := os.read(pipe, 1 << 16):
            data += chunk
        return [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data) - 7, 8)]

    for serial in range(1, KILLS + 1):
        ends = [os.pipe() for _ in range(2)]
        base = serial * 1_000_000
        children = [fork(produce, base, ends[0][1]), fork(work, ends[1][1])]
        for _, write in ends:
            os.close(write)
        time.sleep(rng.random() * 0.01)
        for child in rng.sample(children, 2):
            kill(child)
        promised[base] = set(told(ends[0][0]))
        begun[base] = max(promised[base], default=base - 1) + 1
        for number in told(ends[1][0]):
            if number >> 62:
                finished.add(number & ~(1 << 62))
                maybe.discard(number & ~(1 << 62))
            else:
                maybe.add(number)
        for read, _ in ends:
            os.close(read)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            got.append(q.get(timeout=1.0)[0])
        except queue.Empty:
            break
    assert len(set(got)) == len(got), "an item came twice"
    assert not finished & set(got), "an item came back after its lease had ended"
    there = finished | maybe | set(got)
    for base, numbers in promised.items():
        assert numbers <= there, f"lost {sorted(numbers - there)[:5]}"
        extra = {number for number in set(got) | finished if base <= number < base + 1_000_000}
        assert extra <= numbers | {begun[base]}, "an item that nobody put"
    q.check()
    assert q.statistics().space.participants <= 3


@pytest.mark.parametrize("take", ["lease", "get", "get_nowait", "get_many", "peek"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_dead_had_comes_before_shutdown(kind: Any, take: str) -> None:
    """Who finds a queue shut down and empty looks first whether the dead left an item."""
    q = kind()
    q.put(7)
    q.shutdown()

    def die_inside() -> None:
        with q.lease():
            os.kill(os.getpid(), signal.SIGKILL)

    _, status = os.waitpid(fork(die_inside), 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    if take == "lease":
        with q.lease() as item:
            assert item == 7
    else:
        got = {"get_many": lambda: q.get_many(9)[0]}.get(take) or getattr(q, take)
        assert got() == 7
        if take == "peek":
            assert q.get_nowait() == 7
    with pytest.raises(cy.ShutDown):
        q.get()
    q.check()
