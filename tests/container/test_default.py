"""Defaults: each call of a function gets a copy, and there is one call if nobody else writes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import courtyard as cy


def under_key(make: Any) -> Callable[..., Any]:
    d = make()
    return lambda key, fn, default: d.mutate(key, fn, default)


def under_attribute() -> Callable[..., Any]:
    namespace = cy.Namespace()
    return lambda key, fn, default: cy.mutate(namespace, key, fn, default)


MUTATES: dict[str, Callable[[], Callable[..., Any]]] = {
    "Dict": lambda: under_key(cy.Dict),
    "Counter": lambda: under_key(cy.Counter),
    "NestedDict": lambda: under_key(cy.NestedDict),
    "Namespace": under_attribute,
}


@pytest.mark.parametrize("name", MUTATES)
def test_a_new_key_needs_one_call_of_the_function(name: str) -> None:
    """The index grows on the way: nobody else has written."""
    mutate = MUTATES[name]()
    for number in range(300):
        calls: list[int] = []

        def once(value: int, calls: list[int] = calls) -> int:
            calls.append(value)
            return value + 1

        assert mutate(f"key{number}", once, number) == number + 1
        assert calls == [number]


@pytest.mark.parametrize("what", ["increment", "compare_exchange"])
def test_an_operator_is_called_once(what: str) -> None:
    calls = []

    class Number:
        def __radd__(self, other: int) -> int:
            calls.append(other)
            return other + 1

        def __eq__(self, other: object) -> bool:
            calls.append(0)
            return False

        __hash__ = None  # type: ignore[assignment]

    d: Any = cy.Dict()
    for number in range(300):
        if what == "increment":
            d.increment(number, Number())
        else:
            d[number] = 1
            d.compare_exchange(number, Number(), 2)
    assert len(calls) == 300


def add(value: Any) -> Any:
    value.append(1)
    return value


@pytest.mark.parametrize("name", MUTATES)
def test_each_call_of_the_function_gets_a_copy_of_the_default(name: str) -> None:
    mutate, default = MUTATES[name](), [[0]]
    for key in ("a", "b", "c"):
        assert mutate(key, add, default) == [[0], 1]
        mutate(f"inner {key}", lambda value: [add(value[0])], default)
    assert default == [[0]]


def test_a_call_that_is_repeated_does_not_see_what_the_last_one_did() -> None:
    d: Any = cy.Dict()

    def meddle(value: list[int]) -> list[int]:
        if not meddled:
            meddled.append(True)
            d["k"] = 1
            del d["k"]
        return add(value)  # type: ignore[no-any-return]

    meddled: list[bool] = []
    assert d.mutate("k", meddle, []) == [1]
    assert meddled


@pytest.mark.parametrize("make", [cy.Dict, cy.Counter, cy.Namespace])
def test_a_block_of_edit_gets_a_copy_of_the_default(make: Any) -> None:
    shared, default = make(), [[0]]
    for key in ("a", "b"):
        with cy.edit(shared, key, default) as value:
            value.append(1)
            value[0].append(1)
    assert default == [[0]]
    assert [value for _, value in shared._items()] == [[[0, 1], 1]] * 2


def test_setdefault_returns_a_copy_of_what_it_stored() -> None:
    d: Any = cy.Dict()
    given = np.arange(3)
    given.flags.writeable = False
    for _ in range(2):  # stored, found
        found = d.setdefault("array", given)
        assert found is not given and found.flags.writeable and list(found) == [0, 1, 2]
    default: list[int] = []
    d.setdefault("list", default).append(1)
    assert default == [] == d["list"]


def test_what_cannot_be_changed_is_given_as_it_is() -> None:
    d: Any = cy.Dict()
    queue = cy.Queue[int]()
    same = [object(), 2**80, "text" * 50, (1, (2.5, None)), frozenset("ab"), int, len, queue]
    for number, value in enumerate(same):
        seen: list[Any] = []
        d.mutate(number, lambda found, seen=seen: seen.append(found) or 0, value)
        assert seen[0] is value
        if number:
            assert d.setdefault(f"new {number}", value) is value


def test_a_default_with_courtyard_objects_in_it() -> None:
    d: Any = cy.Dict()
    default = [cy.Queue[int]()]
    d.mutate("k", add, default)
    d["k"][0].put(5)
    assert default[0].get(timeout=10) == 5 and len(default) == 1


class Spoilt:
    """What can be stored, and not loaded."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


@pytest.mark.parametrize(
    "call",
    [
        lambda d, value: d.setdefault("k", value),
        lambda d, value: d.mutate("k", lambda _: 1, value),
        lambda d, value: d.edit("k", value).__enter__(),
    ],
    ids=["setdefault", "mutate", "edit"],
)
def test_a_default_that_cannot_be_loaded_changes_nothing(call: Any) -> None:
    d = cy.Dict[str, Any](a=1)
    with pytest.raises(cy.LoadError, match="cannot load the default of Dict"):
        call(d, [Spoilt()])
    assert d == {"a": 1}
    assert d.get_lock().acquire(timeout=1)
