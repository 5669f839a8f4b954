"""Errors name public classes and calls, for operators and for the locks of objects, too."""

import operator
import pickle
import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import courtyard as cy
from courtyard import _error

OBJECTS: dict[str, Callable[[], Any]] = {
    "List": lambda: cy.List([1]),
    "Deque": lambda: cy.Deque([1]),
    "Dict": lambda: cy.Dict({"a": 1}),
    "NestedDict": lambda: cy.NestedDict({"a": 1}),
    "Set": lambda: cy.Set([1]),
    "Counter": lambda: cy.Counter("a"),
    "Value": lambda: cy.Value("i"),
    "Value(object)": lambda: cy.Value(object, "x"),
    "Array": lambda: cy.Array("i", 3),
    "Queue": cy.Queue,
    "PriorityQueue": cy.PriorityQueue,
    "Lock": cy.Lock,
    "RLock": cy.RLock,
    "Semaphore": lambda: cy.Semaphore(1),
    "Condition": cy.Condition,
    "Event": cy.Event,
    "Barrier": lambda: cy.Barrier(1),
    "lock of a Value": lambda: cy.Value("i").get_lock(),
    "lock of an Array": lambda: cy.Array("i", 3).get_lock(),
    "lock of a List": lambda: cy.List().get_lock(),
    "lock of a Dict": lambda: cy.Dict().get_lock(),
    "edit": lambda: cy.List([1]).edit(0),
}
PRIVATE = re.compile(
    r"\b(Row|Sequence|Table|Map|CellLock|Cell|Guarded\w*|Primitive|Shared|Named|Vector|Mutex|"
    r"RMutex|Flag|_native)\b"
)
OPERATORS = [
    operator.add,
    operator.iadd,
    operator.sub,
    operator.mul,
    operator.imul,
    operator.or_,
    operator.ior,
    operator.and_,
    operator.xor,
    operator.lt,
    operator.ge,
    operator.getitem,
    operator.delitem,
    operator.contains,
]


def said(call: Callable[..., Any], *arguments: Any) -> str:
    try:
        call(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.parametrize("make", OBJECTS.values(), ids=list(OBJECTS))
def test_operators(make: Callable[[], Any]) -> None:
    for call in OPERATORS:
        for other in ((), 1.5, "x", None, object()):
            for arguments in ((make(), other), (other, make())):
                assert not PRIVATE.search(said(call, *arguments)), (call, other)


@pytest.mark.parametrize("make", OBJECTS.values(), ids=list(OBJECTS))
def test_calls_with_too_many_arguments(make: Callable[[], Any]) -> None:
    obj = make()
    names = [name for name in dir(type(obj)) if not name.startswith("_") or name.endswith("__")]
    found = {
        name: said(getattr(make(), name), *range(9))
        for name in names
        if callable(getattr(type(obj), name))
        and name not in ("__class__", "__new__", "__init__", "__init_subclass__")
    }
    assert len(found) > 3
    for name, message in found.items():
        assert name == "__class_getitem__" or not PRIVATE.search(message), (name, message)


@pytest.mark.parametrize("make", OBJECTS.values(), ids=list(OBJECTS))
def test_what_is_no_attribute(make: Callable[[], Any]) -> None:
    obj = make()
    message = said(getattr, obj, "nonesuch")
    assert message and not PRIVATE.search(message)
    assert not PRIVATE.search(repr(obj)) and not PRIVATE.search(repr(type(obj)))


def test_operators_of_lists_are_their_own() -> None:
    for cls in (cy.List, cy.Deque):
        for name in ("__add__", "__iadd__", "__lt__", "__contains__", "__iter__"):
            if name in vars(cls):
                assert vars(cls)[name].__qualname__ == f"{cls.__name__}.{name}"
    with pytest.raises(TypeError, match=r"^List\.__add__\(\) missing 1 required"):
        cy.List([1]).__add__()  # type: ignore[call-arg]
    assert cy.List([1]) + cy.List([2]) == [1, 2]
    with pytest.raises(TypeError, match="can only concatenate list"):
        cy.List([1]) + 3


def errors() -> list[type[BaseException]]:
    """Return all exceptions that courtyard has of its own."""
    found = [cy.LoadError, *(thing for thing in vars(_error).values() if isinstance(thing, type))]
    own = {error for error in found if issubclass(error, BaseException)}
    return sorted(own - {cy.ShutDown}, key=lambda error: error.__name__)


@pytest.mark.parametrize("error", errors())
def test_exceptions_are_public(error: type[BaseException]) -> None:
    """A traceback names them as users catch them, and they cross processes."""
    assert getattr(cy, error.__name__) is error and error.__name__ in cy.__all__
    made = pickle.loads(pickle.dumps(error("why")))
    assert type(made) is error and str(made) == "why"


class Unmade(cy.Queue[int]):
    def __init__(self) -> None:
        pass


@pytest.mark.parametrize(
    ("call", "named", "also"),
    [
        (cy.Lock().release, "NotHeld", (RuntimeError, ValueError)),
        (cy.RLock().release, "NotOwned", (RuntimeError, AssertionError)),
        (cy.Value("i").get_lock().release, "NotOwned", (RuntimeError, AssertionError)),
        (cy.Dict().get_lock().release, "NotOwned", (RuntimeError, AssertionError)),
        (cy.Condition().notify, "NotOwned", (RuntimeError, AssertionError)),
        (cy.Condition().wait, "NotOwned", (RuntimeError, AssertionError)),
        (lambda: Unmade().qsize(), "NotMade", (RuntimeError,)),
        (lambda: cy.Space("none of this name", create=False), "NotFound", (KeyError,)),
    ],
)
def test_tracebacks_name_public_exceptions(
    call: Callable[[], Any], named: str, also: tuple[type[Exception], ...]
) -> None:
    try:
        call()
    except Exception as error:
        line = traceback.format_exception_only(error)[-1]
        assert line.startswith(f"courtyard.{named}: "), line
        assert all(isinstance(error, standard) for standard in also)
    else:
        pytest.fail("it raised nothing")
