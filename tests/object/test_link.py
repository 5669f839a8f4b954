"""Courtyard objects stored in containers stay alive, and no longer than they are stored."""

import gc
import os
import threading
from collections.abc import Callable
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
from tests.object.test_sharing import count_objects, eventually
from tests.support.builtin import Unpicklable, needs, shared, unchanged
from tests.support.children import join, start

Dict: Any = shared("Dict")
List: Any = shared("List")
Set: Any = shared("Set")
Deque: Any = shared("Deque")
Counter: Any = shared("Counter")
Namespace: Any = shared("Namespace")
NestedDict: Any = shared("NestedDict")
Value: Any = cy.Value
HOLDERS: list[tuple[Any, Callable[[Any, Any], Any], Callable[[Any], Any], Callable[[Any], Any]]] = [
    # What is made, how it takes an object, how the object is looked up, how it is dropped.
    (Dict, lambda h, o: h.__setitem__("k", o), lambda h: h["k"], lambda h: h.pop("k")),
    (Dict, lambda h, o: h.__setitem__("k", [o]), lambda h: h["k"][0], lambda h: h.clear()),
    (Dict, lambda h, o: h.update(k=o), lambda h: h["k"], lambda h: h.__setitem__("k", 1)),
    (List, lambda h, o: h.append(o), lambda h: h[0], lambda h: h.pop()),
    (List, lambda h, o: h.extend([o, o]), lambda h: h[1], lambda h: h.__delitem__(slice(2))),
    (Deque, lambda h, o: h.appendleft((o,)), lambda h: h[0][0], lambda h: h.popleft()),
    (Namespace, lambda h, o: setattr(h, "k", o), lambda h: h.k, lambda h: delattr(h, "k")),
    (NestedDict, lambda h, o: h.__setitem__("k", o), lambda h: h["k"], lambda h: h.clear()),
    (
        lambda: Value(object),
        lambda h, o: h.set({"k": o}),
        lambda h: h.get()["k"],
        lambda h: h.set(0),
    ),
]


@pytest.mark.parametrize(
    ("make", "put", "get", "drop"), [holder for holder in HOLDERS if holder[0] is not None]
)
def test_a_stored_object_lives_as_long_as_it_is_stored(
    make: Any, put: Any, get: Any, drop: Any
) -> None:
    probe, holder = Value("i"), make()
    before = count_objects(probe)
    put(holder, Value("i", 7))
    gc.collect()
    assert count_objects(probe) == before + 1
    assert get(holder).increment() == 8
    assert get(holder).value == 8
    taken = get(holder)
    drop(holder)
    gc.collect()
    assert count_objects(probe) == before + 1
    assert taken.value == 8
    del taken
    assert eventually(lambda: count_objects(probe) == before)
    put(holder, Value("i", 7))
    del holder
    gc.collect()
    assert eventually(lambda: count_objects(probe) == before - 1)
    cy.check(probe)


@needs("List", "Set", "Deque", "Counter")
def test_objects_of_all_sorts() -> None:
    made = {
        "value": Value("i", 1),
        "array": cy.Array("i", 3),
        "lock": cy.Lock(),
        "event": cy.Event(),
        "queue": cy.Queue(),
        "dict": Dict(a=1),
        "list": List([1]),
        "set": Set([1]),
        "deque": Deque([1]),
        "counter": Counter("a"),
    }
    d = Dict(made)
    del made
    gc.collect()
    d["value"].increment()
    d["array"][0] = 5
    d["event"].set()
    d["queue"].put("item")
    d["dict"]["a"] = 2
    d["list"].append(2)
    d["set"].add(2)
    d["deque"].append(2)
    d["counter"].update("a")
    assert d["lock"].acquire(timeout=1)
    d["lock"].release()
    found = (d["value"].value, d["array"][0], d["event"].is_set(), d["queue"].get())
    assert found == (2, 5, True, "item")
    assert (d["dict"], d["list"], d["set"]) == ({"a": 2}, [1, 2], {1, 2})
    assert (list(d["deque"]), d["counter"]["a"]) == ([1, 2], 2)


@needs("List")
def test_cycles() -> None:
    d, other = Dict(), List()
    d["self"] = d
    d["other"] = other
    other.append({"d": d})
    d["self"]["self"]["n"] = 1
    assert other[0]["d"]["other"][0]["d"]["n"] == 1
    assert repr(d)
    d.clear()
    other.clear()
    d.check()


def test_an_object_in_itself() -> None:
    d, value, names = Dict(n=1), Value(object), Namespace()
    d["self"] = d
    value.set([value, d])
    names.me = names
    assert repr(d) == "<courtyard.Dict: {'n': 1, 'self': ...}>"
    assert (
        repr(value) == "<courtyard.Value(object): [..., <courtyard.Dict: {'n': 1, 'self': ...}>]>"
    )
    assert repr(names) == "Namespace(me=...)"
    assert d == d["self"]["self"]
    before = count_objects(value)
    d.clear()
    value.set(None)
    del names.me, d, names
    gc.collect()
    assert eventually(lambda: count_objects(value) == before - 2)


@pytest.mark.usefixtures("own_home")
def test_what_cannot_keep_objects_says_so() -> None:
    d, lock = Dict(), cy.Lock()
    with unchanged(d, TypeError):
        d[lock] = 1
    closed = Value("i")
    closed.close()
    with unchanged(d, cy.Closed):
        d["k"] = [lock, closed]
    with unchanged(d, ZeroDivisionError):
        d["k"] = [lock, Unpicklable()]


class Thing:
    """A user's own object with a courtyard object in it."""

    def __init__(self, lock: Any) -> None:
        self.lock = lock


class Indirect(Thing):
    def __reduce__(self) -> Any:
        """Store something else while it is stored."""
        other = Dict(lock=self.lock)
        cy.Queue().put([self.lock, other])
        return Indirect, (other["lock"],)


@pytest.mark.parametrize("make", [Thing, Indirect])
def test_objects_in_pickles(make: Any) -> None:
    d, lock = Dict(), cy.Lock()
    d["k"] = made = make(lock)
    assert type(d["k"]) is type(made)
    with lock:
        assert not d["k"].lock.acquire(blocking=False)
    before = count_objects(lock)
    del d["k"]
    assert count_objects(lock) == before


def test_readers_beside_writers_who_replace_objects() -> None:
    """What was read and is gone by the time that it is opened is read again."""
    d, done = Dict(v=Value("i", 1)), Value("i")

    def replace() -> None:
        while not done.value:
            d["v"] = [Value("i", 1), Value("i", 1)][0]

    writers = [threading.Thread(target=replace) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(1000):
            assert d["v"].value == 1
            assert [value.value for value in d.values()] == [1]
            found = d.get_many(["v"])
            assert found["v"].value == 1
    finally:
        done.value = 1
        for writer in writers:
            writer.join()
    d.check()


def receive(holder: Any, done: Any) -> None:
    holder["from child"] = [Value("i", os.getpid()), {"deep": List([1])}]
    holder["theirs"].increment(5)
    done.value = 1


@needs("List")
def test_among_processes(ctx: BaseContext) -> None:
    """What a child stored lives on when the child is gone."""
    holder, done = Dict(theirs=Value("i", 1)), Value("i")
    child = start(ctx, receive, holder, done)
    pid = child.pid
    join(child)
    assert holder["theirs"].value == 6
    value, more = holder["from child"]
    assert value.value == pid
    more["deep"].append(2)
    assert holder["from child"][1]["deep"] == [1, 2]
    cy.check(done)
