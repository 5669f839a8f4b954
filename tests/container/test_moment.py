"""Copies of containers are of one moment, however they are made."""

import collections
import multiprocessing
import threading
from collections.abc import Callable
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import start

meddle: Callable[[], object] = lambda: None  # noqa: E731


class Key:
    """A key that changes the dict when it is hashed, as the copy is made."""

    def __hash__(self) -> int:
        meddle()
        return 7

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key)


def keywords(**found: Any) -> dict[str, Any]:
    return found


def updated(d: Any) -> dict[Any, Any]:
    plain: dict[Any, Any] = {"before": 0}
    plain.update(d)
    return plain


def joined(d: Any) -> dict[Any, Any]:
    plain: dict[Any, Any] = {}
    plain |= d
    return plain


COPIES: dict[str, Callable[[Any], Any]] = {
    "dict(d)": lambda d: dict(d),
    "{**d}": lambda d: {**d},
    "update": updated,
    "|=": joined,
    "{} | d": lambda d: {} | d,
    "d | {}": lambda d: d | {},
    "copy": lambda d: d.copy(),
    "dict(d.items())": lambda d: dict(d.items()),
    "list of items": lambda d: dict(list(d.items())),
    "collections.Counter": lambda d: collections.Counter(d),
    "OrderedDict": lambda d: collections.OrderedDict(d),
    "defaultdict": lambda d: collections.defaultdict(int, d),
    "Dict": lambda d: cy.Dict(d).copy(),
    "Counter": lambda d: cy.Counter(d).copy(),
}


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    global meddle
    yield
    meddle = lambda: None  # noqa: E731


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("cls", [cy.Dict, cy.Counter])
def test_nothing_changes_in_the_midst(cls: Any, copy: Callable[[Any], Any]) -> None:
    """Not by another thread, whose turn comes when a key's hash runs, either."""
    global meddle
    d = cls()
    d.update({Key(): 1, "a": 1, "b": 1})

    def change() -> None:
        global meddle
        meddle = lambda: None  # noqa: E731
        thread = threading.Thread(target=lambda: (d.update({"a": 5, "c": 5}), d.pop("b")))
        thread.start()
        thread.join()

    meddle = change
    found = dict(copy(d).items())
    found.pop("before", None)
    values = {key: found[key] for key in found if isinstance(key, str)}
    assert values in ({"a": 1, "b": 1}, {"a": 6 if cls is cy.Counter else 5, "c": 5})


def test_keywords() -> None:
    d = cy.Dict(a=1, b=2)
    assert keywords(**d) == {"a": 1, "b": 2}


def test_what_is_asked_for_later_is_live() -> None:
    """Only the copying itself sees that moment."""
    d = cy.Dict(a=1, b=1, c=1)
    for key in d.keys():  # noqa: SIM118
        d["c"] = 5
        assert d[key] == (5 if key == "c" else 1)
    keys = list(d.keys())
    d["a"] = 2
    assert [d[key] for key in keys] == [2, 1, 5]
    assert [*map(d.__getitem__, d.keys())] == [2, 1, 5]
    assert dict(zip(d.keys(), map(d.get, keys), strict=True)) == {"a": 2, "b": 1, "c": 5}
    for n in range(3):
        d["a"] = n
        assert dict(d)["a"] == n == d["a"]


def test_broken_off() -> None:
    """A copy that fails half way leaves nothing that a later one would see."""
    d = cy.Dict(a=1, b=1)
    for n in range(3):
        d["b"] = n
        with pytest.raises(TypeError):
            keywords(**d, **d)
        assert d["a"] == 1 and d["b"] == n
        assert dict(d) == {"a": 1, "b": n}


def test_of_several_at_once() -> None:
    one, two = cy.Dict(a=1, b=1), cy.Dict(a=2, b=2)
    assert {**one, **two} == two and {**two, **one} == one
    assert [dict(d) for d in (one, two, one)] == [one, two, one]
    assert dict(one, c=dict(two)) == {"a": 1, "b": 1, "c": {"a": 2, "b": 2}}
    threads = [threading.Thread(target=lambda: [dict(one) for _ in range(500)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(500):
        assert dict(two) == {"a": 2, "b": 2}
    for thread in threads:
        thread.join()


def write(d: Any, stop: Any) -> None:
    n = 0
    while not stop.is_set():
        n += 1
        d.update(dict.fromkeys("abcdefgh", n))


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_beside_a_writer(copy: Callable[[Any], Any]) -> None:
    d, stop = cy.Dict(dict.fromkeys("abcdefgh", 0)), cy.Event()
    writer = start(multiprocessing.get_context("fork"), write, d, stop)
    try:
        for _ in range(300):
            found = dict(copy(d))
            found.pop("before", None)
            assert len(set(found.values())) == 1
    finally:
        stop.set()
        writer.join(20)


@pytest.mark.parametrize("cls", [cy.List, cy.Deque, cy.Set])
@pytest.mark.parametrize("copy", [list, tuple, set, sorted, lambda x: [*x], lambda x: x.copy()])
def test_rows_and_sets(cls: Any, copy: Callable[[Any], Any]) -> None:
    x = cls(range(9))
    assert list(copy(x)) == list(range(9))
