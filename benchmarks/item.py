"""What goes through the queues, and how queues of bytes get it into bytes and back."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.offer import Line, Offers, Statement, Table

NUMBER = 7
BYTES = b"x" * 100
# Some 900 bytes as a pickle: texts, numbers and small containers, as a message of a program has.
NESTED = {
    "id": 48151623,
    "user": {"name": "Ada Lovelace", "mail": "ada@example.org", "roles": ["admin", "author"]},
    "tags": [f"tag-{number}" for number in range(16)],
    "position": (51.5074, -0.1278),
    "scores": [number * 1.25 for number in range(24)],
    "items": [{"key": f"item-{n}", "count": n, "price": n + 0.99, "ok": True} for n in range(10)],
    "note": "a text of some length, as there is one in nearly every message " * 3,
    "parent": None,
}
SIZE = 1 << 20  # bytes of an array

# What a queue of bytes is given and gives back: the code around its own calls.
ENCODE = {
    "int": "data = item.to_bytes(8, 'little')",
    "bytes": "data = item",
    "nested": "data = dumps(item)",
    "array": "data = memoryview(item)",
}
DECODE = {
    "int": "item = int.from_bytes(data, 'little')",
    "bytes": "item = data",
    "nested": "item = loads(data)",
    "array": "item = frombuffer(data)",
}


def names(kind: str) -> dict[str, Any]:
    """Return what that code uses."""
    if kind == "nested":
        return {"dumps": partial(pickle.dumps, protocol=5), "loads": pickle.loads}
    if kind == "array":
        import numpy

        return {"frombuffer": partial(numpy.frombuffer, dtype="u1")}
    return {}


def array() -> Any:
    """Return an array of 1 MiB."""
    import numpy

    return numpy.zeros(SIZE, "u1")


def offers(make: Callable[[str], Line], kinds: tuple[str, ...] = tuple(ENCODE)) -> Offers:
    """Return what a peer offers whose ``make`` gives a line for each kind of item."""
    found: Offers = {f"queue-{kind}": partial(make, kind) for kind in kinds}
    return found | {"queue-alone": partial(make, "int")}


KINDS = ("int", "str", "nested", "bytes", "array")
# Those of which there are many, or that several processes use at once, or whose memory is asked.
MORE = ("large", "texts", "huge", "shared", "memory")


def value(kind: str) -> Any:
    """Return what is stored in the tables."""
    if kind == "array":
        return array()
    text = "x" * 100
    found = {"str": text, "texts": text, "memory": text, "nested": NESTED, "bytes": b"x" * SIZE}
    return found.get(kind, NUMBER)


def fill(names: dict[str, Any], keys: list[str], value: Any) -> None:
    """Store a value under all keys of a mapping ``d``."""
    names["d"].update(dict.fromkeys(keys, value))


def tables(make: Callable[[str], Table], kinds: tuple[str, ...] = KINDS + MORE) -> Offers:
    """Return what a peer offers whose ``make`` gives a table for each kind of value."""
    return {f"dict-{kind}": partial(make, kind) for kind in kinds}


MANY = list(range(100))
# What is done with a list ``x`` or a deque ``d`` of 1,000 numbers.
LISTS = {
    "get": "x[500]",
    "set": "x[500] = 7",
    "end": "x.append(7); x.pop()",
    "text": "x.append(text); x.pop()",
    "insert": "x.insert(500, 7); del x[500]",
    "many": "e.extend(many); del e[:]",
    "line": "d.append(7); d.popleft()",
    "bounded": "b.extend(many)",
}


def lists(
    make: Callable[[], Callable[..., Any]], deque: Callable[[], Callable[..., Any]] | None = None
) -> Offers:
    """Return what a peer offers of lists made by what ``make`` returns, and perhaps of deques."""

    def statement(kind: str) -> Statement:
        names: dict[str, Any] = {"many": MANY, "text": "x" * 100}
        if kind in ("line", "bounded") and deque is not None:
            names["d"], names["b"] = deque()(range(1000)), deque()(range(1000), 1000)
        else:
            names["x"], names["e"] = make()(range(1000)), make()()
        return Statement(LISTS[kind], names)

    kinds = [kind for kind in LISTS if deque is not None or kind not in ("line", "bounded")]
    return {f"list-{kind}": partial(statement, kind) for kind in kinds}
