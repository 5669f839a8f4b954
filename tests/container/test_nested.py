"""NestedDict: dicts and lists stored in it are shared ones, at any depth."""

import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard
from tests.support.builtin import Unpicklable, compare, needs, plain, sent, shared, unchanged
from tests.support.children import join, start

NestedDict: Any = shared("NestedDict")
pytestmark = [needs("NestedDict"), pytest.mark.usefixtures("module_home")]


def unshared(found: Any) -> Any:
    """Return the whole tree as builtins."""
    if isinstance(found, (NestedDict, dict)):
        return {key: unshared(value) for key, value in found.items()}
    if isinstance(found, (shared("List"), list)):
        return [unshared(value) for value in found]
    return found


def test_what_is_stored_becomes_shared() -> None:
    d = NestedDict(a={"b": {"c": 1}}, l=[1, [2], {"x": 3}], plain=(1, {"y": 2}))
    other = sent(d)
    other["a"]["b"]["c"] = 2
    other["a"]["new"] = {"deep": {}}
    other["a"]["new"]["deep"]["er"] = 5
    other["l"].append(4)
    assert unshared(d) == {
        "a": {"b": {"c": 2}, "new": {"deep": {"er": 5}}},
        "l": [1, [2], {"x": 3}, 4],
        "plain": (1, {"y": 2}),
    }
    assert type(d["a"]["new"]["deep"]) is NestedDict
    assert isinstance(d["l"], shared("List"))
    d.check()


def test_every_way_in_is_the_same() -> None:
    d = NestedDict()
    d["set"] = {"n": 1}
    d.setdefault("default", {"n": 1})
    d.update({"updated": {"n": 1}}, more={"n": 1})
    d |= {"or": {"n": 1}}
    d.set_many({"many": {"n": 1}})
    for key in list(d):
        assert d[key].increment("n") == 2, key
        assert d.get(key)["n"] == 2, key
    assert [value["n"] for value in d.values()] == [2] * len(d)
    found = d.setdefault("set", {"n": 5})
    found["n"] = 7
    assert d["set"]["n"] == 7


def test_what_was_taken_out_lives_on() -> None:
    d = NestedDict(a={"b": {"c": 1}})
    a = d.pop("a")
    b = a["b"]
    assert "a" not in d
    del a
    b["c"] += 1
    assert plain(b) == {"c": 2}
    d["back"] = b
    b["c"] = 9
    assert d["back"]["c"] == 9


def test_a_flat_one_is_a_dict() -> None:
    compare(
        NestedDict(a=1),
        {"a": 1},
        [
            *(len, list, lambda d: d["no"], lambda d: d.pop("a"), lambda d: d.setdefault("b", 2)),
            *(lambda d: d.update(c=3), lambda d: d.popitem(), lambda d: d.clear()),
        ],
    )


def test_what_fails_changes_nothing() -> None:
    d = NestedDict(a={"b": 1})
    d.statistics()
    version = d.version
    with pytest.raises(ZeroDivisionError):
        d["a"] = {"x": {"y": Unpicklable()}}
    with pytest.raises(ZeroDivisionError):
        d["new"] = [1, {"y": Unpicklable()}]
    assert (unshared(d), d.version) == ({"a": {"b": 1}}, version)
    with unchanged(d["a"], ZeroDivisionError):
        d["a"]["z"] = {"y": Unpicklable()}


def test_it_knows_its_equals() -> None:
    d = NestedDict(a={"b": [1]}, n=1)
    assert d == {"a": {"b": [1]}, "n": 1}
    assert d != {"a": {"b": [2]}, "n": 1}
    assert d == NestedDict(a={"b": [1]}, n=1)


def count(d: Any, times: int) -> None:
    for number in range(times):
        d["a"].increment("b")
        d["a"]["l"].append(number)
        d[f"of {number}"] = {"n": number}


def test_counting_in_depth_is_exact(ctx: BaseContext) -> None:
    d = NestedDict(a={"b": 0, "l": []})
    join(*[start(ctx, count, d, 50) for _ in range(3)])
    assert d["a"]["b"] == 150
    assert len(d["a"]["l"]) == 150
    assert all(d[f"of {number}"]["n"] == number for number in range(50))
    d.check()


def test_one_dict_in_several_places_and_in_itself() -> None:
    one: dict[str, Any] = {"n": 1}
    loop: list[Any] = [one]
    loop.append(loop)
    d = NestedDict(a=one, b=[one, loop])
    d["a"]["n"] = 2
    assert d["b"][0]["n"] == d["b"][1][0]["n"] == d["b"][1][1][1][0]["n"] == 2
    assert "..." in repr(d)
    d["b"][1].clear()
    d["top"] = d
    assert d["top"]["top"]["a"]["n"] == 2
    del d["top"]
    d.check()


def test_what_fails_leaves_nothing_of_a_cycle() -> None:
    d = NestedDict()
    loop: list[Any] = []
    loop += [{"loop": loop}, Unpicklable()]
    with unchanged(d, ZeroDivisionError):
        d["a"] = loop
    loop.pop()
    with unchanged(d, TypeError):
        d[[]] = loop
    with unchanged(d, ZeroDivisionError):
        d.mutate("a", lambda _: [loop, Unpicklable()], None)


def test_what_is_not_stored_leaves_nothing_of_a_cycle() -> None:
    def loop() -> dict[str, Any]:
        made: dict[str, Any] = {"inner": []}
        made["inner"].append(made)
        return made

    class Late(NestedDict):  # type: ignore[misc]
        def get(self, key: Any, default: Any = None, /, **_: Any) -> Any:
            return default  # as if another writer stored just after

    d = Late(a=1, b={"n": 1})
    objects = d.space.statistics().objects
    assert not d.compare_exchange("a", 2, loop())
    assert d.setdefault("a", loop()) == 1
    assert d.space.statistics().objects == objects
    attempts = iter([2, 3, 1])

    def beaten_twice(_: Any) -> dict[str, Any]:
        courtyard.Dict.__setitem__(
            d, "a", next(attempts)
        )  # as another writer does: it is called again
        return loop()

    with suppress(StopIteration, RuntimeError):
        d.mutate("a", beaten_twice)
    assert d.space.statistics().objects == objects
    d.check()


def test_mutate_stores_what_its_function_returned_last() -> None:
    d = NestedDict(a=0)
    kept: dict[str, int] = {}

    def beaten_once(value: int) -> dict[str, int]:
        if not kept:
            courtyard.Dict.__setitem__(d, "a", 7)
        kept["value"] = value
        return kept  # the same dict each time, changed

    d.mutate("a", beaten_once)
    assert d == {"a": {"value": 7}}


def test_a_tree_that_is_stored_stays_when_a_signal_handler_raises() -> None:
    class Rung(BaseException):
        pass

    def ring(*_: Any) -> None:
        raise Rung

    d = NestedDict(a={"n": [0]}, l=[[0]])
    stores: list[Callable[[Any], Any]] = [
        lambda n: d.__setitem__("a", {"n": [n]}),
        lambda n: d.update({"a": {"n": [n]}, "b": {"n": [n]}}),
        lambda n: d.mutate("a", lambda _: {"n": [n]}),
        lambda n: d["l"].__setitem__(0, [n]),
    ]
    handler = signal.signal(signal.SIGALRM, ring)
    try:
        for number in range(4000):
            with suppress(Rung):
                signal.setitimer(signal.ITIMER_REAL, (number // 4 % 100 + 1) * 4e-6)
                while True:  # until it rings
                    stores[number % 4](number)
            assert len(d["a"]["n"]) == len(d["l"][0]) == 1, number
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    d.check()


def test_lists_in_it() -> None:
    d = NestedDict(l=[])
    x = d["l"]
    x.append({"n": 1})
    x.insert(0, [1])
    x.extend([{"n": 2}, 3])
    x += [[{"n": 3}]]
    x[3:4] = ([4], {"n": 4})
    x[-1] = {"n": 5}
    assert unshared(d) == {"l": [[1], {"n": 1}, {"n": 2}, [4], {"n": 4}, {"n": 5}]}
    for each in x:
        if isinstance(each, NestedDict):
            each.increment("n", 10)
        else:
            each.append({})
            each[-1]["n"] = 0
    assert unshared(x) == [
        *([1, {"n": 0}], {"n": 11}, {"n": 12}, [4, {"n": 0}], {"n": 14}, {"n": 15})
    ]
    x.sort(key=repr)
    x *= 2
    x[0].clear()
    assert (len(x[0]), len(x[6])) == (0, 0)  # one object in two places
    d.check()


def test_atomic_changes_of_what_is_nested() -> None:
    d = NestedDict(a={"n": 1}, l=[1])
    assert d.compare_exchange("a", {"n": 1}, {"n": {"m": 2}})
    assert not d.compare_exchange("a", {"n": 1}, {})
    d["a"]["n"].increment("m")
    assert d.increment("l", [2]) == [1, 2]
    assert d.mutate("new", lambda value: [*value, {"x": 1}], []) == [{"x": 1}]
    d["new"][0]["x"] = 2
    assert unshared(d) == {"a": {"n": {"m": 3}}, "l": [1, 2], "new": [{"x": 2}]}
    assert NestedDict.fromkeys("ab", [])["a"] == []


def store_nested(outer: Any) -> None:
    outer["theirs"] = {"deep": [{"n": 0}]}


def test_what_a_child_stored_outlives_it(ctx: BaseContext) -> None:
    d = NestedDict()
    join(start(ctx, store_nested, d))
    assert d["theirs"]["deep"][0].increment("n") == 1
    d.check()


class Changes:
    """Copying it changes the container that it is in."""

    def __deepcopy__(self, memo: Any) -> Any:
        CHANGE[0]()
        return self


CHANGE: list[Callable[[], object]] = [lambda: None]


def test_what_changes_while_it_is_copied_has_no_plain_form() -> None:
    d: Any = courtyard.NestedDict(seen={}, rows=[1], log=Changes())
    try:
        for change in (
            lambda: d.__setitem__("seen", {"at": 1}),
            lambda: d["seen"].increment("n"),
            lambda: d["rows"].append(1),
        ):
            CHANGE[0] = change
            with pytest.raises(RuntimeError, match="changed each time while it was copied"):
                d.to_plain()
            assert d.get_lock().acquire(block=False)  # it is not left with us
            d.get_lock().release()
    finally:
        CHANGE[0] = lambda: None
    assert set(d.to_plain()) == {"log", "seen", "rows"}


def test_a_list_in_it_has_a_plain_form_too() -> None:
    d: Any = courtyard.NestedDict(rows=[{"a": [1]}, 2])
    found = d["rows"].to_plain()
    assert found == [{"a": [1]}, 2]
    assert (type(found), type(found[0]), type(found[0]["a"])) == (list, dict, list)
