"""Iteration goes over a copy of one moment; who asks for one alone reads one alone."""

import collections
import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import start

COUNT = 5000
MANY = {f"key {n}": n for n in range(COUNT)}

MADE: dict[str, Callable[[], Any]] = {
    "Dict": lambda: cy.Dict(MANY),
    "NestedDict": lambda: cy.NestedDict(MANY),
    "Counter": lambda: cy.Counter(MANY),
    "keys": lambda: cy.Dict(MANY).keys(),
    "values": lambda: cy.Dict(MANY).values(),
    "items": lambda: cy.Dict(MANY).items(),
    "Set": lambda: cy.Set(MANY),
    "List": lambda: cy.List(MANY),
    "Deque": lambda: cy.Deque(MANY),
}
EXPECTED: dict[str, list[Any]] = {
    **{name: list(MANY) for name in MADE},
    "values": list(MANY.values()),
    "items": list(MANY.items()),
}
BOTH_WAYS = [name for name in MADE if name != "Set"]


def unpacked(x: Any) -> list[Any]:
    first, second, *rest = x
    return [first, second, *rest]


def generated(x: Any) -> Iterator[Any]:
    yield from x


def by_next(x: Any) -> list[Any]:
    found, iterator = [], iter(x)
    while (each := next(iterator, None)) is not None:
        found.append(each)
    return found


WAYS: dict[str, Callable[[Any], Any]] = {
    "list": list,
    "tuple": lambda x: list(tuple(x)),
    "for": lambda x: [each for each in x],
    "star": lambda x: [*x],
    "unpacked": unpacked,
    "yield from": lambda x: list(generated(x)),
    "map": lambda x: list(map(lambda each: each, x)),
    "zip": lambda x: [each for _, each in zip(itertools.count(), x, strict=False)],
    "chain": lambda x: list(itertools.chain(x)),
    "iter of iter": lambda x: list(iter(iter(x))),
    "next": by_next,
    "two parts": lambda x: [*itertools.islice(i := iter(x), 3), *i],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("name", MADE)
def test_all_are_gone_over(name: str, way: Callable[[Any], Any]) -> None:
    assert way(MADE[name]()) == EXPECTED[name]


@pytest.mark.parametrize("way", [*WAYS.values()], ids=WAYS)
@pytest.mark.parametrize("name", BOTH_WAYS)
def test_backwards(name: str, way: Callable[[Any], Any]) -> None:
    assert way(reversed(MADE[name]())) == EXPECTED[name][::-1]


@pytest.mark.parametrize("size", [0, 1, 2, 64, 65])
@pytest.mark.parametrize("cls", [cy.Dict, cy.Set, cy.List, cy.Deque, cy.Counter])
def test_sizes(cls: Any, size: int) -> None:
    wanted = [f"{n}" for n in range(size)]
    x = cls.fromkeys(wanted) if cls is cy.Dict else cls(wanted)
    assert list(x) == by_next(x) == wanted
    assert next(iter(x), "none") == (wanted[0] if size else "none")
    if cls is not cy.Set:
        assert list(reversed(x)) == by_next(reversed(x)) == wanted[::-1]
        assert next(reversed(x), "none") == (wanted[-1] if size else "none")
    ended = iter(x)
    assert len(list(ended)) == size
    assert next(ended, None) is None and next(ended, None) is None


def cost(operation: Callable[[], Any]) -> float:
    times = []
    for _ in range(20):
        began = time.perf_counter()
        operation()
        times.append(time.perf_counter() - began)
    return min(times)


@pytest.mark.parametrize("name", MADE)
def test_one_costs_less_than_all(name: str) -> None:
    x = MADE[name]()
    whole = cost(lambda: list(x))
    assert cost(lambda: next(iter(x))) < whole / 5
    if name in BOTH_WAYS:
        assert cost(lambda: next(reversed(x))) < whole / 5


@pytest.mark.parametrize("name", ["Dict", "Set", "keys"])
def test_who_changes_it_meanwhile(name: str) -> None:
    """A loop goes over what was there at first, whatever its body does."""
    x: Any = cy.Set(MANY) if name == "Set" else cy.Dict(MANY)
    of = x.keys() if name == "keys" else x
    add = x.add if name == "Set" else lambda key: x.update({key: 0})
    found: list[Any] = []
    for each in of:
        if not found:
            add("another")
            x.clear()
            add("one more")
        found.append(each)
    assert found == list(MANY)
    assert list(x) == ["one more"]


def test_what_next_gives_when_it_changes_meanwhile() -> None:
    """The first; then those that were there by then and still are, each once."""
    d = cy.Dict(MANY)
    iterator = iter(d)
    assert next(iterator) == "key 0"
    d["later"] = 1
    del d["key 3"]
    d.move_to_end("key 0")
    d["key 1"] = 7
    assert list(iterator) == [key for key in MANY if key not in ("key 0", "key 3")]
    items: Any = d.items()
    backwards = reversed(items)
    assert next(backwards) == ("key 0", 0)
    d.update(after=1)
    d.pop("later")
    rest = list(backwards)
    assert rest[0] == (f"key {COUNT - 1}", COUNT - 1)
    assert len(rest) == COUNT - 2 and rest[-1] == ("key 1", 7)


def test_lists_that_change_meanwhile() -> None:
    """As a list's own iterators."""
    for make in (cy.List, cy.Deque):
        x: Any = make(range(100))
        forwards, backwards = iter(x), reversed(x)
        assert (next(forwards), next(backwards)) == (0, 99)
        x.append(100)
        x[1] = "one"
        assert list(forwards) == ["one", *range(2, 101)]
        assert list(backwards) == [*range(98, 1, -1), "one", 0]


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (lambda keys: cy.Set(keys), lambda s, old, new: s.__ixor__({old, new})),
        (lambda keys: cy.List(keys), lambda x, old, new: x.__setitem__(slice(None), [new] * 100)),
        (
            lambda keys: cy.Dict.fromkeys(keys),
            lambda d, old, new: d._change_all({new: None}, [old]),
        ),
    ],
    ids=["Set", "List", "Dict"],
)
@pytest.mark.parametrize(
    "way", [list, lambda x: [*x], lambda x: [each for each in x], lambda x: list(tuple(x))]
)
def test_of_one_moment(make: Any, change: Any, way: Any) -> None:
    """One of two elements is there at any moment, beside a process that exchanges them."""
    x, stop = (
        make([*range(99), "old"] if make(()).__class__ is not cy.List else ["old"] * 100),
        cy.Event(),
    )

    def exchange() -> None:
        names = itertools.cycle([("old", "new"), ("new", "old")])
        while not stop.is_set():
            change(x, *next(names))

    writer = start(multiprocessing.get_context("fork"), exchange)
    try:
        for _ in range(200):
            names = collections.Counter(each for each in way(x) if isinstance(each, str))
            assert len(names) == 1, names
    finally:
        stop.set()
        writer.join(20)


def test_order() -> None:
    """What OrderedDict has: both ends, and moving there."""
    d = cy.Dict.fromkeys("abcde")
    d.move_to_end("b")
    assert "".join(d) == "acdeb"
    d.move_to_end("b", last=False)
    assert "".join(d) == "bacde"
    assert d.popitem(last=False) == ("b", None) and d.popitem() == ("e", None)
    for missing in ("z", [1], lambda: 0):
        with pytest.raises((KeyError, TypeError)):
            d.move_to_end(missing)  # type: ignore[arg-type]
    assert "".join(d) == "acd" and "".join(reversed(d)) == "dca"
    no: Any = 0  # of which the truth counts, as in OrderedDict
    d.move_to_end("d", last=no)
    assert next(iter(d)) == "d"
    with pytest.raises(TypeError):
        d.popitem(42)  # type: ignore[arg-type]  # as dict's, which takes no argument
    d.clear()
    for last in (True, False):
        with pytest.raises(KeyError):
            d.popitem(last)
    d.check()


@pytest.mark.parametrize("cls", [cy.Dict, cy.NestedDict, cy.Counter])
@pytest.mark.parametrize("last", [True, False])
def test_many_moves(cls: Any, last: bool) -> None:
    d, model = cls(), collections.OrderedDict[str, int]()
    for n in range(300):
        d[f"{n}"] = model[f"{n}"] = n
    for n in range(3000):
        key = f"{n * 7 % 300}"
        d.move_to_end(key, last)
        model.move_to_end(key, last)
        if n % 500 == 0:
            assert list(d) == list(model)
    while model:
        assert d.popitem(not last) == model.popitem(not last)
    d.check()


def test_a_lock_keeps_movers_out() -> None:
    d = cy.Dict(a=1, b=2)
    with d.get_lock():
        mover = start(multiprocessing.get_context("fork"), d.move_to_end, "a")
        mover.join(0.3)
        assert mover.is_alive() and list(d) == ["a", "b"]
    mover.join(20)
    assert list(d) == ["b", "a"]
