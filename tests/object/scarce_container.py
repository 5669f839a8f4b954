"""What containers do with hardly any memory: see `scarce`."""

import copy
import decimal
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import courtyard as cy
from tests.object.scarce import BIG, MANY, Foreign, Operation, named, some, texts


def mapping(d: Any, content: dict[Any, Any]) -> Iterator[tuple[str, Operation]]:
    """Operations of a Dict whose last key is one whose value is large, or that is large itself."""
    last = list(content)[-1]

    def as_was(_: bool) -> bool:
        return dict(d) == content and list(d) == list(content)

    def without(done: bool) -> bool:
        rest = dict(content)
        if done:
            del rest[last]
        is_well = dict(d) == rest
        d[last] = content[last]
        return is_well

    def added(done: bool) -> bool:
        found = dict(d)
        for key in found.keys() - content.keys():
            del d[key]
        return found == (content | more if done else content)

    more = {f"more {n}": value for n, value in enumerate(content.values())}
    yield "items", (lambda: list(d.items()), as_was)
    yield "values", (lambda: list(d.values()), as_was)
    yield "keys", (lambda: list(d), as_was)
    yield "reversed", (lambda: list(reversed(d)), as_was)
    yield "dict", (lambda: dict(d), as_was)
    yield "spread", (lambda: {**d}, as_was)
    yield "copy", (lambda: d.copy(), as_was)
    yield "deepcopy", (lambda: copy.deepcopy(d), as_was)
    yield "repr", (lambda: repr(d), as_was)
    yield "equal", (lambda: d == content, as_was)
    yield "key", (lambda: d[last], as_was)
    yield "get", (lambda: d.get(last), as_was)
    yield "get shown", (lambda: d.get(last, copy=False), as_was)
    yield "contains", (lambda: last in d, as_was)
    yield "get_many", (lambda: d.get_many(content), as_was)
    yield "setdefault", (lambda: d.setdefault(last, content[last]), as_was)
    yield "store", (lambda: d.__setitem__(last, content[last]), as_was)
    yield "mutate", (lambda: d.mutate(last, lambda value: value), as_was)
    yield (
        "compare_exchange",
        (lambda: d.compare_exchange(last, content[last], content[last]), as_was),
    )
    yield "or", (lambda: d | content, as_was)
    yield "update", (lambda: d.update(content), as_was)
    yield "set_many", (lambda: d.set_many(content), as_was)
    yield "update new", (lambda: d.update(more), added)
    yield "or new", (lambda: d.__ior__(more), added)
    yield "del", (lambda: d.__delitem__(last), without)
    yield "pop", (lambda: d.pop(last), without)
    yield "popitem", (lambda: d.popitem(), without)
    yield "new", (lambda: type(d)(content), as_was)
    yield "pickle", (lambda: pickle.dumps(d), as_was)


def dicts() -> Iterator[tuple[str, Operation]]:
    for form, value in some().items():
        content = {"small": 1, "large": value}
        yield from named(form, mapping(cy.Dict(content), content))


def keys() -> Iterator[tuple[str, Operation]]:
    large: dict[str, Any] = {
        "text": "k" * BIG,
        "tuple": tuple(range(MANY)),
        "frozenset": frozenset(range(MANY // 4)),
        "pickle": Foreign("k" * (BIG // 2)),
        "original": (True, "k" * (BIG // 2)),
        "decimal": (decimal.Decimal("1." + "3" * (BIG // 8)), 1),
    }
    for form, key in large.items():
        content = {"small": 1, key: 2}
        yield from named(f"key {form}", mapping(cy.Dict(content), content))


def many() -> Iterator[tuple[str, Operation]]:
    for form, content in (
        ("texts", {f"key {n}": f"value {n}" for n in range(MANY)}),
        ("numbers", {n: n for n in range(MANY)}),
        ("bools", {(True, n): [n] for n in range(MANY // 4)}),
        ("longer", {n: "v" * 200 for n in range(MANY // 4)}),
    ):
        yield from named(f"many {form}", mapping(cy.Dict(content), content))


def sets() -> Iterator[tuple[str, Operation]]:
    yield from named("large", members({"small", "k" * BIG}))
    yield from named("many", members(set(range(MANY))))
    yield from named("texts", members({f"key {n}" for n in range(MANY)}))
    yield from named("counter", counter({f"key {n}": n for n in range(MANY)} | {"k" * BIG: 1}))


def members(content: set[Any]) -> Iterator[tuple[str, Operation]]:
    s: Any = cy.Set(content)
    fewer, more = set(list(content)[::2]), {f"more {each}" for each in content}

    def leaves(expected: set[Any]) -> Callable[[bool], bool]:
        def is_well(done: bool) -> bool:
            found = set(s)
            if found != content:
                s.clear()
                s.update(content)
            return found == (expected if done else content)

        return is_well

    def fewer_by_one(done: bool) -> bool:
        found = set(s)
        s.update(content)
        return len(content - found) == done and found <= content

    as_was = leaves(content)
    yield "set", (lambda: set(s), as_was)
    yield "copy", (lambda: s.copy(), as_was)
    yield "repr", (lambda: repr(s), as_was)
    yield "union", (lambda: s | more, as_was)
    yield "intersection", (lambda: s & fewer, as_was)
    yield "difference", (lambda: s - fewer, as_was)
    yield "symmetric_difference", (lambda: s ^ more, as_was)
    yield "equal", (lambda: s == content, as_was)
    yield "isdisjoint", (lambda: s.isdisjoint(more), as_was)
    yield "update", (lambda: s.update(more), leaves(content | more))
    yield "intersection_update", (lambda: s.intersection_update(fewer), leaves(fewer))
    yield "difference_update", (lambda: s.difference_update(fewer), leaves(content - fewer))
    other = fewer | more
    yield "turn", (lambda: s.symmetric_difference_update(other), leaves(content ^ other))
    yield "pop", (lambda: s.pop(), fewer_by_one)


def counter(counts: dict[str, int]) -> Iterator[tuple[str, Operation]]:
    c: Any = cy.Counter(counts)

    def counted(times: int) -> Callable[[bool], bool]:
        def is_well(done: bool) -> bool:
            found = dict(c)
            c.set_many(counts)
            return found == ({k: n * times for k, n in counts.items()} if done else counts)

        return is_well

    yield "update", (lambda: c.update(counts), counted(2))
    yield "subtract", (lambda: c.subtract(counts), counted(0))
    yield "most_common", (lambda: c.most_common(), counted(1))
    yield "copy", (lambda: c.copy(), counted(1))
    yield "add", (lambda: c + c, counted(1))
    yield "total", (lambda: c.total(), counted(1))


def lists() -> Iterator[tuple[str, Operation]]:
    contents: list[tuple[str, list[Any]]] = [
        ("many", list(range(MANY * 4))),
        ("texts", [f"element {n} of many" for n in range(MANY)]),
    ]
    contents += [(form, [1, value]) for form, value in some().items()]
    contents += [("first", [texts()["pickle"], 1])]
    for form, content in contents:
        for cls in (cy.List, cy.Deque):
            x: Any = cls(content)
            yield from named(f"{cls.__name__} {form}", sequence(x, content))


def sequence(x: Any, content: list[Any]) -> Iterator[tuple[str, Operation]]:
    def leaves(expected: list[Any]) -> Callable[[bool], bool]:
        def is_well(done: bool) -> bool:
            found = list(x)
            if found != content:
                x.clear()
                x.extend(content)
            return found == (expected if done else content)

        return is_well

    as_was = leaves(content)
    yield "list", (lambda: list(x), as_was)
    yield "copy", (lambda: x.copy(), as_was)
    yield "repr", (lambda: repr(x), as_was)
    yield "equal", (lambda: x == content, as_was)
    yield "element", (lambda: x[-1], as_was)
    yield "reversed", (lambda: list(reversed(x)), as_was)
    yield "contains", (lambda: "no such" in x, as_was)
    yield "count", (lambda: x.count(0), as_was)
    yield "deepcopy", (lambda: copy.deepcopy(x), as_was)
    yield "append", (lambda: x.append(content[-1]), leaves([*content, content[-1]]))
    yield "set", (lambda: x.__setitem__(0, content[-1]), leaves([content[-1], *content[1:]]))
    yield "extend", (lambda: x.extend(content), leaves(content * 2))
    yield (
        "insert",
        (lambda: x.insert(1, content[-1]), leaves([content[0], content[-1], *content[1:]])),
    )
    yield "pop", (lambda: x.pop(), leaves(content[:-1]))
    yield "del", (lambda: x.__delitem__(0), leaves(content[1:]))
    yield "remove", (lambda: x.remove(content[0]), leaves(content[1:]))
    yield "reverse", (lambda: x.reverse(), leaves(content[::-1]))
    yield "times", (lambda: x.__imul__(2), leaves(content * 2))
    if isinstance(x, cy.Deque):
        yield "appendleft", (lambda: x.appendleft(content[-1]), leaves([content[-1], *content]))
        yield "popleft", (lambda: x.popleft(), leaves(content[1:]))
        yield "rotate", (lambda: x.rotate(1), leaves([content[-1], *content[:-1]]))
        yield "extendleft", (lambda: x.extendleft(content), leaves([*content[::-1], *content]))
        return
    middle = len(content) // 2
    yield "pop middle", (lambda: x.pop(middle), leaves(content[:middle] + content[middle + 1 :]))
    yield "slice", (lambda: x[:], as_was)
    yield "step", (lambda: x[::2], as_was)
    yield "assign", (lambda: x.__setitem__(slice(None), content), as_was)
    yield "assign step", (lambda: x.__setitem__(slice(None, None, 2), content[::2]), as_was)
    turned = slice(None, None, -1)
    yield "assign back", (lambda: x.__setitem__(turned, content), leaves(content[::-1]))
    yield "del step", (lambda: x.__delitem__(slice(None, None, 2)), leaves(content[1::2]))
    yield "del slice", (lambda: x.__delitem__(slice(0, middle)), leaves(content[middle:]))
    yield "sort", (lambda: x.sort(key=id), lambda _: leaves(list(x))(True))
