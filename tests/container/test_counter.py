"""Counter beside collections.Counter."""

import collections
import operator
import types
from multiprocessing.context import BaseContext
from typing import Any

import pytest

from tests.support.builtin import (
    Operation,
    Unpicklable,
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

Counter: Any = shared("Counter")
pytestmark = [needs("Counter"), pytest.mark.usefixtures("module_home")]


def place(name: str, other: Any) -> Operation:
    return lambda c: getattr(c, name)(other)


FORMS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    (("gallahad",), {}),
    (({"a": 3, "b": -1},), {}),
    ((), {"a": 4, "b": 2, "self": 1, "iterable": 2}),
    (({"a": 1},), {"a": 5}),
    ((5,), {}),
    (([[]],), {}),
    ((None,), {"z": 1}),
    ((1, 2), {}),
]


@pytest.mark.parametrize(("args", "kwargs"), FORMS, ids=repr)
def test_the_forms_of_the_constructor(args: Any, kwargs: Any) -> None:
    expected = outcome(lambda _: collections.Counter(*args, **kwargs), None)
    assert outcome(lambda _: Counter(*args, **kwargs), None) == expected


def test_init_called_again_adds() -> None:
    for cls in (Counter, collections.Counter):
        c: Any = cls("ab")
        c.__init__("aac")
        c.__init__({"a": 5}, b=2)
        c.__init__()
        assert c == {"a": 8, "b": 3, "c": 1}


OPERATIONS: list[Operation] = [
    *(len, list, dict, hash, lambda c: c["a"], lambda c: c["no"], lambda c: c.get("no")),
    *(
        lambda c: "no" in c,
        lambda c: c[[]],
        lambda c: c.update("abc"),
        lambda c: c.update({"a": 5}),
    ),
    *(lambda c: c.update(a=1, self=2), lambda c: c.update(None), lambda c: c.update(5)),
    *(lambda c: c.subtract("aab"), lambda c: c.subtract({"b": 9}), lambda c: c.subtract(z=1)),
    *(lambda c: c.most_common(), lambda c: c.most_common(2), lambda c: c.total()),
    *(lambda c: sorted(c.elements()), lambda c: c.copy(), lambda c: +c, lambda c: -c),
    *(place("__add__", collections.Counter("ab")), place("__sub__", collections.Counter("ab"))),
    *(place("__and__", collections.Counter("ab")), place("__or__", collections.Counter("ab"))),
    *(place("__eq__", collections.Counter("ab")), place("__le__", collections.Counter("ab"))),
    *(place("__ge__", collections.Counter()), place("__lt__", 5), place("__add__", 5)),
    *(lambda c: c == {"a": 1}, lambda c: c != {}, lambda c: c.__setitem__("n", 0)),
    *(lambda c: c == collections.Counter({**c, "n": 0}), lambda c: c.__delitem__("no")),
    *(lambda c: c.__delitem__("a"), lambda c: c.pop("b"), lambda c: c.setdefault("s", 3)),
    *(place("__iadd__", collections.Counter("abq")), place("__isub__", collections.Counter("q"))),
    *(place("__ior__", collections.Counter("xyz")), place("__iand__", collections.Counter("xy"))),
    *(lambda c: c.popitem(), lambda c: c.clear(), lambda c: c.most_common(), lambda c: c.total()),
]


@pytest.mark.parametrize("initial", ["", "abracadabra", {"a": -2, "b": 0, "c": 1.5}], ids=repr)
def test_the_same_calls(initial: Any) -> None:
    compare(Counter(initial), collections.Counter(initial), OPERATIONS)


MAPPINGS: list[Any] = [
    {"a": 1, "q": 2},
    collections.OrderedDict(q=3, a=0),
    collections.UserDict(a=9),
    types.MappingProxyType({"a": 7, "c": -4}),
    collections.Counter(a=1, b=7),
    [("a", 1)],
    {"a"},
    5,
]
SIGNS = [operator.add, operator.sub, operator.or_, operator.and_, operator.eq, operator.ne]
SIGNS += [operator.le, operator.lt, operator.ge, operator.gt]
IN_PLACE = [operator.iadd, operator.isub, operator.ior, operator.iand]
if hasattr(collections.Counter, "__xor__"):  # from Python 3.15 on
    SIGNS.append(operator.xor)
    IN_PLACE.append(operator.ixor)


@pytest.mark.parametrize("sign", [*SIGNS, *IN_PLACE], ids=lambda sign: sign.__name__)
@pytest.mark.parametrize("other", MAPPINGS, ids=repr)
@pytest.mark.parametrize("counts", [{"a": 5, "c": -1}, {"a": 5}, {}], ids=repr)
def test_operators_take_the_mappings_that_collections_takes(
    counts: Any, other: Any, sign: Any
) -> None:
    sides: list[Operation] = [lambda c: sign(c, other), lambda c: sign(other, c)]
    for operation in sides[: 1 if sign in IN_PLACE else 2]:
        ours, theirs = Counter(counts), collections.Counter(counts)
        expected = outcome(operation, theirs)
        assert outcome(operation, ours) == expected
        # What collections leaves half done when it raises, courtyard does not begin.
        after = counts if expected[0] == "raised" else theirs
        assert plain(ours) == collections.Counter(after)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ({"a": 5, "b": 3, "c": 2, "d": 2}, {"a": 1, "b": 3, "c": 5, "e": 1}, "aaaacccdde"),
        ({"a": -2, "b": 0}, {"c": -1, "a": 1}, "aaac"),
        ({"a": 1}, {"a": 1}, ""),
        ({}, {"a": 2}, "aa"),
    ],
)
def test_symmetric_difference_is_on_every_python(
    left: dict[str, int], right: dict[str, int], expected: str
) -> None:
    ours, theirs = Counter(left), collections.Counter(right)
    for made in (ours ^ theirs, theirs ^ ours, ours ^ Counter(right)):
        assert type(made) is collections.Counter
        assert made == collections.Counter(expected)
    assert (ours, theirs) == (collections.Counter(left), collections.Counter(right))
    changed = ours
    changed ^= theirs
    assert changed is ours
    assert plain(ours) == dict(collections.Counter(expected))
    with pytest.raises(TypeError):
        ours ^ 5


def test_a_missing_count_is_zero_and_not_stored() -> None:
    c = Counter("a")
    assert c["no"] == 0
    assert "no" not in c
    c["no"] += 1
    assert sent(c)["no"] == 1
    assert type(c.copy()) is type(c + c) is type(+c) is collections.Counter
    with pytest.raises(NotImplementedError):
        Counter.fromkeys("ab")


def test_increment() -> None:
    c = Counter()
    assert [c.increment("a"), c.increment("a", 2), c.increment("b", -1)] == [1, 3, -1]
    assert plain(c) == {"a": 3, "b": -1}


def test_what_fails_changes_nothing() -> None:
    c = Counter("aab")
    for wrong in ([["x"]], ["a", []], 5):
        with unchanged(c, TypeError):
            c.update(wrong)
    with unchanged(c, ZeroDivisionError):
        c["x"] = Unpicklable()
    with unchanged(c, TypeError):
        c.update({"a": "text"})


def count(c: Any, text: str) -> None:
    for _ in range(60):
        c.update(text)
        c.increment("n")
        c.subtract(s=1)


def test_updates_are_atomic(ctx: BaseContext) -> None:
    c = Counter()
    join(*[start(ctx, count, c, "aab") for _ in range(3)])
    assert plain(c) == {"a": 360, "b": 180, "n": 180, "s": -180}
    assert told(sent(c)) == told(c)
    assert c.wait_for(lambda c: c.total() == 540, 0) is True
    assert c.wait_for(collections.Counter("a"), 0.01) is False
    for name in set(dir(collections.Counter)) - {"__dict__", "__weakref__", "_keep_positive"}:
        assert hasattr(c, name), name
    c.check()


BIG = 1 << 60  # beyond it an int takes a block


@pytest.mark.parametrize("method", ["update", "subtract"])
@pytest.mark.parametrize(
    ("before", "other"),
    [
        ({"a": 1, "b": 2}, {"a": 10, "b": 20}),  # all are known, and words
        ({"a": 1}, {"a": 10, "b": 20, 7: 1, -1: 3}),  # some are new
        ({}, {f"key {n}": n for n in range(500)}),
        ({f"key {n}": n for n in range(500)}, {f"key {n}": -n for n in range(0, 500, 3)}),
        ({"a": BIG - 1, "b": -BIG}, {"a": 1, "b": -1}),  # the sums are too large for words
        ({"a": BIG * 8, "b": 1}, {"b": 1, "a": 1}),
        ({"a": 1}, {"a": BIG * 8, "b": -BIG * 8}),
        ({"a": 1.5, "b": 1}, {"b": 1, "a": 1}),
        ({"a": 1, "b": 1}, {"b": 1, "a": 0.25}),
        ({"a": True, True: 1}, {"a": True, 1.0: 1}),
        ({(1, "a"): 1, None: 2}, {(1, "a"): 5, None: 1, frozenset("ab"): 1}),
        ({"\u00e9": 1, "\u4e2d" * 9: 2}, {"\u00e9": 5, "\u4e2d" * 9: 1}),
    ],
    ids=range(12),
)
def test_counts_are_added_as_in_collections(method: str, before: Any, other: Any) -> None:
    shared, expected = Counter(before), collections.Counter(before)
    given = dict(other)
    for _ in range(2):
        getattr(shared, method)(other)
        getattr(expected, method)(other)
        assert shared.copy() == expected
        assert list(shared) == list(expected)
        assert [type(n) for n in shared.values()] == [type(n) for n in expected.values()]
    assert other == given
    shared.check()


def test_what_cannot_be_added_changes_nothing() -> None:
    c = Counter({"a": 1, "b": "text", "z": 5})
    for other in ({"a": 1, "b": 1}, {"a": 1, "b": None}, {"a": 1, "z": "text"}):
        with pytest.raises(TypeError):
            c.update(other)
    assert dict(c) == {"a": 1, "b": "text", "z": 5}


def add_rounds(c: Any, rounds: int) -> None:
    for number in range(rounds):
        c.update({f"{number}": 1, f"{number + 1}": 2, "all": 1})


def test_no_count_is_lost_where_two_add_to_what_is_new(ctx: BaseContext) -> None:
    c, rounds = Counter(), 300
    workers = [start(ctx, add_rounds, c, rounds) for _ in range(3)]
    join(*workers)
    assert c["all"] == 3 * rounds
    assert (c["0"], c[str(rounds)]) == (3, 6)
    assert all(c[str(number)] == 9 for number in range(1, rounds))


def test_what_cannot_be_added_to_a_number_is_no_count() -> None:
    for value in ("x", None, [1]):
        mine, plain_one = Counter(a=1), collections.Counter(a=1)
        for c in (mine, plain_one):
            with pytest.raises(TypeError):
                c.update({"b": value})
            with pytest.raises(TypeError):
                c.subtract({"b": value})
        assert plain(mine) == plain_one == {"a": 1}
    mine = Counter(a=1)
    mine.update(b=0.5, c=True)
    assert dict(mine) == {"a": 1, "b": 0.5, "c": 1}
