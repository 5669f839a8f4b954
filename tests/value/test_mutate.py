"""``Value.mutate(fn)``: exact beside all other writers, for every type that a value may have."""

import ctypes
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import courtyard as cy
import courtyard.multiprocessing
from tests.support.children import fork, join, kill, start


class Job:
    def __init__(self, tries: int) -> None:
        self.tries = tries


class Pair(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("mutate", ctypes.c_int)]


def more(value: Any) -> Any:
    return value + 1


def one_more_of_pair(pair: Any) -> Any:
    return pair.x + 1, pair.mutate + 1


def one_more_of_array(array: Any) -> Any:
    array[0] += 1
    array[2] += 1
    return array


def one_more_of_bytes(value: bytes) -> bytes:
    return str(int(value or b"0") + 1).encode()


# How a value is made, what adds one, and what it holds after so many.
FORMS: dict[str, tuple[Callable[..., Any], Any, Callable[[int], Any]]] = {
    **{
        code: (lambda code=code, **how: cy.Value(code, **how), more, lambda n: n)
        for code in ("h", "H", "i", "I", "l", "L", "q", "Q", "f", "d")
    },
    "int": (lambda **how: cy.Value(int, **how), more, lambda n: n),
    "float": (lambda **how: cy.Value(float, **how), more, lambda n: n),
    "c_longdouble": (lambda **how: cy.Value(ctypes.c_longdouble, **how), more, lambda n: n),
    "object": (lambda **how: cy.Value(object, (0,), **how), lambda v: (v[0] + 1,), lambda n: (n,)),
    "c_char * 9": (
        lambda **how: cy.Value(ctypes.c_char * 9, **how),
        one_more_of_bytes,
        lambda n: str(n).encode(),
    ),
}
HOWS: dict[str, Callable[[], dict[str, Any]]] = {
    "own lock": dict,
    "no lock": lambda: {"lock": False},
    "given lock": lambda: {"lock": cy.RLock()},
}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("form", FORMS)
def test_it_stores_what_the_function_returns_and_returns_that(form: str, how: str) -> None:
    make, add, held = FORMS[form]
    value = make(**HOWS[how]())
    before = value.version
    assert [value.mutate(add) for _ in range(3)] == [held(n) for n in (1, 2, 3)]
    assert value.value == held(3) and value.version != before
    assert cy.mutate(value, add) == held(4) == value.value


def test_forms_that_are_no_numbers() -> None:
    flag = cy.Value(bool)
    assert flag.mutate(lambda on: not on) is True and flag.value is True
    letter = cy.Value("u", "a")
    assert letter.mutate(lambda text: chr(ord(text) + 1)) == "b" == letter.value
    byte = cy.Value("c", b"a")
    assert byte.mutate(bytes.upper) == b"A" == byte.value
    array = cy.Value(ctypes.c_int * 3)
    assert list(array.mutate(one_more_of_array)) == [1, 0, 1] == list(array)
    table = cy.Value(dict, {"a": 1})
    assert table.mutate(lambda d: {**d, "b": 2}) == {"a": 1, "b": 2} == table.value
    large: Any = cy.Value(object, np.zeros(10_000))
    assert large.mutate(lambda a: a + 1).sum() == 10_000 == large.value.sum()
    shared = cy.Value(object, cy.List([1]))
    assert shared.mutate(lambda x: (x, x)) == ([1], [1])


@pytest.mark.parametrize("how", HOWS)
def test_a_structure_whose_field_hides_it(how: str) -> None:
    pair: Any = cy.Value(Pair, 1, 2, **HOWS[how]())
    made = cy.mutate(pair, one_more_of_pair)
    assert (made.x, made.mutate) == (2, 3) == (pair.x, pair.mutate)

    def swap(copy: Any) -> Any:
        copy.x, copy.mutate = copy.mutate, copy.x
        return copy

    cy.mutate(pair, swap)
    assert (pair.x, pair.mutate) == (3, 2)


def test_it_converts_as_set_does() -> None:
    small = cy.Value("b", 127)
    assert small.mutate(more) == -128 == small.value
    with pytest.raises(OverflowError):
        cy.Value(int, 2**63 - 1).mutate(more)
    single = cy.Value("f")
    assert single.mutate(lambda _: 0.1) == single.value != 0.1
    for declared, wrong in (("i", 1.5), ("d", "x"), (ctypes.c_char * 2, b"abc"), (Pair, "x")):
        value = cy.Value(declared)
        before = cy.version(value)
        with pytest.raises((TypeError, ValueError)):
            cy.mutate(value, lambda _, wrong=wrong: wrong)
        assert cy.version(value) == before


class Odd(Exception):
    """What functions here raise."""


def raise_odd(_: Any) -> Any:
    raise Odd


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("form", FORMS)
def test_what_cannot_be_done_changes_nothing(form: str, how: str) -> None:
    make, add, held = FORMS[form]
    value = make(**HOWS[how]())
    value.mutate(add)
    before = value.version
    with pytest.raises(Odd):
        value.mutate(raise_odd)
    with pytest.raises(TypeError):
        value.mutate()
    with pytest.raises(TypeError, match="not callable"):
        value.mutate(5)
    if form != "object":
        with pytest.raises(TypeError, match="returned None for a value of type") as raised:
            value.mutate(lambda _: None)
        assert "to store None" not in str(raised.value), "no None can be there"
    assert value.value == held(1) and value.version == before
    assert value.mutate(add) == held(2), "no lock was left held"


def test_a_forgotten_return() -> None:
    cart: Any = cy.Value(object, ["a"])
    with pytest.raises(
        TypeError, match=r"None for a value of type list: return the new value, or use ed"
    ):
        cart.mutate(lambda c: c.append("b"))
    assert cart.value == ["a"]
    job: Any = cy.Value(object, Job(1))
    with pytest.raises(TypeError, match=r"a value of type Job: .* use edit\(\); to store None"):
        job.mutate(lambda job: setattr(job, "tries", 2))
    assert job.value.tries == 1
    array: Any = cy.Value(ctypes.c_int * 3)
    with pytest.raises(TypeError, match="returned None for a value of type c_int_Array_3"):
        array.mutate(lambda a: a.__setitem__(0, 1))
    pair: Any = cy.Value(Pair)
    with pytest.raises(TypeError, match="returned None for a value of type Pair"):
        cy.mutate(pair, lambda p: setattr(p, "x", 1))
    assert list(array) == [0, 0, 0] and pair.x == 0
    none = cy.Value(object, 5)
    assert none.mutate(lambda _: None) is None is none.value
    with pytest.raises(Exception, match="pickle"):
        none.mutate(lambda _: threading.Lock())
    assert none.value is None


@pytest.mark.parametrize("form", ["i", "object", "c_char * 9"])
def test_a_function_that_changes_the_value_ends(form: str) -> None:
    make, add, held = FORMS[form]
    value, calls = make(), 0

    def meddle(now: Any) -> Any:
        nonlocal calls
        calls += 1
        value.set(add(value.get()))
        return now

    with pytest.raises(RuntimeError, match="must not change what it is called for"):
        value.mutate(meddle)
    assert calls == 60 and value.value == held(60)
    assert value.get_lock().acquire(timeout=1)


def test_a_function_that_changes_a_raw_value_ends() -> None:
    raw = cy.RawValue("i")

    def meddle(now: int) -> int:
        raw.increment()
        return now

    with pytest.raises(RuntimeError, match="must not change"):
        raw.mutate(meddle)
    assert raw.value == 100_000


def test_it_waits_for_the_lock_and_holds_none_for_the_function() -> None:
    value = cy.Value("i")
    inside, go = threading.Event(), threading.Event()
    calls = []

    def slow(now: int) -> int:
        calls.append(now)
        inside.set()
        assert go.wait(30)
        return now * 10

    thread = threading.Thread(target=value.mutate, args=(slow,))
    thread.start()
    assert inside.wait(30)
    value.set(3)  # nothing is locked
    go.set()
    thread.join(30)
    assert calls == [0, 3] and value.value == 30
    with value.get_lock():
        thread = threading.Thread(target=value.mutate, args=(more,))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive() and value.value == 30
        assert value.mutate(more) == 31, "the holder's own"
    thread.join(30)
    assert value.value == 32


def test_no_change_is_lost_beside_all_other_writers(ctx: BaseContext) -> None:
    values = {form: FORMS[form][0]() for form in ("i", "d", "object", "c_char * 9")}
    values["raw"] = cy.RawValue("q")
    values["given"] = cy.Value("q", lock=cy.RLock())
    children = [start(ctx, change, values, 400) for _ in range(3)]
    change(values, 400)
    join(*children, limit=120)
    assert values["i"].value == values["d"].value == values["raw"].value == 4800
    assert values["given"].value == 4800 and values["object"].value == (1600,)
    assert values["c_char * 9"].value == b"1600"


def change(values: dict[str, Any], turns: int) -> None:
    for _ in range(turns):
        for form in ("object", "c_char * 9"):
            values[form].mutate(FORMS[form][1])
        for form in ("i", "d", "raw", "given"):
            value = values[form]
            value.mutate(more)
            value.increment()
            while not value.compare_exchange(now := value.value, now + 1):
                pass


@pytest.mark.parametrize("form", ["i", "object"])
def test_a_process_killed_in_the_function_has_changed_nothing(form: str) -> None:
    make, add, held = FORMS[form]
    value, inside = make(), cy.Event()

    def hold() -> None:
        def stay(now: Any) -> Any:
            inside.set()
            signal.pause()
            return now

        value.mutate(stay)

    child = fork(hold)
    assert inside.wait(30)
    kill(child)
    assert value.mutate(add) == held(1) == value.value
    value.check()


def test_it_wakes_who_waits() -> None:
    value = cy.Value("i")
    thread = threading.Timer(0.1, value.mutate, [more])
    thread.start()
    assert value.wait_for(1, timeout=30)
    thread.join()


def test_it_is_a_manager_value_s_and_the_drop_in_s() -> None:
    with courtyard.multiprocessing.Manager() as manager:
        assert manager.Value("i", 5).mutate(more) == 6
    drop_in: Any = courtyard.multiprocessing.Value("i", 5)
    assert drop_in.mutate(more) == 6
    named = cy.Space().named("v", cy.Value, "d", 1.5)
    assert named.mutate(more) == 2.5


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_it_is_what_get_and_set_make(steps: list[int]) -> None:
    for declared in ("q", "i", "B", object):
        mutated: Any = cy.Value(declared, 0)
        plain: Any = cy.Value(declared, 0)
        for step in steps:
            plain.value = plain.value ^ step
            assert mutated.mutate(lambda now, step=step: now ^ step) == plain.value
        assert mutated.value == plain.value


def test_a_closed_value() -> None:
    value = cy.Value("i")
    value.close()
    with pytest.raises(cy.Closed):
        value.mutate(more)


def test_a_child_that_forks_in_the_function() -> None:
    value = cy.Value("i")

    def fork_in_it(now: int) -> int:
        child = os.fork()
        if child == 0:
            os._exit(value.increment(0))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        return now + 1

    assert value.mutate(fork_in_it) == 1
