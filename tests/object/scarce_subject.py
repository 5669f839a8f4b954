"""What each subject does with hardly any memory: `python -m tests.object.scarce_subject NAME`."""

import copy
import ctypes
import pickle
import sys
from collections.abc import Callable, Iterator
from typing import Any

import courtyard as cy
from tests.object.scarce import BIG, MANY, Operation, named, plain, run, same, some, texts
from tests.object.scarce_container import dicts, keys, lists, many, sets


def values() -> Iterator[tuple[str, Operation]]:
    for form, content in texts().items():
        yield from named(form, value(content))


def value(content: Any) -> Iterator[tuple[str, Operation]]:
    v: Any = cy.Value(object, content)
    other = "other"

    def as_was(_: bool) -> bool:
        return same(v.value, content)

    def as_other(done: bool) -> bool:
        found = v.value
        v.value = content
        return same(found, other if done else content)

    yield "value", (lambda: v.value, as_was)
    yield "set", (lambda: v.set(content), as_was)
    yield "exchange", (lambda: v.exchange(other), as_other)
    yield "mutate", (lambda: v.mutate(lambda _: other), as_other)
    yield "repr", (lambda: repr(v), as_was)
    yield "copy", (lambda: cy.copy(v), as_was)
    if same(content, content) and plain(content) is content:
        yield "compare_exchange", (lambda: v.compare_exchange(content, other), as_other)
    if isinstance(content, list):

        def edit() -> None:
            with v.edit() as value:
                value.append(1)

        def edited(done: bool) -> bool:
            found = v.value
            v.value = content
            return same(found, [*content, 1] if done else content)

        yield "edit", (edit, edited)


def raw() -> Iterator[tuple[str, Operation]]:
    content = b"x" * BIG
    v: Any = cy.Value(ctypes.c_char * BIG, content)

    def as_was(_: bool) -> bool:
        return bool(v.value == content)

    yield "chars value", (lambda: v.value, as_was)
    yield "chars set", (lambda: v.set(content), as_was)
    yield "chars exchange", (lambda: v.exchange(content), as_was)
    yield "chars compare_exchange", (lambda: v.compare_exchange(content, content), as_was)
    yield "chars repr", (lambda: repr(v), as_was)

    class Struct(ctypes.Structure):
        _fields_ = (("numbers", ctypes.c_int * (BIG // 4)),)

    s: Any = cy.Value(Struct)
    yield "structure value", (lambda: s.get(), lambda _: True)
    yield "structure set", (lambda: s.set(Struct()), lambda _: True)
    yield "structure copy", (lambda: cy.copy(s), lambda _: True)
    yield from named("c", array("c", content))
    yield from named("u", array("u", "x" * (BIG // 4)))
    yield from named("i", array("i", range(BIG // 8)))
    yield from named("d", array("d", range(BIG // 8)))


def array(code: str, init: Any) -> Iterator[tuple[str, Operation]]:
    a: Any = cy.Array(code, init)
    before = a[:]
    half, turned = before[::2], before[::-1]

    def as_was(_: bool) -> bool:
        return bool(a[:] == before)

    yield "slice", (lambda: a[:], as_was)
    yield "step", (lambda: a[::2], as_was)
    yield "far", (lambda: a[::32], as_was)
    yield "back", (lambda: a[::-1], as_was)
    yield "assign", (lambda: a.__setitem__(slice(None), before), as_was)
    yield "assign step", (lambda: a.__setitem__(slice(None, None, 2), half), as_was)
    yield "assign back", (lambda: a.__setitem__(slice(None, None, -1), turned), as_was)
    yield "list", (lambda: list(a), as_was)
    yield "tolist", (lambda: a.tolist(), as_was)
    yield "tobytes", (lambda: a.tobytes(), as_was)
    yield "repr", (lambda: repr(a), as_was)
    yield "equal", (lambda: a == before, as_was)
    yield "copy", (lambda: cy.copy(a), as_was)
    yield "get_obj", (lambda: a.get_obj(), as_was)
    if code in "cu":
        yield "value", (lambda: a.value, as_was)
        yield "set value", (lambda: setattr(a, "value", before), as_was)
    if code == "c":
        yield "raw", (lambda: a.raw, as_was)


def queues() -> Iterator[tuple[str, Operation]]:
    contents: list[tuple[str, list[Any]]] = [
        ("many", list(range(MANY))),
        ("texts", [f"item {n} of many" for n in range(MANY)]),
        ("blocks", ["x" * 3000 for _ in range(3000)]),
    ]
    contents += [(form, [value, 1]) for form, value in some().items()]
    for form, content in contents:
        for cls in (cy.Queue, cy.LifoQueue, cy.SimpleQueue):
            yield from named(f"{cls.__name__} {form}", queue(cls(), content))
    order: list[Any] = [(-1, "x" * BIG), *((n, "y") for n in range(1000))]
    yield from named("PriorityQueue", queue(cy.PriorityQueue(), order))


def queue(q: Any, content: list[Any]) -> Iterator[tuple[str, Operation]]:
    is_lifo = isinstance(q, cy.LifoQueue)
    first = content[-1] if is_lifo else content[0]

    def refill() -> None:
        while not q.empty():
            q.get()
        for item in content:
            q.put(item)

    def leaves(expected: list[Any], more: list[Any] | None = None) -> Callable[[bool], bool]:
        def is_well(done: bool) -> bool:
            found = []
            while not q.empty():
                found.append(q.get())
            refill()
            wanted = expected if done else content
            return found == (wanted[::-1] if is_lifo else wanted)

        return is_well

    refill()
    as_was = leaves(content)
    rest = content[:-1] if is_lifo else content[1:]

    def lease() -> None:
        with q.lease() as item:
            assert item == first

    def fails() -> None:
        try:
            with q.lease():
                raise ValueError("goes back")
        except ValueError:
            pass

    yield "get", (lambda: q.get(), leaves(rest))
    if hasattr(q, "lease"):
        yield "peek", (lambda: q.peek(), as_was)
        yield "lease", (lease, lambda done: leaves(rest)(done) if done else as_was(done) or True)
        yield "lease back", (fails, lambda _: sorted_as_was(q, content, refill))
        yield "repr", (lambda: repr(q), as_was)

        def get_all() -> None:
            taken.clear()
            taken.extend(q.get_many(len(content)))

        taken: list[Any] = []

        def got(done: bool) -> bool:
            found = list(taken) if done else []
            while not q.empty():
                found.append(q.get())
            taken.clear()
            refill()
            return found == (content[::-1] if is_lifo else content)

        yield "get_many", (get_all, got)
        yield (
            "put_many",
            (lambda: q.put_many(content), lambda done: count_put(q, content, refill, done)),
        )
        yield "clear", (lambda: q.clear(), leaves([]))
    longer = [*content, content[0]]
    if isinstance(q, cy.PriorityQueue):
        longer.sort()
    yield "put", (lambda: q.put(content[0]), leaves(longer))
    while not q.empty():
        q.get()


def sorted_as_was(q: Any, content: list[Any], refill: Callable[[], None]) -> bool:
    found = []
    while not q.empty():
        found.append(q.get())
    refill()
    return len(found) == len(content) and all(item in found for item in content[:5])


def count_put(q: Any, content: list[Any], refill: Callable[[], None], done: bool) -> bool:
    count: int = q.qsize()
    refill()
    if done:
        return count == 2 * len(content)
    return len(content) <= count < 2 * len(content)


def linked() -> Iterator[tuple[str, Operation]]:
    lock = cy.Lock()
    value = [lock, "x" * BIG]

    def is_it(found: Any) -> bool:
        return bool(found[1] == value[1])

    v = cy.Value(object, value)
    d: Any = cy.Dict(k=value)
    x = cy.List([1, value])
    q = cy.Queue()
    q.put(value)
    yield "linked value", (lambda: v.value, lambda _: is_it(v.value))
    yield "linked set", (lambda: v.set(value), lambda _: is_it(v.value))
    yield "linked dict", (lambda: dict(d), lambda _: is_it(d["k"]))
    yield "linked key", (lambda: d["k"], lambda _: is_it(d["k"]))
    yield "linked store", (lambda: d.__setitem__("k", value), lambda _: is_it(d["k"]))
    yield "linked update", (lambda: d.update(k=value), lambda _: is_it(d["k"]))
    yield "linked element", (lambda: x[1], lambda _: is_it(x[1]))
    yield "linked list", (lambda: list(x), lambda _: is_it(x[1]))
    yield "linked repr", (lambda: repr(x), lambda _: is_it(x[1]))

    def popped(done: bool) -> bool:
        if done:
            d["k"] = value
        return is_it(d["k"])

    yield "linked pop", (lambda: d.pop("k"), popped)

    def shorter(done: bool) -> bool:
        if done:
            x.append(value)
        return is_it(x[1])

    yield "linked list pop", (lambda: x.pop(), shorter)
    yield "linked peek", (lambda: q.peek(), lambda _: is_it(q.peek()))

    def got(done: bool) -> bool:
        if done:
            q.put(value)
        return is_it(q.peek())

    yield "linked get", (lambda: q.get(), got)
    locks = [cy.Lock() for _ in range(3000)]
    d["many"] = locks
    yield "many links", (lambda: d["many"], lambda _: len(d["many"]) == len(locks))
    yield "many stored", (lambda: d.update(many=locks), lambda _: len(d["many"]) == len(locks))


def nested() -> Iterator[tuple[str, Operation]]:
    content = {
        "a": {"b": ["x" * BIG, {"c": list(range(MANY))}]},
        "d": {str(n): n for n in range(MANY)},
    }
    n: Any = cy.NestedDict(content)

    def as_was(_: bool) -> bool:
        return bool(n.to_plain() == content)

    yield "nested to_plain", (lambda: n.to_plain(), as_was)
    yield "nested repr", (lambda: repr(n), as_was)
    yield "nested deepcopy", (lambda: copy.deepcopy(n), as_was)
    yield "nested store", (lambda: n.__setitem__("a", content["a"]), as_was)
    yield "nested new", (lambda: cy.NestedDict(content), as_was)
    yield "nested equal", (lambda: n == content, as_was)
    ns: Any = cy.Namespace(big="x" * BIG)

    def same_name(_: bool) -> bool:
        return bool(ns.big == "x" * BIG)

    yield "namespace get", (lambda: ns.big, same_name)
    yield "namespace set", (lambda: setattr(ns, "big", "x" * BIG), same_name)
    yield "namespace repr", (lambda: repr(ns), same_name)
    yield "namespace pickle", (lambda: pickle.dumps(ns), same_name)


SUBJECTS: dict[str, Callable[[], Iterator[tuple[str, Operation]]]] = {
    each.__name__: each
    for each in (values, raw, dicts, keys, many, sets, lists, queues, linked, nested)
}

if __name__ == "__main__":
    run(SUBJECTS[sys.argv[1]]())
    print("all done")
