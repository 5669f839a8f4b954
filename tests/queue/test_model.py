"""Queues beside queue.Queue: from one process and from several, operation by operation."""

import multiprocessing
import multiprocessing.queues
import pickle
import queue
import random
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import courtyard as cy
from tests.support.children import fork, kill


class Beside(RuleBasedStateMachine):
    """A queue and queue.Queue say the same, through two handles."""

    def __init__(self) -> None:
        super().__init__()
        kinds: list[tuple[Any, Any]] = [
            (cy.Queue, queue.Queue),
            (cy.LifoQueue, queue.LifoQueue),
            (cy.PriorityQueue, queue.PriorityQueue),
        ]
        ours, theirs = random.choice(kinds)
        size = random.choice([0, 3, -1])
        self.handles = [ours(size)]
        self.handles.append(pickle.loads(pickle.dumps(self.handles[0])))
        self.model = theirs(size)
        self.values = st.integers() if ours is cy.PriorityQueue else st.binary()

    @rule(which=st.integers(0, 1), data=st.data())
    def put(self, which: int, data: Any) -> None:
        number = data.draw(st.integers(-5, 5))
        item: Any = (number, b"x" * data.draw(st.sampled_from([0, 5, 100, 3000, 6000])))
        outcomes = []
        for q in (self.handles[which], self.model):
            try:
                q.put_nowait(item)
                outcomes.append("put")
            except queue.Full:
                outcomes.append("full")
        assert outcomes[0] == outcomes[1]

    @rule(which=st.integers(0, 1))
    def get(self, which: int) -> None:
        outcomes = []
        for q in (self.handles[which], self.model):
            try:
                outcomes.append(q.get_nowait())
            except queue.Empty:
                outcomes.append("empty")
        assert outcomes[0] == outcomes[1]

    @rule(which=st.integers(0, 1), data=st.data())
    def put_many(self, which: int, data: Any) -> None:
        numbers = st.integers(-5, 5).map(lambda n: (n, b""))
        items = data.draw(st.lists(numbers, max_size=5))
        if self.model.maxsize > 0:
            items = items[: self.model.maxsize - self.model.qsize()]
        form = data.draw(st.sampled_from([list, tuple, iter]))
        self.handles[which].put_many(form(items), False)
        for item in items:
            self.model.put(item)

    @rule(which=st.integers(0, 1), most=st.integers(1, 6))
    @precondition(lambda self: self.model.qsize() > 0)
    def get_many(self, which: int, most: int) -> None:
        found = self.handles[which].get_many(most)
        assert found == [self.model.get() for _ in range(min(most, self.model.qsize()))]

    @rule(which=st.integers(0, 1))
    @precondition(lambda self: self.model.qsize() > 0)
    def give_back(self, which: int) -> None:
        with pytest.raises(ZeroDivisionError), self.handles[which].lease() as item:
            raise ZeroDivisionError
        with self.handles[which].lease() as again:
            assert again == item  # before all others
        assert self.model.get_nowait() == item
        with suppress(ValueError):  # the tasks may all be called done already
            self.model.task_done()

    @rule(which=st.integers(0, 1))
    def peek(self, which: int) -> None:
        if self.model.empty():
            with pytest.raises(queue.Empty):
                self.handles[which].peek()
        else:
            last = -1 if isinstance(self.model, queue.LifoQueue) else 0
            assert self.handles[which].peek() == self.model.queue[last]

    @rule(which=st.integers(0, 1))
    def clear(self, which: int) -> None:
        items, tasks = self.model.qsize(), self.model.unfinished_tasks
        assert self.handles[which].clear() == items
        for _ in range(items):
            self.model.get()
        for _ in range(min(items, tasks)):
            self.model.task_done()

    @rule(which=st.integers(0, 1))
    def done(self, which: int) -> None:
        outcomes = []
        for q in (self.handles[which], self.model):
            try:
                q.task_done()
                outcomes.append("done")
            except ValueError:
                outcomes.append("too many")
        assert outcomes[0] == outcomes[1]

    @invariant()
    def same(self) -> None:
        for q in self.handles:
            assert q.maxsize == self.model.maxsize
            assert (q.qsize(), q.empty(), q.full(), q.unfinished_tasks) == (
                self.model.qsize(),
                self.model.empty(),
                self.model.full(),
                self.model.unfinished_tasks,
            )

    def teardown(self) -> None:
        self.handles[0].check()


TestBeside = Beside.TestCase
TestBeside.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def serve(q: Any, pipe: Connection) -> None:
    """Do to the queue what is asked for, without waiting, and answer what came of it."""
    while True:
        name, args = pipe.recv()
        try:
            pipe.send(getattr(q, name)(*args))
        except (queue.Full, queue.Empty) as error:
            pipe.send(type(error).__name__)


class BesideFromProcesses(RuleBasedStateMachine):
    """The same from two processes, which are killed now and then between two operations."""

    def __init__(self) -> None:
        super().__init__()
        ours, theirs = random.choice([(cy.Queue, queue.Queue), (cy.LifoQueue, queue.LifoQueue)])
        size = random.choice([0, 3])
        self.queue: Any = ours(size)
        self.model: Any = theirs(size)
        self.workers: list[tuple[int, Connection]] = []
        for _ in range(2):
            self.begin()

    def begin(self) -> None:
        pipe, theirs = multiprocessing.Pipe()
        self.workers.append((fork(serve, self.queue, theirs), pipe))
        theirs.close()

    def ask(self, which: int, name: str, *args: Any) -> None:
        pipe = self.workers[which][1]
        pipe.send((name, args))
        assert pipe.poll(20)
        try:
            expected = getattr(self.model, name)(*args)
        except (queue.Full, queue.Empty) as error:
            expected = type(error).__name__
        assert pipe.recv() == expected

    @rule(which=st.integers(0, 1), number=st.integers(), size=st.sampled_from([0, 100, 6000]))
    def put(self, which: int, number: int, size: int) -> None:
        self.ask(which, "put_nowait", (number, b"x" * size))

    @rule(which=st.integers(0, 1), number=st.integers(-5, 5))
    def put_a_word(self, which: int, number: int) -> None:
        self.ask(which, "put_nowait", number)

    @rule(which=st.integers(0, 1))
    def get(self, which: int) -> None:
        self.ask(which, "get_nowait")

    @rule(which=st.integers(0, 1), name=st.sampled_from(["qsize", "empty", "full"]))
    def look(self, which: int, name: str) -> None:
        self.ask(which, name)

    @rule(which=st.integers(0, 1))
    def die(self, which: int) -> None:
        child, pipe = self.workers.pop(which)
        kill(child)
        pipe.close()
        self.begin()

    def teardown(self) -> None:
        for child, pipe in self.workers:
            kill(child)
            pipe.close()
        self.queue.check()


TestBesideFromProcesses = BesideFromProcesses.TestCase
TestBesideFromProcesses.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
