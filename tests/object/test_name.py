"""Objects found by name: one for all programs, of the type that it was made of."""

import ctypes
import gc
import os
import pickle
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork, join, kill, run_command, run_script, start

np = pytest.importorskip("numpy")


@pytest.fixture
def space() -> Iterator[cy.Space]:
    """Give a named space of this test's own."""
    space = cy.Space(f"test {os.getpid()} {time.monotonic_ns()}")
    yield space
    gc.collect()
    space.check()
    space.destroy(force=True)


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double))


class Point3(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double), ("z", ctypes.c_double))


# Each type, its arguments, and something that was done to it and shows.
KINDS: list[tuple[Any, tuple[Any, ...], Any, Any]] = [
    (cy.Value, ("i", 5), lambda v: v.increment(), lambda v: v.value == 6),
    (cy.Value, (ctypes.c_double, 0.5), lambda v: v.set(2.5), lambda v: v.value == 2.5),
    (cy.Value, (int, 5), lambda v: v.set(1 << 40), lambda v: v.value == 1 << 40),
    (cy.Value, (object, ()), lambda v: v.set([1, "two"]), lambda v: v.value == [1, "two"]),
    (cy.Value, (dict,), lambda v: v.set({"a": 1}), lambda v: v.value == {"a": 1}),
    (cy.Value, (ctypes.c_char * 8, b"abc"), lambda v: v.set(b"xyz"), lambda v: v.value == b"xyz"),
    (cy.Value, (Point, 1, 2.0), lambda v: setattr(v, "x", 7), lambda v: (v.x, v.y) == (7, 2.0)),
    (cy.RawValue, ("q", 5), lambda v: v.increment(), lambda v: v.value == 6),
    (cy.Array, ("i", [1, 2, 3]), lambda a: a.__setitem__(0, 9), lambda a: a[:] == [9, 2, 3]),
    (cy.Array, ("c", b"abc"), lambda a: setattr(a, "value", b"xy"), lambda a: a.value == b"xy"),
    (cy.Array, ("i4,f8", 3), lambda a: a.__setitem__(0, (1, 2.0)), lambda a: a[0][1] == 2.0),
    (cy.Array, (Point, 2), lambda a: setattr(a[1], "x", 3), lambda a: a[1].x == 3),
    (cy.RawArray, ("d", 4), lambda a: a.__setitem__(3, 0.5), lambda a: a[3] == 0.5),
    (cy.Dict, ({"a": 1},), lambda d: d.increment("a"), lambda d: dict(d) == {"a": 2}),
    (cy.Set, ("ab",), lambda s: s.add("c"), lambda s: set(s) == {"a", "b", "c"}),
    (cy.Counter, ("aab",), lambda c: c.update("b"), lambda c: c["b"] == 2),
    (cy.Namespace, (), lambda n: setattr(n, "x", 1), lambda n: n.x == 1),
    (cy.List, ("ab",), lambda x: x.append("c"), lambda x: x[:] == ["a", "b", "c"]),
    (cy.Deque, ("abc", 2), lambda d: d.appendleft("z"), lambda d: list(d) == ["z", "b"]),
    (cy.Queue, (3,), lambda q: q.put(1), lambda q: (q.get(), q.maxsize) == (1, 3)),
    (cy.JoinableQueue, (3,), lambda q: q.put(1), lambda q: q.get() == 1),
    (cy.LifoQueue, (), lambda q: q.put_many([1, 2]), lambda q: q.get() == 2),
    (cy.PriorityQueue, (), lambda q: q.put_many([2, 1]), lambda q: q.get() == 1),
    (cy.SimpleQueue, (), lambda q: q.put(1), lambda q: q.get() == 1),
    (cy.Lock, (), lambda lock: lock.acquire(), lambda lock: lock.locked()),
    (cy.RLock, (), lambda lock: lock.acquire(), lambda lock: lock.locked()),
    (cy.Semaphore, (3,), lambda s: s.acquire(), lambda s: s.get_value() == 2),
    (cy.BoundedSemaphore, (3,), lambda s: s.acquire(), lambda s: s.get_value() == 2),
    (cy.Condition, (), lambda c: c.acquire(), lambda c: c._lock.locked()),
    (cy.Event, (), lambda e: e.set(), lambda e: e.is_set()),
    (cy.Barrier, (2,), lambda b: b.abort(), lambda b: b.broken),
]


def titles(case: Any) -> str:
    return getattr(case, "__name__", "")


@pytest.mark.parametrize(("type_", "arguments", "change", "shows"), KINDS, ids=titles)
def test_every_type(
    space: cy.Space, type_: Any, arguments: tuple[Any, ...], change: Any, shows: Any
) -> None:
    made = type_.named("x", *arguments, space=space)
    assert (cy.name(made), cy.space(made)) == ("x", space)
    assert isinstance(made, type_)
    change(made)
    again, found = space.named("x", type_, *arguments), space["x"]
    assert isinstance(again, type_) and isinstance(found, type_)
    for handle in (again, found, pickle.loads(pickle.dumps(found))):
        assert cy.name(handle) == "x"
    if type_ is not cy.Namespace:
        assert "'x'" in repr(found)
    assert shows(found)
    other = cy.Event if type_ is cy.Lock else cy.Lock
    with pytest.raises(
        cy.WrongType, match=rf"'x' is an? {type_.__name__}.* not an? {other.__name__}"
    ):
        other.named("x", space=space)
    assert space.statistics().objects == (2 if type_ is cy.Condition else 1)


def test_it_outlives_its_program(space: cy.Space) -> None:
    script = f"""
import courtyard as cy, os
d = cy.Dict.named("d", a=1, space=cy.Space({space.name!r}))
d["pid"] = os.getpid()
d["long"] = "x" * 100_000
"""
    run_script(script)
    found = space["d"]
    assert found["a"] == 1 and found["pid"] != os.getpid() and len(found["long"]) == 100_000
    assert cy.Dict.named("d", {"a": 7}, space=space)["a"] == 1, "initial values are the creator's"
    before = space.statistics()
    assert (before.objects, before.names, before.tickets) == (1, 1, 0)


def test_the_default_space() -> None:
    try:
        cy.Value.named("counter", "i", 1).increment()
        run_script('import courtyard as cy; cy.Value.named("counter", "i").increment()')
        assert cy.Space("default")["counter"].value == 3
    finally:
        cy.Space("default").destroy(force=True)
    assert cy.Value.named("counter", "i").value == 0, "another space by the same name"
    cy.Space("default").destroy(force=True)


@pytest.mark.parametrize(
    ("type_", "first", "second", "says"),
    [
        (cy.Value, ("i",), ("d",), r"a Value\(i\) .* not a Value\(d\)"),
        (cy.Value, (object,), (int,), r"Value\(object\) .* Value\(int\)"),
        (cy.Value, (dict,), (list,), r"Value\(dict\) .* Value\(list\)"),
        (cy.Value, (Point,), (Point3,), r"Value\(Point of 16 .* Value\(Point3 of 24"),
        (cy.Value, (ctypes.c_char * 8,), (ctypes.c_char * 9,), r"c_char \* 8\) .*\(c_char \* 9\)"),
        (cy.Array, ("i", 3), ("d", 3), r"an Array\(i, 3\) .* not an Array\(d, 3\)"),
        (cy.Array, ("i", 3), ("i", 4), r"Array\(i, 3\) .* Array\(i, 4\)"),
        (cy.Array, ("f4", 6), ("f8", 6), r"Array\(<f4, 6\) .* Array\(<f8, 6\)"),
        (cy.Deque, ("ab", 3), ("ab", 4), r"a Deque\(3\) .* not a Deque\(4\)"),
        (cy.Deque, ("ab",), ("ab", 4), r"a Deque in .* not a Deque\(4\)"),
        (cy.Queue, (3,), (4,), r"a Queue\(3\) .* not a Queue\(4\)"),
        (cy.BoundedSemaphore, (3,), (4,), r"BoundedSemaphore\(3\) .* BoundedSemaphore\(4\)"),
        (cy.Barrier, (2,), (3,), r"Barrier\(2\) .* Barrier\(3\)"),
    ],
)
def test_another_declaration_says_both(
    space: cy.Space, type_: Any, first: Any, second: Any, says: str
) -> None:
    made = type_.named("x", *first, space=space)
    with pytest.raises(cy.WrongType, match=says):
        type_.named("x", *second, space=space)
    assert type_.named("x", *first, space=space) is not made
    space.check()
    assert (space.statistics().tickets, space.statistics().objects) == (0, 1)


def test_the_same_declared_in_another_way(space: cy.Space) -> None:
    cy.Value.named("v", "i", space=space)
    assert cy.Value.named("v", ctypes.c_int, space=space).increment() == 1
    cy.Array.named("a", "d", 6, space=space)
    assert cy.Array.named("a", np.float64, 6, space=space).dtype == np.float64
    assert cy.Array.named("a", "d", space=space).shape == (6,), "a size left open"
    cy.Array.named("m", "d", shape=(2, 3), space=space)
    with pytest.raises(cy.WrongType, match=r"\(2, 3\).* 6\)"):
        cy.Array.named("m", "d", 6, space=space)
    cy.Queue.named("q", maxsize=5, space=space)
    assert cy.Queue.named("q", space=space).maxsize == 5, "a size left open"
    assert isinstance(cy.Value.named("r", "i", lock=False, space=space), cy.RawValue)
    with pytest.raises(cy.WrongType, match="RawValue"):
        cy.Value.named("r", "i", space=space)
    with pytest.raises(TypeError, match="lock of its own"):
        cy.Value.named("l", "i", lock=cy.RLock(), space=space)


def test_a_structure_of_another_main_module(space: cy.Space) -> None:
    script = f"""
import ctypes, courtyard as cy
class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double))
cy.Value.named("p", Point, 3, 4.0, space=cy.Space({space.name!r}))
"""
    run_script(script)
    assert cy.Value.named("p", Point, space=space).y == 4.0
    with pytest.raises(cy.LoadError, match=r"Value \"p\": __main__\.Point cannot be found"):
        space["p"]


class Jobs(cy.Queue[int]):
    """A program's own class."""

    __slots__ = ()


def test_a_subclass_is_its_base_to_others(space: cy.Space) -> None:
    jobs = Jobs.named("jobs", 5, space=space)
    jobs.put(1)
    assert type(jobs) is Jobs
    assert type(space["jobs"]) is cy.Queue
    assert cy.Queue.named("jobs", 5, space=space).get() == 1


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", "empty"),
        ("x" * 256, "256 characters"),
        ("a\0b", "NUL"),
        ("a\ud800", "surrogate"),
        (b"bytes", "a name is a str"),
        (None, "a name is a str"),
    ],
)
def test_what_cannot_be_a_name(space: cy.Space, name: Any, error: str) -> None:
    expected = ValueError if isinstance(name, str) else TypeError
    for attempt in (lambda: cy.Dict.named(name, space=space), lambda: space[name]):
        with pytest.raises(expected, match=error):
            attempt()
    with pytest.raises(expected, match=error):
        del space[name]
    assert name not in space
    assert len(space) == 0


@pytest.mark.parametrize("name", ["a/b", "..", "/", " ", "*", "x" * 255, "字" * 255, "🐍" * 255])
def test_what_can_be_a_name(space: cy.Space, name: str) -> None:
    cy.Value.named(name, "i", 7, space=space)
    assert space[name].value == 7
    assert space.names() == [name] and name in space
    del space[name]
    assert name not in space


def test_names_as_a_mapping(space: cy.Space) -> None:
    for name in ("b", "a-2", "a-1", "ä"):
        space.named(name, cy.Lock)
    assert list(space) == space.names() == ["a-1", "a-2", "b", "ä"]
    assert space.names("a-*") == ["a-1", "a-2"] and space.names("[ab]") == ["b"]
    assert len(space) == 4 and "b" in space and "c" not in space and 7 not in space
    assert isinstance(space.get("b"), cy.Lock) and space.get("c") is None
    assert sorted(name for name, _ in space.items()) == space.names()
    del space["b"]
    for missing in (lambda: space["b"], lambda: space.__delitem__("b")):
        with pytest.raises(cy.NotFound, match=r"no 'b' in courtyard\.Space"):
            missing()
    with pytest.raises(KeyError):
        space["b"]


def test_many_names(space: cy.Space) -> None:
    names = [f"name-{n}" for n in range(3000)]
    for number, name in enumerate(names):
        cy.Value.named(name, "i", number, space=space)
    assert len(space) == 3000
    assert [space[name].value for name in names[::100]] == list(range(0, 3000, 100))
    for name in names[::2]:
        del space[name]
    assert len(space) == 1500 == space.statistics().objects
    assert space[names[1]].value == 1 and names[0] not in space
    for name in names[1::2]:
        del space[name]
    assert (space.statistics().objects, space.statistics().names) == (0, 0)


def test_an_object_knows_its_name_among_many(space: cy.Space) -> None:
    held = [cy.Value.named(f"name-{n}", "i", n, space=space) for n in range(20_000)]
    started = time.monotonic()
    for number in range(0, 20_000, 20):  # microseconds each, not milliseconds
        assert held[number].name == f"name-{number}"
    assert time.monotonic() - started < 1.5
    space.check()


def test_a_deleted_name_leaves_its_holders_be(space: cy.Space) -> None:
    held = cy.Dict.named("d", a=1, space=space)
    del space["d"]
    assert held["a"] == 1 and held.name is None
    other = cy.Dict.named("d", a=2, space=space)
    assert (held["a"], other["a"]) == (1, 2)
    assert space.statistics().objects == 2
    held.close()
    assert space.statistics().objects == 1


def test_a_condition_keeps_its_lock(space: cy.Space) -> None:
    lock = space.Lock()
    made = cy.Condition.named("c", lock, space=space)
    found = space["c"]
    with found:
        assert lock.locked() and not made.acquire(False)
    assert isinstance(found._lock, cy.Lock)
    with pytest.raises(cy.WrongType, match="another lock"):
        cy.Condition.named("c", space.Lock(), space=space)
    with pytest.raises(cy.WrongType, match="Condition"):
        cy.Condition.named("c", space.RLock(), space=space)
    with pytest.raises(ValueError, match="another space"):
        cy.Condition.named("c2", cy.Lock(), space=space)
    assert cy.Condition.named("c", lock, space=space) is not made
    del lock, made, found
    gc.collect()
    assert space.statistics().objects == 2
    del space["c"]
    gc.collect()
    assert space.statistics().objects == 0


def test_anonymous_objects_have_no_name() -> None:
    for made in (cy.Value("i"), cy.Array("i", 1), cy.Dict(), cy.Lock()):
        assert made.name is None
        assert repr(cy.space(made)) == "courtyard.Space()"


def make_and_die(title: str, name: str, dying: Any) -> None:
    value = cy.Value.named(name, "i", os.getpid(), space=cy.Space(title))
    dying.put((os.getpid(), value.value))
    os.kill(os.getpid(), signal.SIGKILL)


def test_racing_programs_get_one_object(ctx: BaseContext, space: cy.Space) -> None:
    seen = cy.Queue[tuple[int, int]]()
    for turn in range(3):
        children = [start(ctx, make_and_die, space.name, f"n{turn}", seen) for _ in range(4)]
        for child in children:
            child.join(30)
            assert child.exitcode == -signal.SIGKILL
        pairs = [seen.get(timeout=30) for _ in children]
        found = space[f"n{turn}"].value
        assert {value for _, value in pairs} == {found}
        assert found in {pid for pid, _ in pairs}
    space.check()
    assert space.statistics().objects == 3


EXCLUDING = """
import courtyard as cy, sys
lock, log = cy.Lock.named("lock", space=cy.Space(sys.argv[1])), open(sys.argv[2], "a", buffering=1)
inside = cy.RawValue.named("inside", "i", space=cy.Space(sys.argv[1]))
for turn in range(300):
    with lock:
        assert inside.increment() == 1
        log.write("in\\n"); log.write("out\\n")
        inside.increment(-1)
"""


def test_two_scripts_exclude_each_other(space: cy.Space, tmp_path: Path) -> None:
    """Started by a shell, with nothing in common but the name."""
    script, log = tmp_path / "exclude.py", tmp_path / "log"
    script.write_text(EXCLUDING)
    command = (
        f'{sys.executable} {script} "$1" {log} & {sys.executable} {script} "$1" {log}; wait $!'
    )
    run_command(["sh", "-ec", command, "sh", str(space.name)], limit=50)
    assert log.read_text().split() == ["in", "out"] * 600


def count_up(title: str, turns: int) -> None:
    for _ in range(turns):
        space = cy.Space(title)
        lock, count = space.named("lock", cy.Lock), space.named("count", cy.Value, "q", lock=False)
        with lock:
            count.value += 1


def test_threads_and_processes_find_the_same(ctx: BaseContext, space: cy.Space) -> None:
    children = [start(ctx, count_up, space.name, 50) for _ in range(2)]
    threads = [threading.Thread(target=count_up, args=(space.name, 50)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    join(*children)
    assert space["count"].value == 250


def hold_lock(title: str, ready: Any) -> None:
    with cy.Lock.named("lock", space=cy.Space(title)):
        ready.set()
        time.sleep(60)


def test_a_killed_holder_frees_a_named_lock(space: cy.Space) -> None:
    ready = cy.Event()
    child = fork(hold_lock, space.name, ready)
    assert ready.wait(30)
    lock = cy.Lock.named("lock", space=space)
    assert not lock.acquire(timeout=0.05)
    kill(child)
    assert lock.acquire(timeout=10) and lock.recovered


def test_a_space_is_given_as_such() -> None:
    with pytest.raises(TypeError, match=r"expected a courtyard\.Space, found 'myapp'"):
        cy.Dict.named("x", space="myapp")  # type: ignore[arg-type]


WRONG: list[tuple[Any, tuple[Any, ...], dict[str, Any], str]] = [
    (cy.Queue, ("full",), {}, "interpreted as an integer"),
    (cy.Queue, (), {"size": 3}, r"^Queue\.named\(\) got an unexpected keyword argument 'size'"),
    (cy.Barrier, (), {}, r"^Barrier\.named\(\) missing 1 required positional argument"),
    (cy.Value, (), {}, r"^Value\.named\(\) missing 1 required positional argument"),
    (cy.Array, ("float64", (3, 4)), {}, r"shape=\(3, 4\)"),
    (cy.Dict, (), {"space": "shop"}, r"space: expected a courtyard\.Space, found 'shop'"),
    (cy.Queue, (cy.Space,), {}, "takes the space by keyword"),
]


@pytest.mark.parametrize(("type_", "arguments", "options", "why"), WRONG, ids=titles)
def test_wrong_arguments_are_refused_before_anything_is_made(
    tmp_path: Path, type_: Any, arguments: Any, options: Any, why: str
) -> None:
    script = """
import pathlib, pickle, sys, courtyard as cy
type_, arguments, options = pickle.loads(bytes.fromhex(sys.argv[1]))
arguments = [cy.Space() if argument is cy.Space else argument for argument in arguments]
try:
    type_.named("jobs", *arguments, **options)
except TypeError as error:
    print(error)
print([path.name for path in pathlib.Path(sys.argv[2]).glob("default*")])
"""
    asked = pickle.dumps((type_, arguments, options)).hex()
    printed = run_script(script, asked, str(tmp_path), env={"COURTYARD_DIR": str(tmp_path)}).stdout
    message, left = printed.splitlines()
    assert re.search(why, message)
    assert left == "[]"


def test_errors_are_about_the_call_that_the_user_wrote(title: str) -> None:
    with cy.Space(title) as space:
        untyped: Any = space
        calls: list[tuple[Any, str]] = [
            (lambda: untyped.named("x", "Queue"), "courtyard's types, as in space.named('x', "),
            (lambda: untyped.named(cy.Queue, "x"), "courtyard's types"),
            (lambda: space.named("x", int), "courtyard's types"),
            (lambda: space.named("x", cy.Queue, space=space), "leave space= out"),
            (lambda: cy.Semaphore.named("x", 1, 2, space=space), "Semaphore.named() takes from 1"),
            (lambda: cy.Namespace.named("x", 5, space=space), "Namespace.named() takes 1"),
            (lambda: cy.Counter.named("x", 5, 6, space=space), "Counter.named() takes from 1"),
            (lambda: cy.Condition.named("x", 5, space=space), "courtyard's types, found int"),
        ]
        for call, message in calls:
            with pytest.raises(TypeError) as raised:
                call()
            assert message in str(raised.value)
            assert "Traceback" not in str(raised.value) and raised.value.__cause__ is None
        assert len(space) == 0


def test_how_a_bound_becomes_what_was_asked_for() -> None:
    with cy.Space() as space:
        space.named("recent", cy.Deque, maxlen=5)
        space.named("jobs", cy.Queue, 5, maxbytes=1000)
        for ask, remedy in (
            (lambda: space.named("recent", cy.Deque, maxlen=9), "set its maxlen to 9"),
            (lambda: space.named("jobs", cy.Queue, 9), "set its maxsize to 9"),
            (lambda: space.named("jobs", cy.Queue, 9, maxbytes=1000), "set its maxsize to 9"),
            (lambda: space.named("jobs", cy.Queue, maxbytes=99), "maxbytes cannot be changed"),
            (lambda: space.named("jobs", cy.Queue, 9, maxbytes=99), "maxbytes cannot be changed"),
        ):
            with pytest.raises(cy.WrongType, match=rf"not an? .*: .*{remedy}.*use another name"):
                ask()
