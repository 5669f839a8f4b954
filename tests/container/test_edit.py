"""``with d.edit(key) as value:``: a value changed in place, exactly, whoever else is at it."""

import collections
import ctypes
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import multiprocessing
import os
import pathlib
import pickle
import random
import re
import signal
import threading
import types
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np
import pytest

import courtyard as cy
import courtyard.multiprocessing
from tests.support.children import fork, join, kill, start


class Job:
    """An object that is changed in place."""

    def __init__(self) -> None:
        self.done: list[int] = []


class Pair(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("edit", ctypes.c_int)]


class Place:
    """Where a value is: how it is edited, read and stored."""

    def __init__(self, obj: Any, *key: Any) -> None:
        self.obj, self.key = obj, key

    def edit(self) -> Any:
        return cy.edit(self.obj, *self.key)

    def get(self) -> Any:
        if isinstance(self.obj, cy.Value):
            return self.obj.value
        if isinstance(self.obj, cy.Namespace):
            return getattr(self.obj, self.key[0])
        found = self.obj[self.key[0]]
        return found.copy() if isinstance(found, cy.Dict | cy.List) else found

    def set(self, value: Any) -> None:
        if isinstance(self.obj, cy.Value):
            self.obj.value = value
        elif isinstance(self.obj, cy.Namespace):
            setattr(self.obj, self.key[0], value)
        else:
            self.obj[self.key[0]] = value

    def is_free(self) -> bool:
        """Whether another thread can have the lock."""
        found = []

        def try_it() -> None:
            lock = cy.get_lock(self.obj)
            if isinstance(self.obj, cy.Value):
                lock = self.obj.get_lock()
            found.append(lock.acquire(timeout=0.5))
            if found[0]:
                lock.release()

        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
        return bool(found[0])


manager = courtyard.multiprocessing.Manager()
PLACES: dict[str, Callable[[Any], Place]] = {
    "Value": lambda x: Place(cy.Value(object, x)),
    "Value with a lock": lambda x: Place(cy.Value(object, x, lock=cy.RLock())),
    "Dict": lambda x: Place(cy.Dict(k=x), "k"),
    "NestedDict": lambda x: Place(cy.NestedDict(k=x), "k"),
    "Manager.dict": lambda x: Place(manager.dict(k=x), "k"),
    "List": lambda x: Place(cy.List([0, x, 0]), 1),
    "List from the end": lambda x: Place(cy.List([0, x]), -1),
    "Deque": lambda x: Place(cy.Deque([x, 0], 2), 0),
    "Namespace": lambda x: Place(cy.Namespace(k=x), "k"),
}
# Those of which the block has a copy.
COPIES = [name for name in PLACES if name != "NestedDict"]


def append(value: Any) -> None:
    value.append(7)


CHANGES: dict[str, tuple[Any, Callable[[Any], object], Callable[[Any], bool]]] = {
    "list": (lambda: [1], append, lambda now: bool(now == [1, 7])),
    "dict": (lambda: {"a": 1}, lambda v: v.update(b=2), lambda now: bool(now == {"a": 1, "b": 2})),
    "set": (lambda: {1}, lambda v: v.add(2), lambda now: bool(now == {1, 2})),
    "bytearray": (lambda: bytearray(9), lambda v: v.extend(b"x"), lambda now: len(now) == 10),
    "array": (lambda: np.zeros(9), lambda v: v.__iadd__(1), lambda now: now.sum() == 9),
    "large array": (
        lambda: np.zeros(9000),
        lambda v: v.__setitem__(slice(None), 2),
        lambda now: now.sum() == 18_000,
    ),
    "object": (Job, lambda v: v.done.append(3), lambda now: bool(now.done == [3])),
    "inside a tuple": (lambda: ([1], 2), lambda v: append(v[0]), lambda now: now == ([1, 7], 2)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("place", PLACES)
def test_what_the_block_made_of_it_is_stored(place: str, change: str) -> None:
    make, work, is_done = CHANGES[change]
    at = PLACES[place](make())
    with at.edit() as value:
        work(value)
    assert is_done(at.get())
    assert at.is_free()


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("place", COPIES)
def test_nothing_is_stored_if_the_block_raises(place: str, error: type[BaseException]) -> None:
    at = PLACES[place]([1])
    before = cy.version(at.obj)
    with pytest.raises(error), at.edit() as value:
        value.append(2)
        raise error
    assert (at.get(), cy.version(at.obj)) == ([1], before)
    assert at.is_free()


@pytest.mark.parametrize("place", COPIES)
def test_nothing_is_stored_that_cannot_be(place: str) -> None:
    at = PLACES[place]([1])
    with pytest.raises(Exception, match="pickle"), at.edit() as value:
        value.append(threading.Lock())
    assert at.get() == [1] and at.is_free()


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: object
    y: object = ()


class Pinned(NamedTuple):
    x: object


class Plain(str):
    __slots__ = ()


IMMUTABLE = [
    *(None, True, 5, 1.5, 1j, "text", b"bytes", frozenset(), range(3), ..., len, enum.unique),
    *((), (1, "a"), (1, (2, (b"", None))), Pinned((1, 2)), Plain("x"), frozenset({(1,)})),
    datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    *(datetime.date(2020, 1, 1), datetime.time(1), datetime.timedelta(1), datetime.UTC),
    *(decimal.Decimal("1.5"), fractions.Fraction(1, 3), uuid.UUID(int=5), re.compile("a")),
    *(pathlib.Path("/a"), pathlib.PurePosixPath("a"), ipaddress.ip_address("::1"), np.float64(1)),
    *(np.int32(3), np.str_("a"), np.datetime64("2020-01-01"), np.zeros(1, "i4,i4")[0]),
    *(Colour.RED, Job, dict),
    *(Frozen(1), Frozen((1, "a"), Frozen(2)), (Frozen(1), Colour.RED)),
]


@pytest.mark.parametrize("value", IMMUTABLE, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("place", PLACES)
def test_what_cannot_be_changed_in_place(place: str, value: Any) -> None:
    at = PLACES[place](value)
    advice = (
        "assign it" if place.startswith(("List", "Deque")) else r"use mutate\(\).* or assign it"
    )
    match = f"changed in place, found {type(value).__name__}: {advice}"
    with pytest.raises(TypeError, match=match), at.edit():
        pytest.fail("the block ran")
    assert at.get() == value and at.is_free()


class Labelled(str):
    """A text with a label."""


class Slotted(tuple[int, ...]):
    """A tuple with a label."""

    label = 0


def label(value: Any) -> None:
    value.label = 5


def add_to(value: Any) -> None:
    value.x.append(2)


CHANGEABLE: dict[str, tuple[Any, Callable[[Any], object], Callable[[Any], bool]]] = {
    "text with attributes": (Labelled("a"), label, lambda now: now.label == 5),
    "tuple with attributes": (Slotted((1,)), label, lambda now: now.label == 5),
    "frozen dataclass": (Frozen([1]), add_to, lambda now: now.x == [1, 2]),
    "named tuple": (Pinned([1]), add_to, lambda now: now.x == [1, 2]),
    "deep": ((0, (Frozen([1]),)), lambda v: add_to(v[1][0]), lambda now: now[1][0].x == [1, 2]),
    "empty list": ([], lambda v: v.append(1), lambda now: bool(now == [1])),
    "no dimension": (np.array(1), lambda v: v.__setitem__((), 2), lambda now: bool(now == 2)),
    "deque": (collections.deque(), lambda v: v.append(1), lambda now: list(now) == [1]),
    "object with nothing": (types.SimpleNamespace(), label, lambda now: now.label == 5),
}


@pytest.mark.parametrize("change", CHANGEABLE)
@pytest.mark.parametrize("place", [name for name in PLACES if name != "NestedDict"])
def test_what_can_be_changed_inside_is_not_refused(place: str, change: str) -> None:
    value, work, is_done = CHANGEABLE[change]
    at = PLACES[place](value)
    with at.edit() as edited:
        work(edited)
    assert is_done(at.get()) and at.is_free()


def test_what_is_not_there() -> None:
    d: Any = cy.Dict()
    with pytest.raises(KeyError, match="'k'"), d.edit("k"):
        pytest.fail("the block ran")
    with pytest.raises(TypeError, match="unhashable"), d.edit([]):
        pytest.fail("the block ran")
    for place, error in [
        (Place(cy.List([[]]), 1), IndexError),
        (Place(cy.List([[]]), -2), IndexError),
        (Place(cy.Deque(), 0), IndexError),
    ]:
        with pytest.raises(error), place.edit():
            pytest.fail("the block ran")
        assert place.is_free()
    assert Place(d, "k").is_free() and dict(d) == {}
    for index in ("a", slice(1), None):
        with pytest.raises(TypeError):
            cy.List([[]]).edit(index)  # type: ignore[arg-type]
    for wrong in (cy.Event(), cy.RawValue("i"), cy.Set(), cy.Queue()):
        with pytest.raises(TypeError, match=r"has no edit\(\)"):
            cy.edit(wrong)


def test_a_default() -> None:
    d: Any = cy.Dict(a=[1])
    for key in ("a", "b"):
        with d.edit(key, []) as value:
            value.append(2)
    with pytest.raises(ZeroDivisionError), d.edit("c", default=[]):
        raise ZeroDivisionError
    with pytest.raises(TypeError, match="found NoneType"), d.edit("c", None):
        pytest.fail("the block ran")
    assert d == {"a": [1, 2], "b": [2]}
    nested: Any = cy.NestedDict()
    with nested.edit("n", {}) as value:
        value["x"] = []
    nested["n"]["x"].append(1)
    assert nested == {"n": {"x": [1]}}


def test_edits_inside_one_another() -> None:
    d: Any = cy.Dict(a=[1], b=[2])
    with d.edit("a") as a, d.edit("b") as b:
        a.append(b.pop())
    assert d == {"a": [1, 2], "b": []}
    assert Place(d, "a").is_free()


def test_what_the_block_does_to_its_own_key_is_replaced() -> None:
    d: Any = cy.Dict(a=[1])
    with d.edit("a") as value:
        d["a"] = "other"
        value.append(2)
    assert d["a"] == [1, 2]
    with d.edit("a") as value:
        del d["a"]
        value.append(3)
    assert d["a"] == [1, 2, 3]
    with d.edit("a"):
        d.clear()
        d["b"] = 1
    assert d == {"b": 1, "a": [1, 2, 3]}


@pytest.mark.parametrize(
    "meddle", [lambda x: x.insert(0, 0), lambda x: x.pop(), lambda x: x.clear()]
)
def test_a_block_that_moves_the_values_of_a_list(meddle: Callable[[Any], object]) -> None:
    x: Any = cy.List([[1], [2]])
    with pytest.raises(RuntimeError, match="2 values when edit"), x.edit(1) as value:
        value.append(3)
        meddle(x)
    assert [1, 3] not in x and [2, 3] not in x
    assert Place(x, 0).is_free()


def test_one_edit_twice() -> None:
    d: Any = cy.Dict(a=[])
    edit = d.edit("a")
    with edit as value:
        value.append(1)
        with pytest.raises(RuntimeError, match="under way"), edit:
            pytest.fail("the block ran")
    with edit as value:
        value.append(2)
    assert d["a"] == [1, 2] and Place(d, "a").is_free()


def test_a_structure() -> None:
    pair: Any = cy.Value(Pair, 1, 2)
    with cy.edit(pair) as value:
        value.x, value.edit = 3, 4
    assert (pair.x, pair.edit) == (3, 4)
    with pytest.raises(TypeError, match="found int"), cy.Value("i", 1).edit():
        pytest.fail("the block ran")


def add(obj: Any, key: tuple[Any, ...], turns: int) -> None:
    for turn in range(turns):
        with cy.edit(obj, *key) as value:
            value[turn % len(value)] += 1


def mutated(obj: Any, turns: int) -> None:
    def more(value: Any) -> Any:
        value[0] += 1
        return value

    for _ in range(turns):
        obj.mutate("k", more)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_of_many_processes_no_change_is_lost(method: str) -> None:
    context = multiprocessing.get_context(method)
    places = [PLACES[name]([0] * 3) for name in ("Dict", "List", "Value", "Namespace")]
    children = [start(context, add, at.obj, at.key, 60) for at in places for _ in range(2)]
    children.append(start(context, mutated, places[0].obj, 60))
    for at in places:
        add(at.obj, at.key, 60)
    join(*children, limit=60)
    assert [sum(at.get()) for at in places] == [240, 180, 180, 180]


@pytest.mark.parametrize("place", PLACES)
def test_a_process_killed_in_the_block_has_stored_nothing(place: str) -> None:
    at, inside = PLACES[place](np.zeros(10)), cy.Event()

    def hold() -> None:
        with at.edit() as value:
            value += 1
            inside.set()
            signal.pause()

    child = fork(hold)
    assert inside.wait(30)
    assert not at.is_free()
    kill(child)
    with at.edit() as value:
        assert value.sum() == 0
        value += 2
    assert at.get().sum() == 20
    at.obj.check() if not isinstance(at.obj, cy.Namespace) else cy.check(at.obj)


@pytest.mark.parametrize("place", PLACES)
def test_an_edit_that_is_entered_and_thrown_away_stores_nothing(place: str) -> None:
    """As by a Ctrl-C between __enter__ and the block, on Python 3.14."""
    at = PLACES[place](np.zeros(10))
    edit = at.edit()
    value = edit.__enter__()
    value += 1
    assert not at.is_free()
    with pytest.raises(ZeroDivisionError):  # what is on its way stays so
        try:
            1 // 0  # noqa: B018
        finally:
            del edit
    assert at.is_free()
    assert at.get().sum() == 0


def test_an_edit_that_a_child_throws_away_is_still_its_parents() -> None:
    at = PLACES["Dict"]([1])
    edit = at.edit()
    edit.__enter__().append(2)

    def throw_away() -> None:
        nonlocal edit
        del edit

    child = fork(throw_away)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not at.is_free()
    edit.__exit__(None, None, None)
    assert at.get() == [1, 2]


@contextmanager
def interrupted(chance: random.Random) -> Iterator[None]:
    """Raise KeyboardInterrupt at some moment soon."""
    signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 200e-6))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.parametrize("seed", range(3))
def test_ctrl_c_at_any_moment_leaves_no_lock_held(seed: int) -> None:
    def press(*_: Any) -> None:
        raise KeyboardInterrupt

    chance, before = random.Random(seed), signal.signal(signal.SIGALRM, press)
    d: Any = cy.Dict(k=[0])
    raised = 0
    try:
        for _ in range(300):
            try:
                with interrupted(chance):
                    for _ in range(50):
                        with d.edit("k") as value:
                            value[0] += 1
            except KeyboardInterrupt:
                raised += 1
    finally:
        with suppress(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert raised > 20
    child = fork(lambda: add(d, ("k",), 1))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("name", PLACES)
def test_one_thread_edits_a_value_once_at_a_time(name: str) -> None:
    """The outer block would store its copy over what the inner one stored."""
    place = PLACES[name]({"a": {1}})
    if name == "NestedDict":  # no copies: both blocks change the shared dict
        with place.edit() as outer, place.edit() as inner:
            inner["b"], outer["c"] = 1, 2
        assert place.get() == {"a": {1}, "b": 1, "c": 2}
        return
    with place.edit() as outer:
        with pytest.raises(RuntimeError, match="in a block of edit"), place.edit():
            pytest.fail("it was entered")
        outer["b"] = 2
    assert place.get() == {"a": {1}, "b": 2}
    with suppress(ZeroDivisionError), place.edit():
        raise ZeroDivisionError
    with place.edit() as again:
        again["c"] = 3
    assert place.get() == {"a": {1}, "b": 2, "c": 3}
    assert place.is_free()


def test_other_values_of_the_object_may_be_edited_in_the_block() -> None:
    d = cy.Dict(a=[1], b=[2])
    again = pickle.loads(pickle.dumps(d))
    with d.edit("a") as a, d.edit("b") as b:
        a.append(b[0])
        with pytest.raises(RuntimeError, match="in a block of edit"):
            again.edit("a").__enter__()
    assert d.copy() == {"a": [1, 2], "b": [2]}
    x = cy.List([[0], [1]])
    with x.edit(0) as first, x.edit(-1) as last:
        first.append(last[0])
        for index in (0, -2, 1, -1):
            with pytest.raises(RuntimeError, match="in a block of edit"):
                x.edit(index).__enter__()
    assert x.copy() == [[0, 1], [1]]
    assert d.copy() == {"a": [1, 2], "b": [2]}
