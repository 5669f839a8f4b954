"""An array that a call returns is the caller's own, whatever its size; views are asked for."""

import copy
import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

import courtyard as cy
import courtyard.multiprocessing
from tests.support.children import fork, kill

SIZES = [0, 1, 100, 4064, 4065, 5000, 100_000]  # the smallest that lies in a large block among them


def numbers(size: int) -> Any:
    return np.arange(float(size))


def read_only(size: int) -> Any:
    array = numbers(size)
    array.flags.writeable = False
    return array


def by_columns(size: int) -> Any:
    array = np.asfortranarray(numbers(size // 2 * 2).reshape(2, -1))
    array.flags.writeable = False
    return array


def gaps(size: int) -> Any:
    return np.broadcast_to(np.float64(1), (size,))


SHAPES: dict[str, Callable[[int], Any]] = {
    "array": numbers,
    "read-only": read_only,
    "inside": lambda size: {"w": [numbers(size), read_only(size), by_columns(size)]},
    "gaps": lambda size: [gaps(size), np.arange(2 * size)[::2]],
    "subclass": lambda size: numbers(size).view(np.matrix),
    "frame": lambda size: pd.DataFrame({"a": numbers(size), "b": read_only(size)}),
    "linked": lambda size: [cy.Lock(), numbers(size), read_only(size)],
}


def arrays(value: Any) -> Iterator[Any]:
    """Yield the arrays in a value."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, pd.DataFrame):
        yield from (block.values for block in value._mgr.blocks)
    elif isinstance(value, Mapping):
        yield from arrays(list(value.values()))
    elif isinstance(value, list | tuple | deque | cy.List):
        for each in value:
            yield from arrays(each)


def taker(given: list[Any]) -> Callable[[Any], int]:
    """Return a function that keeps what it is given."""

    def take(value: Any) -> int:
        given.append(value)
        return 1

    return take


def from_dict(kind: Any, value: Any) -> Iterator[Any]:
    d = kind(k=value)
    yield d["k"]
    yield d.get("k")
    yield d.get_many(["k"])
    yield d.setdefault("k", 0)
    yield dict(d)
    yield {**d}
    yield {} | d
    yield list(d.values())
    yield list(d.items())
    yield [d[key] for key in d]
    yield d.copy()
    yield copy.copy(d)
    yield copy.deepcopy(d)
    yield pickle.loads(pickle.dumps(d))["k"]
    yield d.popitem()
    d["k"] = value
    yield d.pop("k")
    d["k"] = value
    given: list[Any] = []
    d.mutate("k", taker(given))
    yield given


def from_list(kind: Any, value: Any) -> Iterator[Any]:
    x = kind([value, value])
    yield x[0]
    yield x[-1]
    yield list(x)
    yield x.copy()
    yield x.pop()
    if kind is cy.List:
        x.append(value)
        yield x[:]
        yield x[::-1]
        yield x.pop(0)
    else:
        yield x.popleft()
    x.append(value)
    yield from (each for each in x)


def from_queue(kind: Any, value: Any) -> Iterator[Any]:
    q = kind()
    for _ in range(6):
        q.put(value)
    yield q.get()
    yield q.get(timeout=5)
    yield q.get_nowait()
    yield q.get_many(2)
    with q.lease() as item:
        yield item


def from_value(kind: Any, value: Any) -> Iterator[Any]:
    v = kind(object, value)
    yield v.value
    yield v.get()
    yield v.exchange(value)
    given: list[Any] = []
    v.wait_for(taker(given))
    yield given


def from_namespace(kind: Any, value: Any) -> Iterator[Any]:
    ns = kind(x=value)
    yield ns.x
    yield copy.copy(ns).x
    given: list[Any] = []
    cy.mutate(ns, "x", taker(given))
    yield given


manager = courtyard.multiprocessing.Manager()
SOURCES: dict[str, tuple[Callable[[Any, Any], Iterator[Any]], Any]] = {
    "Dict": (from_dict, cy.Dict),
    "NestedDict": (from_dict, cy.NestedDict),
    "Manager.dict": (from_dict, manager.dict),
    "List": (from_list, cy.List),
    "Deque": (from_list, cy.Deque),
    "Queue": (from_queue, cy.Queue),
    "LifoQueue": (from_queue, cy.LifoQueue),
    "SimpleQueue": (from_queue, cy.SimpleQueue),
    "multiprocessing.Queue": (from_queue, courtyard.multiprocessing.Queue),
    "Value": (from_value, cy.Value),
    "RawValue": (from_value, cy.RawValue),
    "Namespace": (from_namespace, cy.Namespace),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("source", SOURCES)
def test_what_comes_out_is_the_callers_own(source: str, shape: str) -> None:
    read, kind = SOURCES[source]
    for size in SIZES:
        value = SHAPES[shape](size)
        expected = [each.copy() for each in arrays(value)]
        for found in read(kind, value):
            owned = list(arrays(found))
            assert owned, (size, found)
            for index, array in enumerate(owned):
                assert array.flags.writeable and array.flags.aligned, size
                assert np.array_equal(array, expected[index % len(expected)]), size
                array[...] = 7  # nobody else sees it
        for index, array in enumerate(arrays(value)):
            assert np.array_equal(array, expected[index]), "what was stored is as it was"


def test_more_than_there_are_pins_for() -> None:
    d: Any = cy.Dict(k=numbers(50_000))
    q: Any = cy.Queue()
    for _ in range(200):
        q.put(numbers(50_000))
    held = [d["k"] for _ in range(100)] + [q.get() for _ in range(100)]
    shown = [d.get("k", copy=False) for _ in range(100)] + [q.get(copy=False) for _ in range(100)]
    assert all(array.flags.writeable for array in held)
    assert not any(array.flags.writeable for array in shown)
    assert sum(array.sum() for array in held + shown) == 400 * numbers(50_000).sum()


@pytest.mark.parametrize("kind", [cy.Dict, manager.dict])
@pytest.mark.parametrize("size", SIZES)
def test_take_out_change_and_store_back(kind: Any, size: int) -> None:
    d = kind(k={"w": np.zeros(size)})
    v = d["k"]
    v["w"] += 1
    d["k"] = v
    assert d["k"]["w"].sum() == size

    def add(v: Any) -> Any:
        v["w"] += 1
        return v

    d.mutate("k", add)
    assert d["k"]["w"].sum() == 2 * size


@pytest.mark.parametrize("rows", [3, 100_000])
def test_cells_of_a_frame_may_be_set(rows: int) -> None:
    frame = pd.DataFrame({"x": numbers(rows), "n": np.arange(rows), "s": ["text"] * rows})
    d = cy.Dict(f=frame)
    found = d["f"]
    found.loc[0, "x"] = 5.0
    found.loc[:, "n"] += 1
    found.loc[1, "s"] = "other"
    d["f"] = found
    assert (d["f"].loc[0, "x"], d["f"].loc[1, "n"], d["f"].loc[1, "s"]) == (5.0, 2, "other")
    assert frame.loc[0, "x"] == 0


@pytest.mark.parametrize("shape", ["array", "read-only", "inside", "frame", "linked"])
@pytest.mark.parametrize("size", SIZES)
def test_without_a_copy_it_is_read_only_whatever_its_size(shape: str, size: int) -> None:
    d, q = cy.Dict(), cy.PriorityQueue()
    value = SHAPES[shape](size)
    d["k"] = value
    q.put(value)
    expected = [each.tolist() for each in arrays(value)]
    for found in (d.get("k", copy=False), q.get(copy=False)):
        shown = list(arrays(found))
        assert [each.tolist() for each in shown] == expected
        for array in shown:
            assert not array.flags.writeable
            mine = array.copy()
            mine[...] = 7
        d["again"] = found  # and what is stored of it is anybody's own again
        assert all(array.flags.writeable for array in arrays(d["again"]))


def test_what_else_get_returns_is_the_same_without_a_copy() -> None:
    d = cy.Dict(n=1, s="x" * 100_000, b=bytearray(100_000), t=(1, [2]))
    for key in d:
        assert d.get(key, copy=False) == d[key]
        assert type(d.get(key, copy=False)) is type(d[key])
    assert d.get("z", copy=False) is None and d.get("z", 5, copy=False) == 5
    with pytest.raises(TypeError):
        d.get("n", None, False)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        d.get(key="n", copy=False)  # type: ignore[call-overload]
    q = cy.Queue()
    for key in d:
        q.put(d[key])
    assert [q.get(False, copy=False) for _ in d] == [d[key] for key in d]
    with pytest.raises(TypeError):
        q.get(True, None, False)  # type: ignore[call-arg]


def test_what_is_written_meanwhile_is_never_seen_in_part() -> None:
    """Sizes on both sides of where a block is pinned while it is copied."""
    d: Any = cy.Dict()
    stop = threading.Event()
    sizes = [100, 4000, 5000, 300_000]

    def replace() -> None:
        number = 0.0
        while not stop.is_set():
            number += 1
            for size in sizes:
                d[size] = np.full(size, number)

    for size in sizes:
        d[size] = np.zeros(size)
    child = fork(replace)
    try:
        seen = set()
        for turn in range(400):
            for size in sizes:
                array = d.get(size, copy=turn % 4 > 0)
                assert (array == array[0]).all()
                seen.add(float(array[0]))
        assert len(seen) > 3
    finally:
        kill(child)
    d.check()
