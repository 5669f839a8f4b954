"""Concurrent histories of containers are linearizable."""

import itertools
import os
import pickle
import random
from collections.abc import Callable
from typing import Any

import pytest

import courtyard as cy
from tests.support.builtin import needs, shared
from tests.support.children import fork
from tests.support.linearizability import (
    Call,
    Model,
    counter_model,
    deque_model,
    linearizable,
    mapping_model,
    timed,
)

PROCESSES = 3
CALLS = 25  # of each in a history
SIZE = os.environ.get("COURTYARD_TORTURE_SIZE", "")
HISTORIES = {"small": 300, "full": 3000}.get(SIZE, 40)

Choice = Callable[[random.Random, int], tuple[Any, ...]]


def of_a_mapping(chance: random.Random, unique: int) -> tuple[Any, ...]:
    return chance.choice(
        [
            ("get", "k"),
            ("get", "k"),
            ("__setitem__", "k", unique),
            ("increment", "k", 1),
            ("pop", "k", -1),
            ("setdefault", "k", unique),
            ("compare_exchange", "k", chance.randrange(5), unique),
        ]
    )


def of_a_deque(chance: random.Random, unique: int) -> tuple[Any, ...]:
    return chance.choice(
        [
            ("append", unique),
            ("appendleft", unique),
            ("extend", (unique, -unique)),
            ("pop",),
            ("popleft",),
            ("popleft",),
            ("__len__",),
        ]
    )


def of_a_counter(chance: random.Random, _: int) -> tuple[Any, ...]:
    return chance.choice(
        [("update", "aab"), ("increment", "a", 1), ("increment", "b", -2), ("total",)]
    )


def record(make: Callable[[], Any], choose: Choice, seed: int) -> list[Call]:
    """Return the history of some processes that use one object at once."""
    obj, gate = make(), cy.Value("i")
    pipes = []

    def use(place: int, pipe: int) -> None:
        chance, history = random.Random(seed * PROCESSES + place), []
        gate.increment()
        gate.wait_for(lambda n: n >= PROCESSES, 20)
        for number in range(CALLS):
            unique = 1 + place + PROCESSES * number
            history.append(timed(obj, *choose(chance, unique)))
        os.write(pipe, pickle.dumps(history))  # fits into the pipe

    children = []
    for place in range(PROCESSES):
        ours, theirs = os.pipe()
        children.append(fork(use, place, theirs))
        os.close(theirs)
        pipes.append(ours)
    history: list[Call] = []
    for pipe in pipes:
        with open(pipe, "rb") as file:
            history += pickle.loads(file.read())
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    obj.check()
    return history


KINDS: dict[str, tuple[Callable[[], Any], Choice, Model, Any]] = {
    "Dict": (shared("Dict"), of_a_mapping, mapping_model, None),
    "Deque": (shared("Deque"), of_a_deque, deque_model, ()),
    "Counter": (shared("Counter"), of_a_counter, counter_model, (0, 0)),
}


@pytest.mark.limit(60 + HISTORIES / 5)
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=needs(kind)) for kind in KINDS])
def test_histories_are_linearizable(kind: str) -> None:
    make, choose, model, state = KINDS[kind]
    overlaps = 0
    for seed in itertools.count():
        if seed >= HISTORIES and overlaps:  # they did run at once
            break
        history = record(make, choose, seed)
        assert len(history) == PROCESSES * CALLS
        assert linearizable(history, model, state), sorted(history)
        calls = sorted(history)
        overlaps += sum(b.began < a.ended for a, b in itertools.pairwise(calls))


class Careless:
    """What increments in two steps."""

    def __init__(self) -> None:
        self.value: Any = cy.Value("q")

    def increment(self, _: str, step: int) -> int:
        seen = self.value.value + step
        os.sched_yield()
        self.value.value = seen
        return int(seen)

    def check(self) -> None:
        pass


def test_the_checker_has_teeth() -> None:
    def lost() -> bool:
        history = record(Careless, lambda *_: ("increment", "k", 1), 0)
        return not linearizable(history, mapping_model, None)

    assert any(lost() for _ in range(50))


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([(0, 1, "__setitem__", ("k", 5), None), (2, 3, "get", ("k",), 5)], True),
        ([(0, 1, "__setitem__", ("k", 5), None), (2, 3, "get", ("k",), None)], False),
        ([(0, 9, "__setitem__", ("k", 5), None), (2, 3, "get", ("k",), None)], True),
        (
            [
                (0, 9, "__setitem__", ("k", 5), None),
                (1, 2, "get", ("k",), 5),
                (3, 4, "get", ("k",), None),  # the old value after the new one was seen
            ],
            False,
        ),
        ([(0, 3, "increment", ("k", 1), 1), (1, 2, "increment", ("k", 1), 1)], False),
        ([(0, 3, "increment", ("k", 1), 2), (1, 2, "increment", ("k", 1), 1)], True),
    ],
)
def test_the_checker_knows_right_from_wrong(history: Any, expected: bool) -> None:
    assert linearizable([Call(*call) for call in history], mapping_model, None) is expected
