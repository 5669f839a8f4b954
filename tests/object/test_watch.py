"""``watch()``: following the changes of an object."""

import collections
import pickle
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import courtyard as cy

DELETED = cy.DELETED


def drained(watch: Any) -> list[Any]:
    """Return what there is to get now."""
    found = []
    while True:
        try:
            found.append(watch.get(0))
        except queue.Empty:
            return found


def follow(state: dict[Any, Any], changes: Any) -> dict[Any, Any]:
    """Make the changes in a plain dict; each must be one."""
    for key, value in changes:
        if value is DELETED:
            del state[key]
        else:
            assert key not in state or state[key] != value, key
            state[key] = value
    return state


# -- what each type gives


def test_a_dict() -> None:
    d: cy.Dict = cy.Dict(a=1, b=2)
    watch = d.watch()
    assert watch.state == {"a": 1, "b": 2} and type(watch.state) is dict
    assert drained(watch) == []
    d["c"] = [3]
    d["a"] = 10
    del d["b"]
    d.update(x=1)
    assert drained(watch) == [("c", [3]), ("a", 10), ("b", DELETED), ("x", 1)]
    change = cy.Change("a", 1)
    assert (change.key, change.value) == change and repr(change) == "Change(key='a', value=1)"
    d["a"] = 10  # as it was
    d["y"] = 1
    del d["y"]
    assert drained(watch) == []
    d["a"] = 11
    d["a"] = 12
    assert drained(watch) == [("a", 12)]
    d.clear()
    assert drained(watch) == [("a", DELETED), ("c", DELETED), ("x", DELETED)]
    assert watch.state == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: d.pop("a"), [("a", DELETED)]),
        (lambda d: d.popitem(), [("b", DELETED)]),
        (lambda d: d.popitem(last=False), [("a", DELETED)]),
        (lambda d: d.setdefault("z", 9), [("z", 9)]),
        (lambda d: d.setdefault("a", 9), []),
        (lambda d: d.increment("a", 4), [("a", 5)]),
        (lambda d: d.increment("z"), [("z", 1)]),
        (lambda d: d.compare_exchange("a", 1, "x"), [("a", "x")]),
        (lambda d: d.compare_exchange("a", 7, "x"), []),
        (lambda d: d.mutate("a", lambda n: [n]), [("a", [1])]),
        (lambda d: d.set_many({"a": 3, "z": 4, "b": 2}), [("a", 3), ("z", 4)]),
        (lambda d: d.__ior__({"y": b"", "a": "x" * 5000}), [("a", "x" * 5000), ("y", b"")]),
        (lambda d: d.move_to_end("a"), []),
        (lambda d: d.update({i: i for i in range(500)}), [(i, i) for i in range(500)]),
    ],
)
def test_each_way_to_change_a_dict(change: Callable[[Any], Any], expected: list[Any]) -> None:
    d = cy.Dict(a=1, b=2)
    watch, some = d.watch(), d.watch(["a", "z"])
    change(d)
    assert drained(watch) == expected
    assert drained(some) == [change for change in expected if change[0] in ("a", "z")]


def test_keys_come_and_go() -> None:
    """An index of a table that has only places of removed entries left."""
    for size in (0, 1, 5, 50):
        d = cy.Dict(dict.fromkeys(range(size), 0))
        watch = d.watch()
        for key in range(size, size + 600):
            d[key] = 1
            assert drained(watch) == [(key, 1)]
            del d[key]
            assert drained(watch) == [(key, DELETED)]
        assert [d.watch([key]).state for key in range(-50, 0)] == [{}] * 50


def test_a_flag_comes_after_its_data() -> None:
    """Whatever is stored at once after it, in the same part of the table."""
    for number in range(60):
        data, flag = f"data{number}", f"flag{number}"
        d = cy.Dict({flag: 0, data: 0})
        watch = d.watch()
        d[data] = 1
        d[flag] = 1
        d.update({f"x{other}": 1 for other in range(8)})
        assert [change.key for change in drained(watch)][:2] == [data, flag]


def test_other_threads_run_while_much_is_compared() -> None:
    d: cy.Dict = cy.Dict(dict.fromkeys(range(200_000), 0))
    watch, going, turns = d.watch(), threading.Event(), [0]

    def turn() -> None:
        while not going.is_set():
            turns[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=turn)
    thread.start()
    d.update(dict.fromkeys(range(0, 200_000, 999), 1))
    before = turns[0]
    assert watch.get(0) == (0, 1)
    while_it_looked = turns[0] - before
    going.set()
    thread.join()
    assert while_it_looked > 0 and len(drained(watch)) == 200


def test_edits_and_the_lock() -> None:
    d: cy.Dict = cy.Dict(a=[1])
    watch = d.watch()
    with d.edit("a") as value:
        value.append(2)
    assert drained(watch) == [("a", [1, 2])]
    with d.get_lock():
        d["b"] = 1
        d["a"] = 2
    assert drained(watch) == [("b", 1), ("a", 2)]


def test_a_set() -> None:
    s: cy.Set = cy.Set("ab")
    watch, some = s.watch(), s.watch(["b", "c"])
    assert watch.state == {"a", "b"} and some.state == {"b"}
    s.add("c")
    s.add("a")
    s.discard("a")
    s.remove("b")
    expected = [("c", True), ("a", DELETED), ("b", DELETED)]
    assert drained(watch) == expected and drained(some) == [expected[0], expected[2]]
    s |= {None, 1.5}
    assert sorted(drained(watch), key=repr) == [(1.5, True), (None, True)]
    s.clear()
    assert len(drained(watch)) == 3


def test_a_counter() -> None:
    c = cy.Counter("aab")
    watch = c.watch()
    assert watch.state == collections.Counter("aab")
    assert type(watch.state) is collections.Counter
    c.increment("a")
    c.update("bz")
    c.subtract("z")
    assert drained(watch) == [("a", 3), ("b", 2), ("z", 0)]


def test_a_namespace() -> None:
    ns = cy.Namespace(x=1)
    watch = cy.watch(ns)
    some = cy.watch(ns, ["watch"])
    assert watch.state == {"x": 1} and some.state == {}
    ns._watch = 5  # this handle's own
    assert cy.watch(ns).state == {"x": 1}
    ns.watch = 2  # type: ignore[assignment, method-assign] # an attribute as any other
    del ns.x
    assert drained(watch) == [("watch", 2), ("x", DELETED)] and drained(some) == [("watch", 2)]


def test_a_nested_dict_itself() -> None:
    d: Any = cy.NestedDict(a={"x": 1})
    watch = d.watch()
    assert watch.state["a"]["x"] == 1
    d["a"]["x"] = 2  # the dict in it
    assert drained(watch) == []
    d["b"] = {"y": [1]}
    [(key, value)] = drained(watch)
    assert key == "b" and isinstance(value, cy.NestedDict) and value["y"][0] == 1
    value["y"].append(2)
    assert d["b"]["y"].copy() == [1, 2]


def test_a_list() -> None:
    x: cy.List = cy.List([1])
    watch = x.watch()
    assert watch.state == [1]
    x.append(2)
    assert drained(watch) == [[1, 2]]
    x[:] = "abc"
    x.pop()
    assert drained(watch) == [["a", "b"]]


@pytest.mark.parametrize("declared", ["i", "d", int, object, bytes])
def test_a_value(declared: Any) -> None:
    v = cy.Value(declared)
    watch, first = v.watch(), v.value
    assert watch.state == first
    new = b"x" if declared is bytes else 5
    v.value = new
    assert drained(watch) == [new]
    assert drained(cy.watch(cy.RawValue("i", 3))) == []


def test_what_cannot_be_watched() -> None:
    for obj in (cy.Lock(), cy.Queue(), cy.Array("i", 3), cy.Deque()):
        with pytest.raises(TypeError, match=r"has no watch\(\)"):
            cy.watch(obj)
    with pytest.raises(TypeError, match="expected a courtyard object"):
        cy.watch({})
    d = cy.Dict()
    with pytest.raises(TypeError, match="unhashable"):
        d.watch([[]])
    with pytest.raises(TypeError, match=r"found 'a'; give \['a'\]"):
        d.watch("a")
    with pytest.raises(TypeError, match=r"a courtyard\.Value has no keys"):
        cy.watch(cy.Value("i"), ["a"])
    with pytest.raises(TypeError, match=r"is made by an object: obj.watch\(\)"):
        cy.Watch(d)
    assert type(d.watch()).__name__ == "Watch"
    with pytest.raises(TypeError, match="cannot be pickled; send the object"):
        pickle.dumps(d.watch())
    assert d.watch([]).state == {}
    assert pickle.loads(pickle.dumps((DELETED, cy.Change(1, 2)))) == (DELETED, (1, 2))
    assert repr(d.watch()) == "<courtyard.Watch of <courtyard.Dict: {}>>"


# -- beside a model of it

KEYS = st.integers(0, 40) | st.sampled_from(["a", "b", None, (1, "x"), 1.5])
VALUES = st.integers(0, 3) | st.text(max_size=3) | st.just("long" * 500) | st.just(b"x" * 40_000)
STEPS = st.lists(
    st.tuples(st.just("set"), KEYS, VALUES)
    | st.tuples(st.just("pop"), KEYS, st.none())
    | st.tuples(st.just("update"), st.dictionaries(KEYS, VALUES), st.none())
    | st.tuples(st.sampled_from(["clear", "popitem", "look"]), st.none(), st.none())
    | st.tuples(st.just("move"), KEYS, st.none()),
    max_size=40,
)


@given(steps=STEPS, wanted=st.lists(KEYS))
def test_a_watcher_knows_what_there_is(steps: Any, wanted: Any) -> None:
    d = cy.Dict()
    watchers = [(d.watch(), None), (d.watch(wanted), wanted)]
    known: list[dict[Any, Any]] = [{}, {}]
    for name, first, second in [*steps, ("look", None, None)]:
        if name == "set":
            d[first] = second
        elif name == "pop":
            d.pop(first, None)
        elif name == "update":
            d.update(first)
        elif name == "clear":
            d.clear()
        elif name == "popitem" and d:
            d.popitem()
        elif name == "move" and first in d:
            d.move_to_end(first)
        elif name == "look":
            for (watch, keys), state in zip(watchers, known, strict=True):
                follow(state, drained(watch))
                expected = d.copy()
                if keys is not None:
                    expected = {key: expected[key] for key in expected if key in keys}
                assert state == expected
    d.close()


# -- waiting


def test_how_long_get_waits() -> None:
    watch = cy.Dict(a=1).watch()
    for timeout in (0, -1, 0.05):
        began = time.monotonic()
        with pytest.raises(queue.Empty):
            watch.get(timeout)
        assert timeout <= time.monotonic() - began < 20
    with pytest.raises(ValueError, match="NaN"):
        watch.get(float("nan"))
    with pytest.raises(TypeError, match="expected seconds"):
        watch.get("1")  # type: ignore[arg-type]


def later(call: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(0.1, call)
    timer.start()
    return timer


def test_a_change_wakes_it() -> None:
    d, v = cy.Dict(a=1), cy.Value("i")
    watch, some, values = d.watch(), d.watch(["b"]), v.watch()
    timers = [later(lambda: d.update(a=2)), later(lambda: setattr(v, "value", 3))]
    assert watch.get(timeout=30) == ("a", 2) and values.get() == 3
    with pytest.raises(queue.Empty):
        some.get(0.2)
    timers += [later(lambda: d.update(b=2))]
    assert some.get() == ("b", 2)
    for timer in timers:
        timer.join()


def test_iteration_ends_with_the_watch() -> None:
    for obj in (cy.Dict(), cy.Value("i"), cy.List()):
        watch: Any = obj.watch()
        timer = later(watch.close)
        assert list(watch) == []
        timer.join()
        with pytest.raises(cy.Closed, match="this watch is closed"):
            watch.get()
        watch.close()
        with obj.watch() as watch:
            pass
        assert list(watch) == []


def test_iteration_ends_with_the_handle() -> None:
    d = cy.Dict(a=1)
    watch = d.watch()
    d["a"] = 2
    d.close()
    assert list(watch) == []
    with pytest.raises(cy.Closed, match="this handle is closed"):
        watch.get(0)
    watch.close()


def test_threads_share_a_watch() -> None:
    d = cy.Dict()
    watch, got = d.watch(), []

    def work() -> None:
        for key, _ in watch:
            got.append(key)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(300):
        d[number] = 0
    end = time.monotonic() + 60
    while len(got) < 300 and time.monotonic() < end:
        time.sleep(0.001)
    watch.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert sorted(got) == list(range(300))


def test_wait_for_one_of_several() -> None:
    d, v, q = cy.Dict(), cy.Value("i"), cy.Queue()
    watch, values = d.watch(["a"]), v.watch()
    assert cy.wait([watch, values, q], 0.01) == []
    d["b"] = 1
    assert cy.wait([watch, values, q], 0.01) == []
    timer = later(lambda: d.update(a=1))
    assert cy.wait([q, watch, values]) == [watch]
    timer.join()
    v.value = 1
    assert cy.wait([values, q, watch]) == [values, watch]
    assert watch.get(0) == ("a", 1) and values.get(0) == 1
    assert cy.wait([watch, values, q], 0) == []


# -- what cannot be loaded, or is gone


class Picky:
    """Loads only where it is told to."""

    may_load = True

    def __reduce__(self) -> Any:
        return picky, ()


def picky() -> Picky:
    if not Picky.may_load:
        raise RuntimeError("not here")
    return Picky()


def test_what_cannot_be_loaded_is_passed_over_once(monkeypatch: pytest.MonkeyPatch) -> None:
    d: cy.Dict = cy.Dict(first=1)
    watch = d.watch()
    d["a"] = 1
    d["bad"] = Picky()
    d["b"] = 2
    monkeypatch.setattr(Picky, "may_load", False)
    assert watch.get(0) == ("a", 1)
    with pytest.raises(cy.LoadError, match="bad"):
        watch.get(0)
    assert drained(watch) == [("b", 2)]
    with pytest.raises(cy.LoadError):
        d.watch()


def test_an_object_that_is_gone_by_then() -> None:
    d: Any = cy.NestedDict()
    watch = d.watch()
    d["a"] = {"x": 1}
    d["b"] = 1
    assert watch._look()  # found, and not yet taken
    d["a"] = 5
    assert drained(watch) == [("b", 1), ("a", 5)]


def test_no_room_to_note_what_changes() -> None:
    space = cy.Space(size_limit=2**20)
    d = space.named("d", cy.Dict)
    filled = space.named("filled", cy.Dict)
    with pytest.raises(cy.SpaceFull):
        for number in range(10_000):
            filled[number] = "x" * 500
    d_is_empty = len(d) == 0
    watch = d.watch()
    filled.clear()
    for number in range(30):
        d[number] = number
    del d[3]
    assert d_is_empty and follow({}, drained(watch)) == d.copy()
    space.close()
