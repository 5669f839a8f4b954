"""What reprs show: the content as the builtin has it, of empty, recursive and closed objects."""

from typing import Any

import pytest

import courtyard as cy

EMPTY: list[tuple[Any, str, str]] = [
    (cy.Dict, "<courtyard.Dict: {}>", "{}"),
    (cy.NestedDict, "<courtyard.NestedDict: {}>", "{}"),
    (cy.Set, "<courtyard.Set: set()>", "set()"),
    (cy.List, "<courtyard.List: []>", "[]"),
    (cy.Deque, "<courtyard.Deque: deque([])>", "deque([])"),
    (
        lambda: cy.Deque(maxlen=3),
        "<courtyard.Deque: deque([], maxlen=3)>",
        "deque([], maxlen=3)",
    ),
    (cy.Counter, "<courtyard.Counter: Counter()>", "Counter()"),
    (cy.Namespace, "Namespace()", "Namespace()"),
]


@pytest.mark.parametrize(("make", "shown", "plain"), EMPTY)
def test_empty(make: Any, shown: str, plain: str) -> None:
    assert (repr(make()), str(make())) == (shown, plain)
    if make is not cy.Namespace:
        assert repr(make().copy()) == plain


def test_named_empty_set() -> None:
    assert repr(cy.Space().named("seen", cy.Set)) == "<courtyard.Set 'seen': set()>"


RECURSIVE: list[tuple[Any, Any, str, str]] = [
    (cy.Dict, lambda d: d.update(x=d), "<courtyard.Dict: {'x': ...}>", "{'x': ...}"),
    (cy.NestedDict, lambda d: d.update(x=d), "<courtyard.NestedDict: {'x': ...}>", "{'x': ...}"),
    (cy.List, lambda x: x.append(x), "<courtyard.List: [...]>", "[...]"),
    (cy.Deque, lambda x: x.append(x), "<courtyard.Deque: deque([...])>", "deque([...])"),
    (cy.Namespace, lambda ns: setattr(ns, "x", ns), "Namespace(x=...)", "Namespace(x=...)"),
]


@pytest.mark.parametrize(("make", "add", "shown", "plain"), RECURSIVE)
def test_recursive(make: Any, add: Any, shown: str, plain: str) -> None:
    obj = make()
    add(obj)
    assert (repr(obj), str(obj)) == (shown, plain)


class Shows:
    """Shows the set that it is in: no key has a courtyard object in it."""

    of: Any = None

    def __repr__(self) -> str:
        return f"Shows({Shows.of!r})"


def test_recursive_set() -> None:
    s = Shows.of = cy.Set([Shows()])
    assert repr(s) == "<courtyard.Set: {Shows(...)}>"
    assert str(s) == "{Shows(...)}"


@pytest.mark.parametrize(
    "make",
    [
        *(make for make, *_ in EMPTY),
        lambda: cy.Value("i"),
        lambda: cy.Array("i", 3),
        cy.Queue,
        cy.Lock,
        cy.RLock,
        cy.Semaphore,
        cy.Condition,
        cy.Event,
        lambda: cy.Barrier(2),
    ],
)
def test_closed(make: Any) -> None:
    obj = make()
    cy.close(obj)
    assert "closed" in repr(obj) and "closed" in str(obj)
