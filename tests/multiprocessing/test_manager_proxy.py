"""What the drop-in's Manager makes is a standard proxy, too, and its pools can be handed on."""

import copy
import gc
import json
import multiprocessing as standard
import os
import pickle
import signal
import threading
import time
import weakref
from array import array
from collections.abc import Iterator, MutableMapping, MutableSequence
from multiprocessing import managers as standard_managers
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
import courtyard.multiprocessing as multiprocessing
from courtyard.multiprocessing import _pool
from tests.support.children import die_with_parent, fork, join, kill, start

managers: Any = standard_managers
MADE: list[tuple[str, tuple[Any, ...], str, Any]] = [
    ("dict", ({"a": 1},), "DictProxy", cy.Dict),
    ("list", ([1],), "ListProxy", cy.List),
    ("Namespace", (), "NamespaceProxy", cy.Namespace),
    ("Value", ("i", 5), "ValueProxy", cy.Value),
    ("Array", ("i", [1, 2]), "ArrayProxy", cy.Array),
    ("Array", ("c", b"ab"), "ArrayProxy", cy.Array),
    ("Event", (), "EventProxy", cy.Event),
    ("Lock", (), "AcquirerProxy", cy.Lock),
    ("RLock", (), "AcquirerProxy", cy.RLock),
    ("Semaphore", (2,), "AcquirerProxy", cy.Semaphore),
    ("BoundedSemaphore", (2,), "AcquirerProxy", cy.BoundedSemaphore),
    ("Condition", (), "ConditionProxy", cy.Condition),
    ("Barrier", (2,), "BarrierProxy", cy.Barrier),
    ("Queue", (3,), "BaseProxy", cy.Queue),
    ("JoinableQueue", (3,), "BaseProxy", cy.JoinableQueue),
    ("set", ([1],), "SetProxy", cy.Set),
    ("deque", ([1], 3), "BaseProxy", cy.Deque),
    ("Counter", ("aab",), "BaseProxy", cy.Counter),
]
IDS = [name for name, *_ in MADE]


@pytest.mark.parametrize(("name", "arguments", "proxy", "ours"), MADE, ids=IDS)
def test_it_is_a_proxy_and_courtyards(name: str, arguments: Any, proxy: str, ours: Any) -> None:
    manager: Any = multiprocessing.Manager()
    made = getattr(manager, name)(*arguments)
    theirs = getattr(managers, proxy, managers.BaseProxy)
    # One in a container, and a deep copy of what has no plain value, are handles as well.
    objects = [made, pickle.loads(pickle.dumps(made)), manager.dict(x=made)["x"]]
    if not isinstance(made, cy.Dict | cy.List | cy.Deque | cy.Set | cy.Namespace):
        objects.append(copy.deepcopy(made))
    for obj in objects:
        assert isinstance(obj, theirs) and isinstance(obj, managers.BaseProxy)
        assert isinstance(obj, ours)
        assert type(obj).__name__ == ours.__name__
        assert repr(obj).startswith((f"<courtyard.{ours.__name__}", "<unlocked", "Namespace("))
        assert str(obj) and "failed" not in str(obj)


def test_proxies_that_are_not_locked() -> None:
    manager: Any = multiprocessing.Manager()
    value, array = manager.Value("i", 5, lock=False), manager.Array("i", [1], lock=False)
    assert isinstance(value, managers.ValueProxy) and isinstance(value, cy.RawValue)
    assert isinstance(array, managers.ArrayProxy) and isinstance(array, cy.RawArray)


def test_a_method_by_its_name() -> None:
    manager: Any = multiprocessing.Manager()
    d, x, ns = manager.dict(a=1), manager.list([2, 1]), manager.Namespace(y=5)
    assert d._callmethod("__getitem__", ("a",)) == 1
    assert d._callmethod("get", ("b", 7)) == 7
    x._callmethod("sort", (), {"reverse": False})
    assert x._getvalue() == x._callmethod("#GETVALUE") == [1, 2]
    assert ns._callmethod("__getattribute__", ("y",)) == 5
    assert manager.Queue()._callmethod("qsize") == 0
    assert manager.set([1])._getvalue() == {1}
    with pytest.raises(AttributeError):
        d._callmethod("nothing")
    with pytest.raises(AttributeError, match="no attribute 'z'"):
        ns.z  # noqa: B018
    with pytest.raises(TypeError, match="a Lock has no value"):
        manager.Lock()._getvalue()
    assert isinstance(d, MutableMapping) and isinstance(x, MutableSequence)


@pytest.fixture(params=["courtyard", "standard"])
def manager(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return a manager of either kind: what is tested of it holds for both."""
    if request.param == "courtyard":
        yield multiprocessing.Manager()
        return
    with standard.Manager() as theirs:
        yield theirs


def test_a_dicts_keys_values_and_items_are_lists(manager: Any) -> None:
    assert isinstance(manager, managers.SyncManager)
    d = manager.dict(a=1, b=[2])
    assert d.keys() == ["a", "b"] and d.keys()[0] == "a" and d.keys() * 2 == [*"abab"]
    assert d.values() == [1, [2]] and d.items() == [("a", 1), ("b", [2])]
    for found in (d.keys(), d.values(), d.items()):
        assert isinstance(found, list) and json.loads(json.dumps(found))
        assert type(pickle.loads(pickle.dumps(found))) is type(copy.copy(found)) is list
        found.append(5)
        assert found[-1] == 5 and [*found] == found[:] == list(found)
    assert sorted(d) == list(d.keys()) == [*reversed(d.keys())][::-1]
    assert dict(d) == {**d} == d.copy() == {"a": 1, "b": [2]}


def test_what_other_proxies_return(manager: Any) -> None:
    numbers, row, value = manager.Array("d", [1, 2, 3]), manager.list([1, 2]), manager.Value("i", 3)
    assert list(numbers[:2]) == [1, 2]
    assert numbers[0] == 1.0 and type(numbers[0]) is float and list(numbers) == [1, 2, 3]
    numbers[1:] = array("d", [8, 9])
    assert numbers._getvalue() == array("d", [1, 8, 9])
    assert type(row[:]) is type(row * 2) is list
    assert str(value) == "Value('i', 3)" and str(row) == "[1, 2]" and value.get() == 3
    plain = value._getvalue()
    assert isinstance(plain, managers.Value) and plain.value == 3
    assert str(manager.Namespace(x=1)) == "Namespace(x=1)"
    assert str(numbers) == "array('d', [1.0, 8.0, 9.0])" and repr(numbers)


def test_a_copy_is_another_proxy_of_the_same_object(manager: Any) -> None:
    d, row, value = manager.dict(a=1), manager.list([1]), manager.Value("i", 3)
    numbers, names = manager.Array("i", [1]), manager.Namespace(x=1)
    for made in (d, row, value, numbers, names, manager.Lock(), manager.Queue()):
        assert type(copy.copy(made)) is type(made) and copy.copy(made) is not made
    copy.copy(d)["b"], copy.copy(value).value, copy.copy(names).x = 2, 4, 5
    copy.copy(row).append(2)
    copy.copy(numbers)[0] = 7
    assert (d["b"], value.value, names.x, row[-1], numbers[0]) == (2, 4, 5, 2, 7)
    assert copy.deepcopy(d) == {"a": 1, "b": 2}


def test_what_needs_a_server() -> None:
    manager: Any = multiprocessing.Manager()
    for name in ("address", "connect", "get_server", "register"):
        assert not hasattr(manager, name)
        with pytest.raises(AttributeError, match=f"a Manager of courtyard has no server.* {name}"):
            getattr(manager, name)

    class Theirs(managers.SyncManager):  # type: ignore[misc]
        pass

    Theirs.register("Thing", list)
    with pytest.raises(NotImplementedError, match="makes no Thing"):
        Theirs.Thing(manager)


def keep(d: Any, key: int) -> None:
    while True:
        d.pop(key, None)
        d[key] = key


def test_a_plain_dict_of_one_is_of_one_moment() -> None:
    """No key is asked for that has gone since the keys were read."""
    d: Any = multiprocessing.Manager().dict({n: n for n in range(10)})
    other = fork(keep, d, 5)
    try:
        for _ in range(2000):
            assert len(dict(d)) >= 9 <= len({**d})
    finally:
        kill(other)


def square(n: int) -> int:
    return n * n


def divide(n: int) -> float:
    return 1 / n


def where(_: Any) -> int:
    return os.getppid()


def use(pool: Any, results: Any) -> None:
    results["map"] = pool.map(square, [1, 2, 3])
    results["apply"] = pool.apply(square, (4,))
    results["starmap"] = pool.starmap(pow, [(2, 3)])
    pending = pool.apply_async(square, (5,))
    results["async"] = pending.get(60), pending.ready(), pending.successful()
    results["map_async"] = pool.map_async(square, [6]).get(60)
    results["imap"] = list(pool.imap(square, [7, 8]))
    results["unordered"] = sorted(pool.imap_unordered(square, [9, 10]))
    results["where"] = pool.apply(where, (0,))
    with pytest.raises(ZeroDivisionError):
        pool.apply(divide, (0,))
    results["proxy"] = isinstance(pool, managers.PoolProxy)


EXPECTED = {
    "map": [1, 4, 9],
    "apply": 16,
    "starmap": [8],
    "async": (25, True, True),
    "map_async": [36],
    "imap": [49, 64],
    "unordered": [81, 100],
    "proxy": True,
}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_is_handed_to_processes(ctx: BaseContext, method: str) -> None:
    """It is the maker's: its workers do what others give them to do."""
    context = multiprocessing.get_context(method)
    with context.Manager() as manager, manager.Pool(2) as pool:
        for results in (manager.dict(), manager.dict()):
            join(start(ctx, use, pool, results), limit=60)
            found = dict(results)
            if method != "forkserver":
                assert found.pop("where") == os.getpid()
            assert {key: found[key] for key in EXPECTED} == EXPECTED
        here: dict[str, Any] = {}
        use(pool, here)
        assert {key: here[key] for key in EXPECTED} == EXPECTED


def test_a_pool_is_collected_while_the_server_holds_its_lock() -> None:
    """The garbage collector runs wherever it likes, also where another pool is being made."""
    with multiprocessing.get_context("fork").Manager() as manager:
        pool = manager.Pool(1)
        pool.terminate()
        circle: list[Any] = [pool]
        circle.append(circle)
        gone, name = weakref.ref(pool), pool._remote._token.id
        del pool, circle

        def collect() -> None:
            with _pool._server().mutex:
                gc.collect()

        thread = threading.Thread(target=collect, daemon=True)
        thread.start()
        thread.join(30)
        assert not thread.is_alive() and gone() is None
        assert name not in _pool._server().id_to_refcount


def test_a_pool_is_closed_by_another_process(ctx: BaseContext) -> None:
    with multiprocessing.get_context("fork").Manager() as manager:
        pool = manager.Pool(1)
        join(start(ctx, close, pool))
        with pytest.raises(ValueError, match="not running"):
            pool.apply(square, (1,))
        pool.join()
        other = manager.Pool(1)  # beside it, or after it
        assert other.apply(square, (2,)) == 4
        other.terminate()


def close(pool: Any) -> None:
    pool.close()


def offer(sent: Any) -> None:
    die_with_parent()
    pool = multiprocessing.Manager().Pool(1)
    sent.put(pickle.dumps(pool))
    time.sleep(60)


def test_the_maker_of_a_pool_is_killed() -> None:
    sent = cy.Queue[bytes]()
    maker = multiprocessing.Process(target=offer, args=(sent,))
    maker.start()
    pool = pickle.loads(sent.get(timeout=60))
    assert pool.apply(square, (3,)) == 9
    assert maker.pid is not None
    os.kill(maker.pid, signal.SIGKILL)
    maker.join(30)
    deadline = time.monotonic() + 30
    with pytest.raises((EOFError, OSError)):
        while time.monotonic() < deadline:
            pool.apply(square, (3,))


def test_a_pool_ends_with_who_has_it() -> None:
    context = multiprocessing.get_context("fork")
    pool = context.Manager().Pool(1)
    worker = pool.apply(os.getpid)
    with pytest.warns(ResourceWarning):
        del pool
        deadline = time.monotonic() + 30
        while os.path.exists(f"/proc/{worker}") and time.monotonic() < deadline:
            multiprocessing.active_children()
            time.sleep(0.02)
    assert not os.path.exists(f"/proc/{worker}")


@pytest.mark.parametrize("make", ["Value", "Array", "RawValue", "RawArray"])
def test_a_bad_typecode_is_named_as_python_3_15_has_it(make: str) -> None:
    codes = (
        "bad typecode (must be a ctypes type or one of c, b, B, u, h, H, i, I, l, L, q, Q, f or d"
    )
    for module in (cy, multiprocessing):
        for wrong in ("?!", "x1", ""):
            with pytest.raises(TypeError) as raised:
                getattr(module, make)(wrong, 3)
            assert str(raised.value).startswith(codes)
            assert str(raised.value).endswith(repr(wrong))
