"""Queues bounded in bytes, among processes and kills, and beside a model."""

import os
import pickle
import queue
import random
import time
from collections import deque
from contextlib import suppress
from multiprocessing.context import BaseContext
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import courtyard as cy
from tests.queue.test_bytes import KINDS, LIMIT, bytes_of, counted, ended, waiting
from tests.support.children import fork, join, kill, start


def produce(q: Any, name: int, count: int) -> None:
    for number in range(count):
        q.put((name, number, b"x" * (number % 7 * 900)))


def consume(q: Any, results: Any) -> None:
    taken = []
    while (item := q.get()) is not None:
        taken.append(item[:2])
    results.put(taken)


def test_every_item_once_and_never_more_than_the_bound(ctx: BaseContext) -> None:
    q, results = cy.Queue[Any](maxbytes=12_000), cy.Queue[Any]()
    producers = [start(ctx, produce, q, name, 300) for name in range(2)]
    consumers = [start(ctx, consume, q, results) for _ in range(2)]
    most = 0
    while any(producer.is_alive() for producer in producers):
        most = max(most, q.statistics().queued_bytes or 0)
        q.check()
    join(*producers)
    q.put_many([None, None])
    taken = [results.get(timeout=LIMIT) for _ in consumers]
    join(*consumers)
    everything = sorted(item for items in taken for item in items)
    assert everything == [(name, number) for name in range(2) for number in range(300)]
    assert most <= 12_000 and counted(q) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_consumers_lease_counts_until_it_is_done(kind: Any) -> None:
    q = kind(maxbytes=200)
    q.put("x" * 150)
    told, tell = os.pipe()

    def work() -> None:
        with q.lease():
            os.write(tell, b"!")
            time.sleep(1000)

    child = fork(work)
    assert os.read(told, 1) == b"!"
    (putter,) = waiting(q, "y" * 100)
    kill(child)
    assert q.get(timeout=LIMIT) == "x" * 150
    ended(putter)
    assert counted(q) == bytes_of("y" * 100)
    os.close(told)
    os.close(tell)


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_putter_that_waits_takes_no_room(kind: Any) -> None:
    q = kind(maxbytes=200)
    q.put("x" * 150)
    for length in (100, 180):
        child = fork(q.put, "y" * length)
        time.sleep(0.2)
        kill(child)
    assert (q.qsize(), counted(q)) == (1, bytes_of("x" * 150))
    q.get()
    q.put("z" * 190)
    assert counted(q) == bytes_of("z" * 190)


KILLS = {"small": 200, "full": 4000}.get(os.environ.get("COURTYARD_TORTURE_SIZE", ""), 30)


@pytest.mark.limit(60 + KILLS)
@pytest.mark.parametrize("kind", KINDS[:3])
def test_kills_at_random(kind: Any) -> None:
    """Whoever dies at whatever: the queue counts what is in it, and nothing once it is empty."""
    q, aside = kind(maxbytes=30_000), kind(maxbytes=20_000)
    rng = random.Random(7)

    def work(seed: int) -> None:
        rng = random.Random(seed)
        while True:
            item = (rng.randrange(10), b"x" * rng.choice([0, 100, 3000, 6000]))
            way = rng.randrange(9)
            with suppress(queue.Full, queue.Empty):
                if way < 3:
                    q.put_nowait(item)
                elif way == 3:
                    q.put_many([item[0]] * 5 if kind is cy.Queue else [item] * 5, timeout=0)
                elif way == 4:
                    q.get_nowait()
                elif way == 5:
                    q.get_many(4, timeout=0)
                elif way == 6:
                    with (lease := q.lease(False)):
                        rng.choice([lease.requeue, lease.drop, lease.give_back])()
                elif way == 7:
                    with (lease := q.lease(False)):
                        lease.move(aside)
                elif rng.random() < 0.1:
                    rng.choice([q, aside]).clear()

    for serial in range(KILLS):
        children = [fork(work, serial * 2 + number) for number in range(2)]
        time.sleep(rng.random() * 0.02)
        for child in children:
            kill(child)
        for each in (q, aside):
            each.check()
            assert each.statistics().queued_bytes <= each.maxbytes
    for each in (q, aside):
        with suppress(queue.Empty):
            while True:
                item = each.get(timeout=1)
                before = counted(each)
                if before == 0:
                    assert each.qsize() == 0
                del item
        assert (each.qsize(), counted(each)) == (0, 0)


def test_check_beside_those_who_change_it() -> None:
    """A count and its items that were not seen at one moment are no contradiction."""
    q = cy.Queue[Any](maxbytes=500)

    def work() -> None:
        while True:
            q.put(7)
            q.put("x" * 100)
            q.get()
            q.put_many([1, 2])
            q.get_many(3)

    children = [fork(work) for _ in range(2)]
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        q.check()
        assert 0 <= (q.statistics().queued_bytes or 0) <= 500
    for child in children:
        kill(child)
    q.check()


class Bounded(RuleBasedStateMachine):
    """A queue with both bounds, and what it should say."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: Any = cy.Queue(6, maxbytes=10_000)
        self.handles = [self.queue, pickle.loads(pickle.dumps(self.queue))]
        self.items: deque[str] = deque()
        self.leases: list[tuple[Any, str]] = []

    def bytes(self) -> int:
        held = [*self.items, *(item for _, item in self.leases)]
        return sum(max(1, -(-len(item) // 8)) * 8 + 8 for item in held)

    def room(self, item: str) -> bool:
        size = max(1, -(-len(item) // 8)) * 8 + 8
        return len(self.items) + len(self.leases) < 6 and self.bytes() + size <= 10_000

    @rule(which=st.integers(0, 1), length=st.sampled_from([0, 1, 100, 2000, 5000, 9992, 9993]))
    def put(self, which: int, length: int) -> None:
        item = "x" * length
        q = self.handles[which]
        if length == 9993:
            with pytest.raises(ValueError, match="maxbytes"):
                q.put(item)
        elif self.room(item):
            q.put(item)
            self.items.append(item)
        else:
            with pytest.raises(queue.Full):
                q.put_nowait(item)

    @rule(which=st.integers(0, 1), lengths=st.lists(st.sampled_from([1, 100, 1500, 5000])))
    def put_many(self, which: int, lengths: list[int]) -> None:
        items = ["y" * length for length in lengths]
        fits = True
        for item in items:
            fits = fits and self.room(item)
            if fits:
                self.items.append(item)
        try:
            self.handles[which].put_many(items, False)
        except queue.Full:
            assert not fits
        else:
            assert fits

    @precondition(lambda self: self.items)
    @rule(which=st.integers(0, 1), most=st.integers(1, 8))
    def get_many(self, which: int, most: int) -> None:
        expected = [self.items.popleft() for _ in range(min(most, len(self.items)))]
        assert self.handles[which].get_many(most) == expected

    @precondition(lambda self: self.items)
    @rule(which=st.integers(0, 1))
    def get(self, which: int) -> None:
        assert self.handles[which].get() == self.items.popleft()

    @precondition(lambda self: self.items)
    @rule(which=st.integers(0, 1))
    def lease(self, which: int) -> None:
        lease = self.handles[which].lease()
        lease.__enter__()
        self.leases.append((lease, self.items.popleft()))

    @precondition(lambda self: self.leases)
    @rule(how=st.sampled_from(["drop", "give_back"]))
    def end(self, how: str) -> None:
        lease, item = self.leases.pop()
        getattr(lease, how)()
        if how == "give_back":
            self.items.appendleft(item)

    @rule(which=st.integers(0, 1))
    def clear(self, which: int) -> None:
        assert self.handles[which].clear() == len(self.items)
        self.items.clear()

    @invariant()
    def same(self) -> None:
        for q in self.handles:
            assert q.qsize() == len(self.items)
            found = q.statistics()
            assert (found.queued_bytes, found.maxbytes) == (self.bytes(), 10_000)
            is_full = len(self.items) + len(self.leases) >= 6 or self.bytes() + 16 > 10_000
            assert q.full() == is_full

    def teardown(self) -> None:
        self.queue.check()
        for lease, _ in self.leases:
            lease.drop()


TestBounded = Bounded.TestCase
TestBounded.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
