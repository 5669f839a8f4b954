"""What a type checker makes of containers: mypy, which `make check` runs, reads these lines.

When they run they show that what is said is true.
"""

from collections.abc import Mapping, MutableMapping, MutableSequence, MutableSet
from typing import Any, assert_type

import courtyard as cy


def test_a_dict() -> None:
    d: cy.Dict[str, int] = cy.Dict()
    d["a"] = 1
    assert_type(d["a"], int)
    assert_type(d.get("a"), int | None)
    assert_type(d.get("a", 0), int)
    assert_type(d.get("a", None), int | None)
    assert_type(d.setdefault("a", 2), int)
    assert_type(d.increment("a"), int)
    assert_type(d.mutate("a", lambda n: n + 1), int)
    assert_type(d.mutate("b", lambda n: n + 1, default=0), int)
    assert_type(d.get_many(["a", "b"]), dict[str, int])
    assert_type(list(d), list[str])
    assert_type(list(d.values()), list[int])
    assert_type(list(d.items()), list[tuple[str, int]])
    assert_type(d.copy(), dict[str, int])
    assert_type(d | {b"c": 1.5}, dict[str | bytes, int | float])
    assert_type(dict(d), dict[str, int])
    assert_type(d.popitem(), tuple[str, int])
    assert_type(d.pop("a"), int)
    assert_type(d.pop("a", None), int | None)
    with d.get_lock() as held:
        assert_type(held, bool)

    assert_type(cy.Dict(a=1), cy.Dict[str, int])
    assert_type(cy.Dict({1: "x"}), cy.Dict[int, str])
    assert_type(cy.Dict([(1, "x")]), cy.Dict[int, str])
    assert_type(cy.Dict(d), cy.Dict[str, int])
    assert_type(cy.Dict(), cy.Dict[Any, Any])
    assert_type(cy.Dict.fromkeys("ab", 0), cy.Dict[str, int])
    nested: cy.NestedDict[str, Any] = cy.NestedDict(a={"b": 1})
    assert_type(nested["a"], Any)

    def wrong() -> None:
        d[1] = 1  # type: ignore[index]
        d["a"] = "x"  # type: ignore[assignment]
        d.setdefault("a", "x")  # type: ignore[arg-type]

    assert callable(wrong)


def test_a_list_and_a_deque() -> None:
    x = cy.List([1, 2, 3])
    assert_type(x, cy.List[int])
    assert_type(x[0], int)
    assert_type(x[1:], list[int])
    assert_type(list(x), list[int])
    assert_type(x.pop(), int)
    x[:1] = [4, 5]
    d = cy.Deque("abc", maxlen=3)
    assert_type(d, cy.Deque[str])
    assert_type(d[0], str)
    assert_type(d.popleft(), str)

    def wrong() -> None:
        x.append("x")  # type: ignore[arg-type]
        x[0] = "x"  # type: ignore[call-overload]
        d.appendleft(1)  # type: ignore[arg-type]

    assert callable(wrong)


def test_a_set_and_a_counter() -> None:
    s = cy.Set("ab")
    assert_type(s, cy.Set[str])
    assert_type(s | {1}, set[str | int])
    assert_type(s & {"a"}, set[str])
    assert_type(s.union([1]), set[str | int])
    assert_type(list(s), list[str])
    assert_type(s.pop(), str)
    c = cy.Counter("abca")
    assert_type(c, cy.Counter[str])
    assert_type(c["a"], int)
    assert_type(c.most_common(1), list[tuple[str, int]])
    assert_type(cy.Counter(a=1), cy.Counter[str])

    def wrong() -> None:
        s.add(1)  # type: ignore[arg-type]
        c[1] = 1  # type: ignore[index]

    assert callable(wrong)


def test_they_stand_for_the_abstract_ones() -> None:
    def first(mapping: Mapping[str, int]) -> str:
        return next(iter(mapping))

    def put(
        mapping: MutableMapping[str, int], row: MutableSequence[int], s: MutableSet[int]
    ) -> None:
        mapping["b"] = 2
        row.append(2)
        s.add(2)

    d, x, s = cy.Dict(a=1), cy.List([1]), cy.Set([1])
    put(d, x, s)
    put(d, cy.Deque([1]), s)
    put(cy.Counter(a=1), x, s)
    assert first(d) == "a"
    assert (d["b"], x[1], 2 in s) == (2, 2, True)


def test_a_namespace() -> None:
    ns = cy.Namespace(x=1)
    ns.values = [ns.x]  # a name of the user's, whatever it is elsewhere
    ns.name, ns.get, ns.check = "n", 1, 2
    assert (ns.values, ns.name, ns.get, ns.check) == ([1], "n", 1, 2)
