"""Calls that change or read many elements do so at once: their histories are linearizable.

Three processes call whatever a container has for many elements, some of which only look; then the
history must be one that the builtin can have given, call by call. So that the test is known to see
what it is there for, methods that do the same in several steps must fail it.
"""

import collections
import os
import random
from collections.abc import Callable, Hashable
from typing import Any

import pytest

import courtyard as cy
from tests.container.test_history import CALLS, PROCESSES, Choice, record
from tests.support.linearizability import Call, linearizable

SIZE = os.environ.get("COURTYARD_TORTURE_SIZE", "")
HISTORIES = {"small": 400, "full": 4000}.get(SIZE, 25)
# So many are changed at once that a change takes long enough to be met half done.
ELEMENTS = range(90)


def some(chance: random.Random, most: int = 90) -> list[int]:
    return chance.sample(ELEMENTS, chance.randrange(1, most))


def of_a_set(chance: random.Random, _: int) -> tuple[Any, ...]:
    names = ["update", "__ior__", "__iand__", "__isub__", "__ixor__", "difference_update"]
    names += ["intersection_update", "symmetric_difference_update"]
    if chance.randrange(2):
        name = chance.choice([*names, "update", "__ior__"])
        return name, set(some(chance))
    if chance.randrange(2):
        looks = ["copy", "__len__", "__iter__", "__str__", "clear"]
        return (chance.choice(looks),)
    names = ["__or__", "__and__", "__sub__", "__xor__", "__eq__", "__le__", "__gt__", "isdisjoint"]
    return chance.choice(names), set(some(chance))


def of_a_list(chance: random.Random, unique: int) -> tuple[Any, ...]:
    many = [unique] * chance.randrange(2, 30)
    part = slice(chance.randrange(-9, 9), chance.choice([None, 20]), chance.choice([1, 1, 2, -1]))
    return chance.choice(
        [
            *([("extend", many), ("__iadd__", many)] * 2),
            ("__setitem__", slice(0, chance.randrange(20)), many),
            ("__setitem__", slice(None), many),
            ("__delitem__", part),
            ("__getitem__", part),
            ("__getitem__", part),
            ("insert", chance.randrange(-9, 20), unique),
            ("pop", chance.randrange(-9, 9)),
            ("reverse",),
            ("sort",),
            ("clear",),
            ("__imul__", chance.randrange(3)),
            *([("copy",), ("__iter__",), ("__len__",)] * 2),
            ("count", unique),
            ("index", 1),
            ("remove", 1),
            ("__contains__", 1),
            ("__eq__", many),
            ("__mul__", 2),
            ("__add__", many),
        ]
    )


def of_a_deque(chance: random.Random, unique: int) -> tuple[Any, ...]:
    many = [unique] * chance.randrange(2, 30)
    return chance.choice(
        [
            *([("extend", many), ("extendleft", many)] * 2),
            ("rotate", chance.randrange(-20, 20)),
            ("rotate", chance.randrange(-20, 20)),
            ("reverse",),
            ("clear",),
            ("pop",),
            ("popleft",),
            ("insert", chance.randrange(-9, 20), unique),
            *([("copy",), ("__iter__",), ("__len__",)] * 2),
            ("count", unique),
            ("index", 1),
            ("remove", 1),
            ("__iadd__", many),
            ("__imul__", chance.randrange(3)),
        ]
    )


def of_a_dict(chance: random.Random, unique: int) -> tuple[Any, ...]:
    many = dict.fromkeys(some(chance), unique)
    return chance.choice(
        [
            *([("update", many), ("__ior__", many)] * 3),
            ("clear",),
            ("popitem",),
            ("popitem", False),
            ("move_to_end", chance.choice(ELEMENTS), chance.randrange(2) == 0),
            ("pop", chance.choice(ELEMENTS), None),
            *([("copy",), ("__iter__",), ("__len__",), ("items",), ("values",)] * 2),
            ("__or__", {1: 1}),
            ("__eq__", many),
        ]
    )


def of_a_counter(chance: random.Random, _: int) -> tuple[Any, ...]:
    many = collections.Counter(some(chance))
    return chance.choice(
        [
            *([("update", many), ("subtract", many)] * 3),
            ("__iadd__", many),
            ("__isub__", many),
            ("__ior__", many),
            ("__iand__", many),
            ("clear",),
            *([("copy",), ("total",), ("__len__",), ("most_common", 3)] * 2),
            ("__add__", many),
            ("__sub__", many),
            ("__le__", many),
            ("__eq__", many),
        ]
    )


def shown(found: Any, container: Any) -> Any:
    """Return a result in a form that is hashable and the same for both."""
    if found is container:
        return "itself"
    if isinstance(found, set | frozenset):
        return frozenset(found)
    if isinstance(found, dict):
        return tuple(found.items())
    if not isinstance(found, str) and hasattr(found, "__iter__"):
        return tuple(found)
    return found


class Ordered(collections.OrderedDict[Any, Any]):
    """A dict with the ends of an OrderedDict; compared as a dict is."""

    def __eq__(self, other: object) -> bool:
        return dict.__eq__(self, other)

    __hash__ = None  # type: ignore[assignment]


BUILTINS: dict[Any, Any] = {
    cy.Set: set,
    cy.List: list,
    cy.Deque: collections.deque,
    cy.Dict: Ordered,
    cy.Counter: collections.Counter,
}


def looked(container: Any, name: str, args: tuple[Any, ...]) -> Any:
    """Call a method; what is there in no order, or is to be gone over, is read at once."""
    if name == "__iter__":
        found = list(container)
        is_set = isinstance(container, cy.Set | set)
        return tuple(sorted(found)) if is_set else tuple(found)
    if name == "__str__":
        return tuple(
            sorted(int(each) for each in str(container).strip("set({})").split(", ") if each)
        )
    try:
        return shown(getattr(container, name)(*args), container)
    except (IndexError, KeyError, ValueError) as error:
        return type(error).__name__


class Looked:
    """A container whose results are hashable, and those of its model."""

    def __init__(self, container: Any) -> None:
        self.container = container

    def __getattribute__(self, name: str) -> Any:
        if name in ("check", "container"):
            return object.__getattribute__(self, name)
        return lambda *args: looked(object.__getattribute__(self, "container"), name, args)

    def check(self) -> None:
        self.container.check()


def model_of(cls: Any) -> Callable[[Any, str, tuple[Any, ...]], tuple[Any, Hashable]]:
    builtin = next(BUILTINS[base] for base in cls.__mro__ if base in BUILTINS)

    def model(state: Any, name: str, args: tuple[Any, ...]) -> tuple[Any, Hashable]:
        made = builtin(dict(state) if issubclass(builtin, dict) else state)
        result = looked(made, name, args)
        return result, shown(made, None)

    return model


CHOICES: dict[Any, Choice] = {
    cy.Set: of_a_set,
    cy.List: of_a_list,
    cy.Deque: of_a_deque,
    cy.Dict: of_a_dict,
    cy.Counter: of_a_counter,
}


def histories(cls: Any, choose: Choice, count: int) -> tuple[int, list[Call] | None]:
    """Return how many were linearizable, and the first that was not."""
    model = model_of(cls)
    empty = model_state(cls)
    for seed in range(count):
        history = record(lambda: Looked(cls()), choose, seed)
        assert len(history) == PROCESSES * CALLS
        if not linearizable(history, model, empty):
            return seed, history
    return count, None


def model_state(cls: Any) -> Hashable:
    if issubclass(cls, cy.Set):
        return frozenset[Any]()
    return ()


@pytest.mark.limit(60 + HISTORIES)
@pytest.mark.parametrize("cls", CHOICES, ids=lambda cls: cls.__name__)
def test_many_elements_at_once(cls: Any) -> None:
    _, broken = histories(cls, CHOICES[cls], HISTORIES)
    assert broken is None, sorted(broken)


class SetInSteps(cy.Set[Any]):
    def update(self, *others: Any) -> None:
        for other in others:
            for each in other:
                self.add(each)


class SetReadFirst(cy.Set[Any]):
    """As update() once was: what is missing is read first, then put in."""

    def update(self, *others: Any) -> None:
        missing = [each for other in others for each in other if each not in self]
        if missing:
            self._change_all(dict.fromkeys(missing), [])


class ListInSteps(cy.List[Any]):
    def extend(self, iterable: Any, /) -> None:
        for each in iterable:
            self.append(each)


class ListCopiedInSteps(cy.List[Any]):
    def copy(self) -> list[Any]:
        return [*self[:3], *self[3:]]


class DequeInSteps(cy.Deque[Any]):
    def rotate(self, n: int = 1, /) -> None:
        for _ in range(n):
            self.appendleft(self.pop())


class DictInSteps(cy.Dict[Any, Any]):
    def update(self, other: Any = (), /, **kwargs: Any) -> None:
        for key, value in dict(other, **kwargs).items():
            self[key] = value


class DictCopiedInSteps(cy.Dict[Any, Any]):
    def copy(self) -> dict[Any, Any]:
        return {key: value for key in list(self) if (value := self.get(key)) is not None}


class CounterInSteps(cy.Counter[Any]):
    def update(self, iterable: Any = None, /, **kwargs: int) -> None:
        for key, count in collections.Counter(iterable, **kwargs).items():
            self.increment(key, count)


IN_STEPS: dict[Any, Choice] = {
    SetInSteps: lambda chance, _: chance.choice(
        [("update", set(some(chance))), ("clear",), ("copy",), ("copy",)]
    ),
    SetReadFirst: lambda chance, _: chance.choice(
        [("update", set(ELEMENTS)), ("__isub__", {1, 30}), ("copy",)]
    ),
    ListInSteps: lambda _, unique: ("extend", [unique] * 20) if unique % 2 else ("copy",),
    ListCopiedInSteps: lambda chance, unique: chance.choice(
        [("__setitem__", slice(None), [unique] * 20), ("copy",)]
    ),
    DequeInSteps: lambda chance, unique: chance.choice(
        [("rotate", 5), ("extend", [unique, -unique]), ("copy",)]
    ),
    DictInSteps: lambda chance, unique: chance.choice(
        [("update", dict.fromkeys(ELEMENTS, unique)), ("copy",)]
    ),
    DictCopiedInSteps: lambda chance, unique: chance.choice(
        [("update", dict.fromkeys(ELEMENTS, unique)), ("copy",)]
    ),
    CounterInSteps: lambda chance, _: chance.choice(
        [("update", collections.Counter(ELEMENTS)), ("total",)]
    ),
}


@pytest.mark.limit(600)
@pytest.mark.parametrize("cls", IN_STEPS, ids=lambda cls: cls.__name__)
def test_what_is_done_in_steps_is_seen(cls: Any) -> None:
    """Methods that do it in several steps: the test above would not pass with one of them."""
    # The first few show it, unless the processes hardly run beside each other.
    _, broken = histories(cls, IN_STEPS[cls], 2000)
    assert broken is not None
