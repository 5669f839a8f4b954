"""Queues with leases against a model: attempts, requeues now and for later, moves."""

from collections import deque
from queue import Empty, Full
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import courtyard as cy

SIZES = st.sampled_from([0, 3, 5000])


class Leases(RuleBasedStateMachine):
    """What is in line, what is on a lease, and how often each was leased."""

    def __init__(self) -> None:
        super().__init__()
        self.space = cy.Space()
        self.queue: Any = cy.Queue.named("q", maxsize=12, space=self.space)
        self.aside: Any = cy.Queue.named("aside", maxsize=2, space=self.space)
        self.ring: deque[tuple[int, Any]] = deque()  # with when it was put
        self.requeued: deque[tuple[int, Any]] = deque()
        self.returned: list[Any] = []
        self.later: list[Any] = []
        self.moved: list[Any] = []
        self.leases: list[tuple[Any, Any]] = []
        self.attempts: dict[Any, int] = {}
        self.count = self.taken = 0

    def teardown(self) -> None:
        for lease, _ in self.leases:
            lease.give_back()
        self.space.check()
        self.space.close()

    def number(self) -> int:
        self.count += 1
        return self.count

    def waiting(self) -> int:
        parts = (self.ring, self.requeued, self.returned, self.later)
        return sum(len(part) for part in parts)

    def first(self) -> Any:
        """Take the next item out of the model."""
        if self.returned:
            return self.returned.pop()
        if self.requeued and (not self.ring or self.requeued[0][0] < self.ring[0][0]):
            return self.requeued.popleft()[1]
        return self.ring.popleft()[1] if self.ring else None

    @rule(size=SIZES)
    def put(self, size: int) -> None:
        item = f"{self.number()} {'x' * size}"
        if self.waiting() + len(self.leases) == 12:
            with pytest.raises(Full):
                self.queue.put_nowait(item)
            return
        self.queue.put_nowait(item)
        self.ring.append((self.count, item))
        self.attempts[item] = 0

    @rule()
    def get(self) -> None:
        expected = self.first()
        if expected is None:
            with pytest.raises(Empty):
                self.queue.get_nowait()
            return
        assert self.queue.get_nowait() == expected
        self.taken += 1

    @rule(most=st.integers(1, 4))
    def get_many(self, most: int) -> None:
        expected: list[Any] = []
        while len(expected) < most and (item := self.first()) is not None:
            expected.append(item)
        if expected:
            assert self.queue.get_many(most, timeout=0) == expected
            self.taken += len(expected)

    @rule()
    def lease(self) -> None:
        expected, lease = self.first(), self.queue.lease(block=False)
        if expected is None:
            with pytest.raises(Empty):
                lease.__enter__()
            return
        assert lease.__enter__() == expected
        self.attempts[expected] += 1
        assert lease.attempts == self.attempts[expected]
        self.leases.append((lease, expected))

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def end(self, data: Any) -> None:
        index = data.draw(st.integers(0, len(self.leases) - 1))
        lease, item = self.leases.pop(index)
        match data.draw(
            st.sampled_from(["done", "drop", "back", "raise", "again", "later", "move"])
        ):
            case "done":
                lease.__exit__(None, None, None)
            case "drop":
                lease.drop()
            case "back":
                lease.give_back()
                self.returned.append(item)
            case "raise":
                lease.__exit__(ValueError, ValueError(), None)
                self.returned.append(item)
            case "again":
                lease.requeue()
                self.requeued.append((self.number(), item))
            case "later":
                lease.requeue(100_000)
                self.later.append(item)
            case "move" if len(self.moved) == 2:
                with pytest.raises(Full):
                    lease.move(self.aside)
                self.leases.append((lease, item))
            case "move":
                lease.move(self.aside)
                self.moved.append(item)

    @precondition(lambda self: self.moved)
    @rule()
    def take_aside(self) -> None:
        with (lease := self.aside.lease()) as item:
            assert (item, lease.attempts) == (self.moved.pop(0), 1)

    @invariant()
    def counts(self) -> None:
        there = self.waiting()
        assert self.queue.qsize() == there
        assert self.queue.unfinished_tasks == there + len(self.leases) + self.taken
        assert self.queue.full() == (there + len(self.leases) >= 12)
        assert self.aside.qsize() == self.aside.unfinished_tasks == len(self.moved)

    @invariant()
    def peek(self) -> None:
        assert sorted(self.queue._peek(100)) == sorted(
            [
                *self.returned,
                *self.later,
                *(i for _, i in self.ring),
                *(i for _, i in self.requeued),
            ]
        )


Leases.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestLeases = Leases.TestCase
