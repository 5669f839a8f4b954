"""The drop-in's Manager: SyncManager's methods on a private space, with no server."""

import ctypes
import multiprocessing as standard
import queue
from collections.abc import Callable
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard.multiprocessing as multiprocessing
from tests.support.builtin import needs, shared
from tests.support.children import join, start

pytestmark = needs("Dict", "List", "Namespace", "Set", "Deque", "Counter")
METHODS = [
    "dict",
    "list",
    "Namespace",
    "Value",
    "Array",
    "Queue",
    "JoinableQueue",
    "Lock",
    "RLock",
    "Semaphore",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "Barrier",
    "Pool",
    "start",
    "shutdown",
    "set",
    "deque",
    "Counter",
]


def test_it_has_managers_methods() -> None:
    made_by: Any = multiprocessing.Manager()
    with made_by as manager:
        for name in METHODS:
            assert callable(getattr(manager, name)), name


def use(made: dict[str, Any]) -> None:
    made["dict"]["b"] = [1]
    made["list"].append(4)
    made["list"][0] = "first"
    made["namespace"].y = made["namespace"].x + 1
    with made["lock"]:
        made["value"].value += 1
    made["array"][1] = 9
    made["queue"].put("item")
    made["set"].add(2)
    made["deque"].appendleft(0)
    made["counter"].update("aa")
    made["event"].set()


def test_what_it_makes_is_shared(ctx: BaseContext) -> None:
    made_by: Any = multiprocessing.Manager()
    with made_by as manager:
        made = {
            "dict": manager.dict({"a": 1}, c=3),
            "list": manager.list([1, 2, 3]),
            "namespace": manager.Namespace(x=1),
            "value": manager.Value("i", 5),
            "array": manager.Array("i", [1, 2, 3]),
            "queue": manager.Queue(),
            "set": manager.set([1]),
            "deque": manager.deque([1], 5),
            "counter": manager.Counter("a"),
            "lock": manager.Lock(),
            "event": manager.Event(),
        }
        join(start(ctx, use, made))
        assert made["event"].wait(0)
        assert dict(made["dict"]) == {"a": 1, "c": 3, "b": [1]}
        assert list(made["list"]) == ["first", 2, 3, 4]
        assert (made["namespace"].x, made["namespace"].y) == (1, 2)
        assert (made["value"].value, list(made["array"])) == (6, [1, 9, 3])
        assert made["queue"].get(timeout=5) == "item"
        assert set(made["set"]) == {1, 2}
        assert list(made["deque"]) == [0, 1]
        assert made["counter"]["a"] == 3


def test_as_programs_use_it() -> None:
    """One that is made, started and shut down by hand; and the classes are courtyard's."""
    manager: Any = multiprocessing.Manager()
    made: list[tuple[Callable[..., Any], Any]] = [
        (manager.dict, shared("Dict")),
        (manager.list, shared("List")),
        (manager.Namespace, shared("Namespace")),
    ]
    for make, class_ in made:
        assert isinstance(make(), class_)
    d = manager.dict()
    d["nested"] = manager.list([1])
    d["nested"].append(2)
    assert list(d["nested"]) == [1, 2]
    q = manager.Queue(1)
    q.put(1)
    try:
        q.put_nowait(2)
    except queue.Full:
        pass
    else:
        raise AssertionError("a queue of one took two")
    manager.shutdown()


def square(number: int) -> int:
    return number * number


def test_its_pool() -> None:
    with multiprocessing.Manager() as manager, manager.Pool(2) as pool:
        assert pool.map(square, range(10)) == [n * n for n in range(10)]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_a_context(method: str) -> None:
    context = multiprocessing.get_context(method)
    with context.Manager() as manager, manager.Pool(1) as pool:
        assert pool.apply(multiprocessing.get_start_method) == method
        done = manager.list()
        pool.map(done.append, range(10))
        assert sorted(done) == list(range(10))


def test_values_of_types_that_no_value_has() -> None:
    """SyncManager only passes the type along."""
    with multiprocessing.Manager() as manager:
        text = manager.Value(ctypes.c_char_p, "some text")
        text.value += "!"
        number = manager.Value("whatever", 1)
        assert (text.value, number.value) == ("some text!", 1)


def test_all_may_be_stored_in_all() -> None:
    """What two managers make, and what is made without one."""
    one, two = multiprocessing.Manager(), multiprocessing.Manager()
    d = one.dict(l=two.list([1]), lock=multiprocessing.Lock(), v=shared("Value")("i", 1))
    one.shutdown()
    two.shutdown()
    two.join()
    d["l"].append(d["v"])
    with d["lock"]:
        d["l"][1].value += 1
    assert d["v"].value == 2


def test_a_namespaces_own_attributes() -> None:
    names: Any = multiprocessing.Manager().Namespace(x=1)
    names._mine = 2
    assert (names._mine, names.x, str(names)) == (2, 1, "Namespace(x=1)")
    with pytest.raises(AttributeError):
        assert names._other


def test_its_objects_print_as_those_of_the_standard_manager() -> None:
    ours = multiprocessing.Manager()
    with standard.Manager() as theirs:
        makers: list[Callable[[Any], Any]] = [
            lambda manager: manager.dict(a=1, b=[2]),
            lambda manager: manager.list([1, "x"]),
            lambda manager: manager.Namespace(a=1),
            lambda manager: manager.Array("i", [1, 2]),
            lambda manager: manager.Array("d", []),
        ]
        for make in makers:
            found, expected = make(ours), make(theirs)
            assert str(found) == f"{found}" == "%s" % found == str(expected)  # noqa: UP031
            assert str(found._getvalue()).lower() == str(expected._getvalue()).lower()
        for make in makers[1:3]:
            with pytest.raises(AttributeError, match="object has no attribute 'missing'"):
                getattr(make(theirs), "missing")  # noqa: B009
            with pytest.raises(AttributeError, match="object has no attribute 'missing'") as told:
                getattr(make(ours), "missing")  # noqa: B009
            assert told.value.name == "missing"


def test_strings_of_what_contains_itself_end() -> None:
    row = multiprocessing.Manager().list()
    row.append(row)
    assert str(row) == "[...]"
    row.clear()
    row.close()
    assert "closed" in str(row)
