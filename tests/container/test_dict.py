"""Dict beside dict, and what it does beyond it."""

import collections
import collections.abc
import inspect
import pickle
import threading
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
from tests.support.builtin import (
    EQUAL,
    KEYS,
    VALUES,
    Operation,
    Point,
    Unpicklable,
    Unwilling,
    compare,
    needs,
    outcome,
    plain,
    sent,
    shared,
    told,
    unchanged,
)
from tests.support.children import join, start

Dict: Any = shared("Dict")
pytestmark = [needs("Dict"), pytest.mark.usefixtures("module_home")]
FORMS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    (({"a": 1, 2: "b"},), {}),
    (([("a", 1), ("b", 2), ("a", 3)],), {}),
    ((), {"name": 1, "space": 2, "self": 3}),
    (([("a", 1)],), {"a": 2, "b": 3}),
    ((collections.OrderedDict(b=1, a=2),), {}),
    ((collections.UserDict(b=1, a=2),), {"c": 3}),
]
WRONG: list[tuple[Any, ...]] = [(1,), ([1],), (["abc"],), ({}, {}), ([([], 1)],), ("ab",)]


@pytest.mark.parametrize(("args", "kwargs"), FORMS)
def test_the_forms_of_the_constructor(args: Any, kwargs: Any) -> None:
    assert told(Dict(*args, **kwargs)) == told(dict(*args, **kwargs))


def test_the_constructor_takes_an_iterator_and_another_dict() -> None:
    assert plain(Dict(iter(["ab", "cd"]))) == {"a": "b", "c": "d"}
    assert plain(Dict(Dict(a=1), b=2)) == {"a": 1, "b": 2}


@pytest.mark.parametrize("args", WRONG)
def test_wrong_arguments_of_the_constructor(args: Any) -> None:
    assert outcome(lambda _: Dict(*args), None) == outcome(lambda _: dict(*args), None)


READS: list[Operation] = [
    *(len, bool, list, iter, reversed, sorted, dict, lambda d: d.copy()),
    *(lambda d: d["a"], lambda d: d["no"], lambda d: d[[]], lambda d: d[{}], lambda d: d[2]),
    *(lambda d: d.get("a"), lambda d: d.get("no"), lambda d: d.get("no", 5), lambda d: d.get()),
    *(lambda d: d.get([]), lambda d: "a" in d, lambda d: "no" in d, lambda d: [] in d),
    *(lambda d: list(d.keys()), lambda d: list(d.values()), lambda d: list(d.items())),
    *(lambda d: list(reversed(d.keys())), lambda d: list(reversed(d.values()))),
    *(lambda d: list(reversed(d.items())), lambda d: len(d.keys()), lambda d: len(d.items())),
    *(
        lambda d: d.keys().__contains__("a"),
        lambda d: 1 in d.values(),
        lambda d: ("a", 1) in d.items(),
    ),
    *(
        lambda d: ("a", 2) in d.items(),
        lambda d: 5 in d.items(),
        lambda d: d.keys().__contains__([]),
    ),
    *(lambda d: d.keys() & {"a", "z"}, lambda d: d.keys() | ["z"], lambda d: d.keys() - {"a"}),
    *(lambda d: d.keys() ^ {"a", "z"}, lambda d: {"a", "z"} & d.keys(), lambda d: {"a"} - d.keys()),
    *(lambda d: d.keys() == {"a", "b", 2}, lambda d: d.keys() <= {"a"}, lambda d: d.keys() > {"a"}),
    *(lambda d: d.keys().isdisjoint(["z"]), lambda d: d.keys().isdisjoint({"a"})),
    *(lambda d: d.items() & {("a", 1)}, lambda d: d.items() >= {("a", 1)}),
    *(lambda d: d.keys() | 5, lambda d: d.keys() & 5, lambda d: hash(d), lambda d: d < d),
    *(lambda d: d == {"b": 2.5, "a": 1, 2: None}, lambda d: d != {"a": 1}, lambda d: d == {}),
    *(lambda d: d == 5, lambda d: d == [], lambda d: d != 5, lambda d: d | {"a": 9, "z": 1}),
    *(lambda d: {"z": 1, "a": 0} | d, lambda d: d | [("a", 1)], lambda d: 5 | d, lambda d: d | 5),
    *(lambda d: {**d}, lambda d: [*d], lambda d: dict(d.items())),
]


def test_reads() -> None:
    compare(Dict({"a": 1, "b": 2.5, 2: None}), {"a": 1, "b": 2.5, 2: None}, READS)
    compare(Dict(), {}, READS)


def put(key: Any, value: Any) -> Operation:
    return lambda d: d.__setitem__(key, value)


def drop(key: Any) -> Operation:
    return lambda d: d.__delitem__(key)


def ior(d: Any, other: Any) -> Any:
    d |= other
    return d


CHANGES: list[Operation] = [
    *(lambda d: d.popitem(), put("a", 1), put("b", 2), put("c", 3), put("a", 4), drop("no")),
    *(drop("a"), put("a", 5), put([], 1), drop([]), lambda d: d.pop("b"), lambda d: d.pop("b")),
    *(lambda d: d.pop("b", 7), lambda d: d.pop(), lambda d: d.pop([]), lambda d: d.pop("c", 1)),
    *(lambda d: d.setdefault("a", 9), lambda d: d.setdefault("s"), lambda d: d.setdefault("t", [])),
    *(lambda d: d.setdefault([]), lambda d: d.popitem(), lambda d: d.update(u=1, a=2)),
    *(lambda d: d.update({"v": 1}, w=2), lambda d: d.update([("x", 1), ("a", 3)])),
    *(lambda d: d.update(), lambda d: d.update(5), lambda d: d.update({}, {})),
    *(lambda d: ior(d, {"y": 1}), lambda d: ior(d, [("z", 1)]), lambda d: ior(d, 5)),
    *(lambda d: d.clear(), lambda d: d.popitem(), put("again", 1), lambda d: d.clear()),
]


def test_changes() -> None:
    compare(Dict(), {}, CHANGES)
    compare(Dict({n: n for n in range(100)}), {n: n for n in range(100)}, CHANGES)


def test_a_failed_update_keeps_or_undoes_but_never_tears() -> None:
    d = Dict(a=1)
    with unchanged(d, (TypeError, ValueError)):
        d.update([("b", 2), 5])
    with unchanged(d, TypeError):
        d.update([("b", 2), ([], 3)])
    with unchanged(d, ZeroDivisionError):
        d.update({"b": 2, "c": Unpicklable()})


def test_keys_of_all_sorts_are_told_apart() -> None:
    d: Any = Dict()
    expected = {}
    for number, key in enumerate(KEYS):
        d[key] = expected[key] = number
    other = sent(d)
    assert len(other) == len(expected) == len(KEYS)
    for key, value in expected.items():
        assert other[key] == value, key
        assert key in d
    assert [(type(key), key) for key in other] == [(type(key), key) for key in expected]
    for key in KEYS[::2]:
        del d[key], expected[key]
    assert plain(other) == expected
    d.check()


@pytest.mark.parametrize("keys", EQUAL, ids=repr)
def test_keys_that_are_equal_are_one(keys: list[Any]) -> None:
    for first in keys:
        ours, theirs = Dict({first: "first"}), {first: "first"}
        for key in keys:
            assert key in ours
            assert ours[key] == theirs[key]
            ours[key] = theirs[key] = repr(key)
        # The key as it came first is what iteration gives back.
        assert told(ours) == told(theirs)
        assert ours.pop(keys[-1]) == theirs.pop(keys[-1])
        assert not ours


def test_a_nan_is_found_by_its_bits() -> None:
    nan = float("nan")
    d = Dict({nan: 1})
    assert d[nan] == 1  # as in dict, which looks at identity first
    assert d[float("nan")] == 1  # unlike dict: between processes there is no identity
    d[-nan] = 2
    assert len(d) == 2
    assert len(Dict({(nan, 1): 1, (float("nan"), 1): 2})) == 1


class Text(str):
    __slots__ = ()


class Number(int):
    pass


def test_subclasses_of_builtins_are_as_their_base() -> None:
    d = Dict({Text("a"): 1, Number(5): 2})
    assert (d["a"], d[5], d[5.0]) == (1, 2, 2)
    assert [type(key) for key in d] == [Text, Number]
    d["a"] = 3
    assert [type(key) for key in d] == [Text, Number]
    assert d[Text("a")] == 3


@pytest.mark.parametrize("key", [[], {}, set(), bytearray(), ([],), (1, {}), Point(1, 2)], ids=repr)
def test_unhashable_keys(key: Any) -> None:
    d = Dict(a=1)
    attempts: list[Operation] = [
        *(lambda d: d[key], put(key, 1), drop(key), lambda d: d.get(key), lambda d: key in d),
        *(lambda d: d.pop(key), lambda d: d.pop(key, 1), lambda d: d.setdefault(key)),
        *(lambda d: d.increment(key), lambda d: d.compare_exchange(key, 1, 2)),
        *(lambda d: d.get_many([key]), lambda d: d.mutate(key, bool, 1)),
    ]
    for attempt in attempts:
        with unchanged(d, TypeError):
            attempt(d)
    with pytest.raises(TypeError, match="unhashable type"):
        d[key]


def test_values_of_all_sorts() -> None:
    d, other = Dict(), {}
    for number, value in enumerate(VALUES):
        d[number] = d["same"] = value
        other[number] = value
        found = d["same"]
        assert (type(found), found) == (type(value), value)
    del d["same"]
    assert plain(d) == other
    for number, value in enumerate(reversed(VALUES)):  # each in the room of another
        d[number] = value
    assert plain(sent(d)) == dict(enumerate(reversed(VALUES)))
    d.check()


def test_a_value_is_a_copy() -> None:
    given = [1]
    d = Dict(a=given)
    given.append(2)
    d["a"].append(3)
    assert d["a"] == [1]
    assert type(d.copy()) is dict
    assert type(d | {}) is dict


def test_iteration_is_over_a_snapshot() -> None:
    d = Dict({n: n for n in range(100)})
    views: list[Operation] = [iter, lambda d: d.keys()]
    for view in views:
        seen = []
        for key in view(d):
            seen.append(key)
            d[f"new {key}"] = 1
            d.pop(f"new {key - 1}", None)
        assert seen[:100] == list(range(100))
        d.pop("new 99", None)
    for key in d:
        del d[key]
    assert not d


def test_views_are_live() -> None:
    d = Dict(a=1)
    keys, values, items = d.keys(), d.values(), d.items()
    d["b"] = 2
    del d["a"]
    assert (list(keys), list(values), list(items)) == (["b"], [2], [("b", 2)])
    for view, abc in [(keys, "KeysView"), (values, "ValuesView"), (items, "ItemsView")]:
        assert isinstance(view, getattr(collections.abc, abc))
    assert isinstance(d, collections.abc.MutableMapping)


def test_fromkeys() -> None:
    d = Dict.fromkeys("aba", [])
    assert type(d) is Dict
    assert plain(d) == {"a": [], "b": []}
    assert plain(Dict.fromkeys([1])) == {1: None}


def test_every_method_says_what_it_takes() -> None:
    """What help() and editors show: a signature, with the defaults that there are."""
    for name in ("Dict", "NestedDict", "Counter", "List", "Deque", "Set"):
        for member in dir(getattr(cy, name)):
            method = getattr(getattr(cy, name), member)
            if callable(method) and not member.startswith("_"):
                inspect.signature(method)
    for class_ in (cy.Dict, cy.NestedDict, cy.Counter):
        assert [
            (p.name, p.default) for p in inspect.signature(class_.increment).parameters.values()
        ][2:] == [("n", 1), ("default", 0)]


def test_a_closed_one_says_so() -> None:
    d = Dict(a=1)
    d.close()
    assert repr(d) == "<courtyard.Dict: closed>"


def test_get_many_and_set_many() -> None:
    d = Dict(a=1, b=2, c=3)
    assert list(d.get_many(["c", "no", "a"]).items()) == [("c", 3), ("a", 1)]
    d.set_many({"a": 9, "z": 8})
    assert list(d.items()) == [("a", 9), ("b", 2), ("c", 3), ("z", 8)]
    with unchanged(d, ZeroDivisionError):
        d.set_many({"b": 5, "y": Unpicklable()})
    with unchanged(d, TypeError):
        d.set_many(5)


def test_what_fails_changes_nothing() -> None:
    d = Dict(a=1, b="text" * 1000)
    failures: list[Operation] = [
        *(put("a", Unpicklable()), put("new", Unpicklable()), put("b", [Unpicklable()])),
        *(lambda d: d.setdefault("new", Unpicklable()), lambda d: d.set_many({"b": Unpicklable()})),
        *(lambda d: d.update(c=1, d=Unpicklable()), lambda d: ior(d, {"a": 2, "e": Unpicklable()})),
        *(lambda d: d.wait_for(lambda d: 1 // 0), lambda d: d.wait_for(Unwilling())),
    ]
    for failure in failures:
        with unchanged(d, ZeroDivisionError):
            failure(d)
    with unchanged(d, (TypeError, AttributeError, pickle.PicklingError)):
        d["a"] = lambda: 1


def test_version_and_wait_for() -> None:
    d = Dict(a=1)
    seen = {d.version}
    for change in (put("a", 2), put("b", 1), drop("b"), lambda d: d.increment("a")):
        change(d)
        assert d.version not in seen
        seen.add(d.version)
    before = d.version
    _ = d["a"], d.get("no"), list(d), len(d), d.pop("no", 1)
    assert d.version == before
    assert d.wait_for({"a": 3}, timeout=0) is True
    assert d.wait_for({"a": 4}, timeout=0.01) is False
    assert d.wait_for(lambda d: d.get("a"), 0) == 3
    thread = threading.Thread(target=d.increment, args=("b",))
    thread.start()
    assert d.wait_for(lambda d: "b" in d, timeout=20) is True
    thread.join()
    assert cy.wait_for(d, lambda d: len(d), 0) == 2
    assert cy.version(d) == d.version


def test_repr_and_names() -> None:
    d = Dict(a=1)
    assert "Dict" in repr(d) and "{'a': 1}" in repr(d)
    assert d.name is None
    for name in dir(dict):
        assert hasattr(Dict, name), name
    assert Dict[str, int]


def add_many(d: Any, times: int) -> None:
    for number in range(times):
        d.increment("n")
        d[f"{number % 7}"] = "x" * number
        d.mutate("l", lambda n: n + 1, 0)
        with d.get_lock():
            d["guarded"] = d.get("guarded", 0) + 1


def test_among_processes(ctx: BaseContext) -> None:
    d = Dict(n=0)
    join(*[start(ctx, add_many, d, 100) for _ in range(3)])
    assert (d["n"], d["l"], d["guarded"]) == (300, 300, 300)
    assert d["6"] in {"x" * 97}
    d.check()


def test_get_lock_holds_writers_off_and_not_readers() -> None:
    d = Dict(a=1)
    with d.get_lock():
        thread = threading.Thread(target=d.increment, args=("a", 10))
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        assert d["a"] == 1
        d["a"] += 1
        d.increment("a")
    thread.join(20)
    assert d["a"] == 13


class ChangesIts:
    """A value that changes the dict that it is in while it is pickled."""

    def __init__(self, other: dict[str, Any]) -> None:
        self.other = other

    def __reduce__(self) -> Any:
        self.other.clear()
        self.other["another"] = 1
        return (int, (7,))


def test_a_dict_that_changes_while_it_is_stored() -> None:
    other: dict[str, Any] = {"a": 1, "b": "text" * 9}
    other |= {"c": ChangesIts(other), "d": 4}
    d: Any = cy.Dict(a=0)
    d.update(other)
    assert d.copy() == {"a": 1, "b": "text" * 9, "c": 7, "d": 4}
    assert list(other) == ["another"]


@pytest.mark.parametrize("length", [0, 7, 8, 100, 128, 129, 500, 520, 600, 1024, 1025, 40_000])
def test_values_of_all_lengths_in_place_of_others_many(length: int) -> None:
    before = {f"key {n}": "x" * (n * 37 % 700) for n in range(40)}
    d: Any = cy.Dict(before)
    blocks = []
    for byte in (b"1", b"2", b"3"):
        new = {key: byte * length for key in before} | {f"new {n}": byte for n in range(5)}
        d.update(new)
        assert d.copy() == new
        blocks.append(d.statistics().blocks)
    assert blocks[1] == blocks[2]
    d.check()


def test_a_batch_on_a_table_that_is_full_here_and_there() -> None:
    d: Any = cy.Dict()
    expected: dict[int, int] = {}
    for size in (1, 2, 3, 7, 50, 11, 300, 5, 2000, 3):
        new = {len(expected) - 2 + n: size for n in range(size)}
        d.update(new)
        expected.update(new)
        assert d.copy() == expected
        assert list(d) == list(expected)
