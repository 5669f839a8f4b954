"""Each container beside the builtin that it is named after, through operations in any order."""

import collections
import operator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.builtin import Operation, needs, outcome, plain, sent, shared, told

numbers = st.integers(-4, 4)
keys = (
    numbers
    | st.sampled_from(["a", "b", b"a", "é", None, 1.0, -0.0, True, 2.5, (1, "a"), (), "k" * 300])
    | st.text(max_size=3)
    | st.integers(-(2**70), 2**70)
    | st.frozensets(numbers, max_size=2)
)
values = st.recursive(
    st.none()
    | numbers
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from(["x" * 1000, "y" * 1100, b"z" * 70_000, 0.0, True]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=3,
)
pairs = st.dictionaries(keys, values, max_size=4)
spots = st.integers(-9, 9)
ends = st.none() | spots
slices = st.builds(slice, ends, ends, st.none() | st.sampled_from([1, 2, -1, -3]))


def call(name: str, *strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Return the strategy of a call: a method's name and its arguments."""
    return st.tuples(st.just(name), *strategies)


def inplace(name: str, other: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), other)


MAPPING = (
    call("__getitem__", keys)
    | call("__setitem__", keys, values)
    | call("__delitem__", keys)
    | call("__setitem__", keys, values)
    | call("__contains__", keys)
    | call("get", keys, values)
    | call("pop", keys)
    | call("pop", keys, values)
    | call("popitem")
    | call("popitem", st.booleans())
    | call("move_to_end", keys)
    | call("move_to_end", keys, st.booleans())
    | call("clear")
    | call("setdefault", keys, values)
    | call("update", pairs)
    | call("__len__")
    | call("__or__", pairs)
    | inplace("__ior__", pairs)
    | call("__eq__", pairs)
)
SEQUENCE = (
    call("__getitem__", spots)
    | call("__setitem__", spots, values)
    | call("__delitem__", spots)
    | call("append", values)
    | call("append", values)
    | call("pop")
    | call("clear")
    | call("extend", st.lists(values, max_size=5))
    | call("insert", spots, values)
    | call("remove", values)
    | call("index", values)
    | call("count", values)
    | call("reverse")
    | call("__contains__", values)
    | inplace("__imul__", st.integers(-1, 2))
    | call("__len__")
    | inplace("__iadd__", st.lists(values, max_size=3))
)
SLICED = (
    call("__getitem__", slices)
    | call("__delitem__", slices)
    | call("pop", spots)
    | call("__setitem__", slices, st.lists(values, max_size=6))
    | call("__mul__", spots)
    | call("__eq__", st.lists(values, max_size=2))
    | call("__add__", st.lists(values, max_size=2))
)
others = st.sets(keys, max_size=6)
SET = (
    call("add", keys)
    | call("add", keys)
    | call("remove", keys)
    | call("discard", keys)
    | call("__contains__", keys)
    | call("clear")
    | call("__len__")
    | st.sampled_from(
        [
            "update",
            "intersection_update",
            "difference_update",
            "symmetric_difference_update",
            "union",
            "intersection",
            "difference",
            "symmetric_difference",
            "issubset",
            "issuperset",
            "isdisjoint",
            "__or__",
            "__and__",
            "__sub__",
            "__xor__",
            "__ior__",
            "__iand__",
            "__isub__",
            "__ixor__",
            "__eq__",
            "__le__",
            "__gt__",
        ]
    ).flatmap(lambda name: call(name, others))
)
RING = (
    call("appendleft", values)
    | call("popleft")
    | call("rotate", spots)
    | call("extendleft", st.lists(values, max_size=5))
)
counts = st.dictionaries(keys, numbers, max_size=4)
COUNTER = (
    call("__getitem__", keys)
    | call("__setitem__", keys, numbers)
    | call("__delitem__", keys)
    | call("update", counts | st.lists(keys, max_size=4))
    | call("total")
    | call("clear")
    | call("subtract", counts | st.lists(keys, max_size=4))
    | call("pop", keys)
    | call("popitem")
    | st.sampled_from(
        ["__add__", "__sub__", "__and__", "__or__", "__iadd__", "__isub__", "__eq__", "__le__"]
        + [name for name in ("__xor__", "__ixor__") if hasattr(collections.Counter, name)]
    ).flatmap(lambda name: call(name, counts.map(collections.Counter)))
)
lists = st.lists(values, max_size=4)


class Ordered(dict[Any, Any]):
    """A dict with what OrderedDict has beyond it; compared without the order, as a dict."""

    def popitem(self, last: bool = True) -> Any:
        if not self:
            return super().popitem()  # which says so in its own words
        return self._in_order(lambda ordered: ordered.popitem(last))

    def move_to_end(self, key: Any, last: bool = True) -> None:
        if key not in self:
            raise KeyError(key)  # OrderedDict takes a key that is a tuple for the arguments
        self._in_order(lambda ordered: ordered.move_to_end(key, last))

    def _in_order(self, change: Any) -> Any:
        ordered = collections.OrderedDict(self)
        result = change(ordered)
        self.clear()
        self.update(ordered)
        return result


# What is made, the builtin, what both begin as, what is called.
KINDS: dict[str, tuple[Any, Any, st.SearchStrategy[Any], st.SearchStrategy[Any]]] = {
    "Dict": (shared("Dict"), Ordered, st.tuples(pairs), MAPPING),
    "List": (shared("List"), list, st.tuples(lists), SEQUENCE | SLICED),
    "Set": (shared("Set"), set, st.tuples(others), SET),
    "Deque": (
        shared("Deque"),
        collections.deque,
        st.tuples(lists, st.none() | st.integers(0, 5)),
        SEQUENCE | RING,
    ),
    "Counter": (shared("Counter"), collections.Counter, st.tuples(counts), COUNTER),
}


def shown(model: Any) -> Any:
    """Return what a model holds, as what it stands for shows it."""
    return told(dict(model) if isinstance(model, Ordered) else model)


def operation(name: str, *args: Any) -> Operation:
    return lambda container: getattr(container, name)(*args)


class Model(RuleBasedStateMachine):
    """Every call through either of two handles, or one more that a pickle made."""

    kind = ""

    @initialize(data=st.data())
    def make(self, data: st.DataObject) -> None:
        shared, builtin, initial, self.calls = KINDS[self.kind]
        args = data.draw(initial)
        self.model = builtin(*args)
        self.handles = [shared(*args)]
        self.handles.append(sent(self.handles[0]))
        self.versions = [self.handles[0].version]

    @rule(data=st.data())
    def call(self, data: st.DataObject) -> None:
        handle = data.draw(st.sampled_from(self.handles))
        change = operation(*data.draw(self.calls))
        before, version = shown(self.model), handle.version
        assert outcome(change, handle) == outcome(change, self.model)
        if shown(self.model) != before:
            assert handle.version != version

    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        self.handles.append(sent(data.draw(st.sampled_from(self.handles))))
        if len(self.handles) > 4:
            self.handles.pop(0).close()

    @invariant()
    def both_are_equal(self) -> None:
        if hasattr(self, "model"):
            handle = self.handles[-1]
            assert told(plain(handle)) == shown(self.model)
            assert operator.eq(handle, self.model) is True

    def teardown(self) -> None:
        for handle in getattr(self, "handles", []):
            handle.check()


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=needs(kind)) for kind in KINDS])
def test_a_container_is_its_model(kind: str) -> None:
    case: Any = type(kind, (Model,), {"kind": kind})
    case = case.TestCase
    case.settings = settings(
        max_examples=30,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],  # to shrink what fails would take longer than a test may
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    case("runTest").runTest()
