"""A shared container beside the builtin that it is named after: the same calls, the same outcomes.

An operation is a function of one argument, the container. What it returns, or the class of what it
raises, must be the same on both, and so must be what is in both afterwards.
"""

import collections
import gc
import math
import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import courtyard as cy

Operation = Callable[[Any], Any]


def shared(name: str) -> Any:
    """Return a class of courtyard, None if it is not there yet."""
    return getattr(cy, name, None)


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip tests of classes that courtyard does not have yet."""
    missing = [name for name in names if shared(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"courtyard has no {', '.join(missing)} yet")


BUILTINS: dict[Any, Any] = {
    shared("Dict"): dict,
    shared("NestedDict"): dict,
    shared("List"): list,
    shared("Set"): set,
    shared("Deque"): collections.deque,
    shared("Counter"): collections.Counter,
}


def plain(found: Any) -> Any:
    """Return what a container holds, as the builtin; anything else as it is."""
    for shared, builtin in BUILTINS.items():
        if type(found) is shared:
            if builtin is collections.deque:
                return collections.deque(found, found.maxlen)
            return builtin(dict(found.items())) if hasattr(found, "items") else builtin(found)
    return found


def told(found: Any) -> Any:
    """Return a result in a form that can be compared: its class, and what it shows."""
    found = plain(found)
    if isinstance(found, Iterator):
        return "iterator", [told(each) for each in found]
    if isinstance(found, (set, frozenset)):  # in no order
        return type(found), sorted(repr(told(each)) for each in found)
    if isinstance(found, dict):
        return type(found), [(told(key), told(value)) for key, value in found.items()]
    if isinstance(found, (list, tuple)):
        return type(found), [told(each) for each in found]
    if isinstance(found, collections.deque):
        return type(found), found.maxlen, [told(each) for each in found]
    return type(found), repr(found)


def outcome(operation: Operation, container: Any) -> Any:
    """Return what an operation returned, or the class of what it raised."""
    try:
        result = operation(container)
    except Exception as error:
        # A missing key is named; messages are not compared, they differ between Pythons.
        return "raised", type(error), error.args if type(error) is KeyError else ()
    return "itself" if result is container else told(result)


def compare(ours: Any, theirs: Any, operations: Iterable[Operation]) -> None:
    """Do the same to both, one operation after the other."""
    for number, operation in enumerate(operations):
        found, expected = outcome(operation, ours), outcome(operation, theirs)
        assert found == expected, f"operation {number}"
        assert told(plain(ours)) == told(theirs), f"after operation {number}"
    ours.check()


@contextmanager
def unchanged(container: Any, error: Any) -> Iterator[None]:
    """See that what is done raises, and leaves the container and its memory as they were.

    For modules with a space of their own, where nothing of other tests ends meanwhile; nor may
    the cycle collector free in between what a test before left.
    """
    before, version = told(plain(container)), container.version
    gc.disable()
    try:
        space = container.statistics().space
        with pytest.raises(error):
            yield
        assert container.statistics().space.live_blocks == space.live_blocks
    finally:
        gc.enable()
    assert told(plain(container)) == before
    assert container.version == version
    container.check()


class Unpicklable:
    def __reduce__(self) -> str:
        raise ZeroDivisionError


class Unwilling:
    """Can be stored, and compared with nothing."""

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    def __hash__(self) -> int:
        return 1

    def __lt__(self, other: object) -> bool:
        raise ZeroDivisionError


class Point:
    """A value that is equal to its copies, and no key."""

    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    def __repr__(self) -> str:
        return f"Point({self.x}, {self.y})"

    __hash__ = None  # type: ignore[assignment]


class Name:
    """A key of the user's own: its pickle says which."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Name({self.text!r})"


def sent(container: Any) -> Any:
    """Return another handle, as another process would have it."""
    return pickle.loads(pickle.dumps(container))


# One of each sort that is stored in a way of its own.
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 2**59, 2**63, -(2**200), 0.0, -0.0, 1.5, 1j),
    *("", "a", "1234567", "12345678", "é", "\U0001f600" * 2, "\ud800", "x" * 1023, "x" * 1025),
    *("é" * 5000, b"", b"a", b"\0" * 1024, b"y" * 1025, b"z" * 200_000, bytearray(b"abc")),
    *((), (1, "a"), [], [1, [2]], {}, {"a": {"b": (1, None)}}, {1, 2}, frozenset([1, 2])),
    *(range(5), Point(1, 2), "text" * 50_000),
]
# Keys, no two of them equal; and keys that are.
KEYS: list[Any] = [
    *(None, "", "a", b"a", "é", "\ud800", "\U0001f600", "\0", b"\0", "a" * 5000, b"a" * 5000),
    *(0, 1, -1, 255, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63), -(2**200), 10**400),
    *(1.5, -1.5, 1e300, 5e-324, math.inf, -math.inf, 1e16 + 2, 1j, 1 + 2j, (), (1,), ("a", b"a")),
    *((1, (2, (None, "x"))), frozenset(), frozenset([1, "a"]), frozenset([(1, 2), frozenset([3])])),
    *(range(3), int, len, Name("a"), Name("b"), (Name("a"), 1), ..., "1", b"1", ("1",)),
]
EQUAL: list[list[Any]] = [
    [1, 1.0, True, 1 + 0j],
    [0, 0.0, -0.0, False, 0j, -0j],
    [2**53, float(2**53)],
    [10**22, 1e22],
    [-(2**70), float(-(2**70))],
    [0.5, 0.5 + 0j],
    [(1, 0.0), (True, False), (1.0, -0.0)],
    [frozenset([1, 2, 3]), frozenset([3.0, 2.0, True])],
    [((1, "a"),), ((1.0, "a"),)],
]
