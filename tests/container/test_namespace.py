"""Namespace as Manager's, and what it does beyond it."""

import inspect
import pickle
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
import courtyard.multiprocessing as multiprocessing
from tests.support.builtin import VALUES, Point, Unpicklable, needs, sent, shared
from tests.support.children import join, start

Namespace: Any = shared("Namespace")
pytestmark = needs("Namespace")


def test_attributes() -> None:
    n = Namespace(x=1, name="mine", self=2)
    n.y = [1]
    other = sent(n)
    assert (other.x, other.name, other.self, other.y) == (1, "mine", 2, [1])
    del other.x
    with pytest.raises(AttributeError, match="x"):
        _ = n.x
    with pytest.raises(AttributeError):
        del n.x
    assert not hasattr(n, "no")
    assert getattr(n, "no", 5) == 5
    n.y.append(2)
    assert n.y == [1]
    with pytest.raises(TypeError):
        Namespace(1)


FUNCTIONS = [name for name in cy.__all__ if inspect.isfunction(getattr(cy, name))]


@pytest.mark.parametrize(
    "name", [name for name in FUNCTIONS if name not in ("copy", "synchronized", "wait")]
)
def test_a_method_that_the_attributes_hide_is_a_function(name: str) -> None:
    """And the error says so, unless the program has such an attribute of its own."""
    n = cy.Namespace()
    said = (
        f"'Namespace' object has no attribute '{name}': attributes are the program's own; the "
        f"function courtyard.{name}() does that"
    )
    for use in (getattr, delattr):
        with pytest.raises(AttributeError) as raised:
            use(n, name)
        assert str(raised.value) == said and raised.value.name == name
    setattr(n, name, 5)
    assert getattr(n, name) == 5
    for other in ("items", "annotations", "Object", "home_of"):
        with pytest.raises(AttributeError, match=rf"no attribute '{other}'$"):
            getattr(n, other)


def test_repr_and_comparison_are_managers() -> None:
    n = Namespace(b=1, a="x")
    assert repr(n) == "Namespace(a='x', b=1)" or ("Namespace" in repr(n) and "b=1" in repr(n))
    place = cy.Space()
    named = place.named("settings", Namespace, x=1)
    assert repr(named) == "Namespace 'settings'(x=1)"
    assert n == Namespace(b=1, a="x")
    assert n != Namespace(b=2)
    assert n != 5


def test_the_users_names_hide_methods() -> None:
    n = Namespace()
    for name in (
        "wait_for",
        "version",
        "get_lock",
        "statistics",
        "check",
        "close",
        "space",
        "items",
    ):
        setattr(n, name, name)
        assert getattr(n, name) == name
        assert getattr(sent(n), name) == name
    assert cy.wait_for(n, lambda n: n.version == "version", 0) is True
    n.watch = 1
    with cy.watch(n, ["watch"]) as changes:
        n.watch = 2
        assert changes.get(0) == ("watch", 2)
    before = cy.version(n)
    n.close = 5
    assert cy.version(n) != before
    cy.check(n)
    assert cy.statistics(n).space.objects >= 1


def test_values_of_all_sorts() -> None:
    n = Namespace()
    for value in VALUES:
        n.value = value
        assert (type(n.value), n.value) == (type(value), value)
    n.é = n.ü = Point(1, 2)
    assert sent(n).é == Point(1, 2)


def test_what_fails_changes_nothing() -> None:
    n = Namespace(x=1)
    before = cy.version(n)
    with pytest.raises(ZeroDivisionError):
        n.x = Unpicklable()
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        n.x = lambda: 1
    with pytest.raises(ZeroDivisionError):
        Namespace(x=Unpicklable())
    assert (n.x, cy.version(n)) == (1, before)


def use(n: Any, number: int) -> None:
    for turn in range(50):
        setattr(n, f"of{number}", turn)
        assert getattr(n, f"of{number}") == turn
    n.shared = "seen"


def test_among_processes(ctx: BaseContext) -> None:
    n = Namespace()
    join(*[start(ctx, use, n, number) for number in range(3)])
    assert (n.of0, n.of1, n.of2, n.shared) == (49, 49, 49, "seen")


def test_what_attributes_hide_are_functions() -> None:
    n = Namespace(increment=1, get_lock="mine", seen=())
    assert cy.increment(n, "increment", 2) == 3
    assert cy.increment(n, "new", default=5) == 6
    assert cy.compare_exchange(n, "get_lock", "mine", "yours") is True
    assert cy.compare_exchange(n, "get_lock", "mine", "its") is False
    assert cy.mutate(n, "seen", lambda seen: (*seen, "a")) == ("a",)
    with cy.get_lock(n) as held:
        assert held is None or held
        n.x = 1
    assert (n.increment, n.get_lock, n.seen, n.x) == (3, "yours", ("a",), 1)
    with pytest.raises(TypeError, match=r"a courtyard\.Event has no mutate\(\)"):
        cy.mutate(cy.Event(), "x", str)
    with pytest.raises(TypeError, match="expected a courtyard object, found dict"):
        cy.get_lock({})


def test_it_is_no_container_as_the_standard_one() -> None:
    """A program may ask ``if manager.namespace``; an empty one is there, too."""
    with multiprocessing.Manager() as manager:
        for namespace in (manager.Namespace(), cy.Namespace(), cy.Namespace(x=1)):
            assert bool(namespace)
            with pytest.raises(TypeError, match="not iterable"):
                iter(namespace)
