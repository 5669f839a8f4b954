"""copy.copy and copy.deepcopy: data of their own, whatever the type; and plain data of a tree."""

import collections
import copy
import ctypes
import json
import threading
from multiprocessing.context import BaseContext
from types import SimpleNamespace
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import join, start

np = pytest.importorskip("numpy")

CONTAINERS: list[tuple[Any, Any]] = [
    (cy.Dict(a=[1]), {"a": [1]}),
    (cy.NestedDict(a=5), {"a": 5}),
    (cy.Counter(aa=2), collections.Counter(aa=2)),
    (cy.Set([(1, "a")]), {(1, "a")}),
    (cy.List([[1], 2]), [[1], 2]),
    (cy.Deque([[1], 2], maxlen=5), collections.deque([[1], 2], maxlen=5)),
    (cy.Namespace(a=[1]), SimpleNamespace(a=[1])),
]


def title(case: Any) -> str:
    return type(case).__name__


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
@pytest.mark.parametrize(("shared", "plain"), CONTAINERS, ids=title)
def test_a_copy_of_a_container_is_the_builtin(shared: Any, plain: Any, copied: Any) -> None:
    found = copied(shared)
    assert type(found) is type(plain)
    assert found == plain
    if isinstance(plain, collections.deque):
        assert found.maxlen == plain.maxlen


def test_what_is_in_a_container_is_copied_too() -> None:
    inner, lock = cy.List([1]), cy.Lock()
    outer: cy.Dict[str, Any] = cy.Dict(inner=inner, pair=(inner, lock), plain=[inner])
    found = copy.deepcopy(outer)
    assert found["inner"] == [1] and type(found["inner"]) is list
    assert found["inner"] is found["pair"][0] is found["plain"][0]
    assert isinstance(found["pair"][1], cy.Lock)
    with lock:
        assert found["pair"][1].locked(), "locks stay handles"
    found["inner"].append(2)
    assert inner == [1]


def test_what_contains_itself_is_copied() -> None:
    tree: Any = cy.NestedDict(children=[{"name": "a"}])
    tree["children"].append(tree)
    tree["me"] = tree
    for found in (tree.to_plain(), copy.deepcopy(tree)):
        assert type(found) is dict and found["me"] is found is found["children"][1]
        assert found["children"][0] == {"name": "a"}
    del tree["me"], tree["children"][1]
    row = cy.List()
    row.append(row)
    again = copy.deepcopy(row)
    assert again[0] is again and type(again) is list
    row.clear()


class Point:
    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.x == self.x

    __hash__ = None  # type: ignore[assignment]


class Pair(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("get", ctypes.c_int))


class Mine(cy.Value):
    __slots__ = ()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
@pytest.mark.parametrize(
    ("value", "other"),
    [
        (cy.Value("i", 5), 6),
        (cy.RawValue("d", 0.5), 6.0),
        (cy.Value("i", 5, lock=cy.RLock()), 6),
        (cy.Value(Point, 5), Point(6)),
        (cy.Value(object, [cy.List([1])]), None),
        (cy.Value(ctypes.c_char * 4, b"ab"), b"cd"),
        (Mine("i", 1), 3),
    ],
)
def test_a_copy_of_a_value_is_another_value(value: Any, other: Any, copied: Any) -> None:
    before = value.value
    found = copied(value)
    assert type(found).__mro__[-4:] == type(value).__mro__[-4:]
    assert isinstance(found, cy.Value if isinstance(value, cy.Value) else cy.RawValue)
    assert found.value == before
    found.value = other
    assert (found.value, value.value) == (other, before)


def test_a_copy_of_a_structure_and_its_fields() -> None:
    value: Any = cy.Value(Pair, 1, 2)
    found = copy.deepcopy(value)
    found.x = 7
    assert (found.x, found.get, value.x) == (7, 2, 1)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copy_of_an_array_is_another_array(copied: Any) -> None:
    for array in (
        cy.Array("i", [1, 2]),
        cy.RawArray("d", 3),
        cy.Array("c", b"abc"),
        cy.Array("f4", shape=(2, 3)),
        cy.Array("i", [1, 2], lock=cy.RLock()),
        cy.Array("i4,f8", 2),
    ):
        found = copied(array)
        assert isinstance(found, cy.Array if isinstance(array, cy.Array) else cy.RawArray)
        assert (found.shape, found.tobytes()) == (array.shape, array.tobytes())
        before = array.tobytes()
        np.asarray(found).view("u1")[:] = 255
        assert array.tobytes() == before != found.tobytes()


@pytest.mark.parametrize("number", [int, float, complex])
def test_a_value_is_no_number_of_its_bytes(number: Any) -> None:
    for obj in (
        cy.Value("i", 0x31313131),
        cy.RawValue("d", 1.5),
        cy.Array("c", b"12"),
        cy.RawArray("i", [0x31313131]),
    ):
        with pytest.raises(TypeError, match="argument must be a string or a real number"):
            number(obj)


def test_plain_data_of_a_tree() -> None:
    tree: Any = cy.NestedDict(a={"b": [1, {"c": 2}]}, tags=cy.Set("x"), when=(1, 2))
    found = tree.to_plain()
    assert found == {"a": {"b": [1, {"c": 2}]}, "tags": {"x"}, "when": (1, 2)}
    assert type(found["a"]["b"][1]) is dict
    del found["tags"]
    assert json.loads(json.dumps(found)) == {"a": {"b": [1, {"c": 2}]}, "when": [1, 2]}
    assert cy.NestedDict().to_plain() == {}


def move(tree: Any, stop: Any) -> None:
    """Keep one coin in one of two places, so that no moment has none, and one of them has two."""
    there = 0
    while not stop.is_set():
        tree["places"][1 - there]["coins"] += 1
        tree["places"][there]["coins"] -= 1
        there = 1 - there


def test_plain_data_is_of_one_moment(ctx: BaseContext) -> None:
    tree: Any = cy.NestedDict(places=[{"coins": 1}, {"coins": 0}])
    stop = cy.Event()
    mover = start(ctx, move, tree, stop)
    try:
        tree["places"][0].wait_for(lambda place: place["coins"] == 0, 20)
        seen = {sum(place["coins"] for place in tree.to_plain()["places"]) for _ in range(300)}
    finally:
        stop.set()
        join(mover)
    assert seen <= {1, 2}, "read at two moments, the coin may be nowhere"


def test_two_who_read_a_tree_with_its_locks_never_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("courtyard._container.copy._MAX_ATTEMPTS", 1)
    tree: Any = cy.NestedDict(a={"n": 0}, b=[{"n": 0}])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            tree["a"]["n"] += 1
            tree["b"][0]["n"] += 1

    def read() -> None:
        for _ in range(50):
            found = tree.to_plain()
            assert found["a"]["n"] - found["b"][0]["n"] in (0, 1)

    threads = [threading.Thread(target=target) for target in (write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads[1:]:
        thread.join(40)
    stop.set()
    threads[0].join(10)
    assert not any(thread.is_alive() for thread in threads)


def test_a_copy_is_in_the_space_of_what_was_copied() -> None:
    space = cy.Space()
    value = space.Value(object, [space.list([1])])
    for copied in (copy.copy, copy.deepcopy):
        assert copied(value).space == copied(space.Array("i", 3)).space == space
    assert copy.copy(value).value[0] == [1]
    assert copy.deepcopy(value).value == [[1]]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
@pytest.mark.parametrize(
    "make",
    [cy.Lock, cy.RLock, cy.Semaphore, cy.BoundedSemaphore, cy.Condition],
)
def test_a_copy_of_a_lock_is_another_handle_on_it(make: Any, copied: Any) -> None:
    lock = make()
    found = copied(lock)
    assert type(found) is type(lock) and found is not lock
    with lock:
        assert found.locked()
    lock.close()
    with found:
        assert found.locked(), "a handle of its own"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copy_of_a_queue_an_event_or_a_barrier_is_another_handle_on_it(copied: Any) -> None:
    for q in (cy.Queue(), cy.LifoQueue(), cy.PriorityQueue(), cy.SimpleQueue()):
        copied(q).put(1)
        assert q.get() == 1
    event, barrier = cy.Event(), cy.Barrier(2)
    copied(event).set()
    assert event.is_set()
    copied(barrier).abort()
    assert barrier.broken
