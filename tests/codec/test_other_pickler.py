"""Other picklers at work while a value is stored: what they make of a courtyard object is ordinary.

Which pickler is at work decides, not which thread: a signal handler, ``__del__``, ``__reduce__`` or
``__getstate__`` may pickle at any moment.
"""

import copy
import gc
import io
import pickle
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import courtyard as cy
from courtyard import _native

inside: Callable[[], object] = lambda: None  # noqa: E731


class Reducing:
    def __reduce__(self) -> tuple[Any, ...]:
        inside()
        return Reducing, ()


class Stating:
    def __getstate__(self) -> dict[str, Any]:
        inside()
        return {"x": 1}


class Dying:
    """Its ``__del__`` runs while it is pickled, as garbage of a state that nobody keeps."""

    def __reduce__(self) -> tuple[Any, ...]:
        Corpse()
        return Dying, ()


class Corpse:
    def __del__(self) -> None:
        inside()


class Collecting:
    def __reduce__(self) -> tuple[Any, ...]:
        loop: Any = Corpse()
        loop.me = loop
        del loop
        gc.collect()
        return Collecting, ()


class Signalling:
    def __reduce__(self) -> tuple[Any, ...]:
        signal.raise_signal(signal.SIGUSR1)
        return Signalling, ()


class Lock(cy.Lock):
    """One whose own ``__reduce__`` runs code while its container stores it."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        reduced = super().__reduce__()
        inside()
        return reduced


def dump_python(value: Any) -> bytes:
    file = io.BytesIO()
    pickle._Pickler(file, 5).dump(value)
    return file.getvalue()


DUMPS: list[Callable[[Any], bytes]] = [
    pickle.dumps,
    lambda value: pickle.dumps(value, 2),
    dump_python,
]
VALUES = [Reducing, Stating, Dying, Collecting, Signalling]
STORES: list[tuple[str, Callable[[Any], object]]] = [
    ("Queue.put", lambda value: cy.Queue().put(value)),
    ("PriorityQueue.put", lambda value: cy.PriorityQueue().put((1, value))),
    ("Dict", lambda value: cy.Dict().__setitem__("k", value)),
    ("Dict.update", lambda value: cy.Dict().update(a=value, b=value)),
    ("Dict key", lambda value: cy.Dict().__setitem__(value, 1)),
    ("Dict.get", lambda value: cy.Dict().get(value)),
    ("Set.add", lambda value: cy.Set().add(value)),
    ("List.append", lambda value: cy.List().append(value)),
    ("List.extend", lambda value: cy.List().extend([value, value])),
    ("Value.set", lambda value: cy.Value(object).set(value)),
]


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    global inside
    before = signal.signal(signal.SIGUSR1, lambda *_: inside() and None)
    yield
    inside = lambda: None  # noqa: E731
    signal.signal(signal.SIGUSR1, before)


OBJECTS: list[Callable[[], Any]] = [
    cy.Lock,
    cy.Condition,
    cy.Queue,
    lambda: cy.Dict(a=1),
    lambda: cy.List([1]),
    lambda: cy.Value("i", 7),
    lambda: cy.Value("i", 7, lock=cy.RLock()),
    lambda: cy.Array("i", 3),
    lambda: cy.Barrier(1),
]


@pytest.mark.parametrize("store", [store for _, store in STORES], ids=[name for name, _ in STORES])
def test_another_pickler_inside(store: Callable[[Any], object]) -> None:
    """What it makes can be loaded, and is the same object."""
    global inside
    objects = [make() for make in OBJECTS]
    made: list[tuple[Any, bytes]] = []

    def dump() -> None:
        for number, obj in enumerate(objects):
            made.append((obj, DUMPS[number % len(DUMPS)](obj)))
            made.append((obj, pickle.dumps([obj, obj])))

    inside = dump
    for value in VALUES:
        made.clear()
        store(value())
        assert made
        for obj, data in made:
            found = pickle.loads(data)
            found = found[1] if isinstance(found, list) else found
            assert _native.same_object(found, obj)


def test_ours_beside_another() -> None:
    """The objects in the value itself are kept by it, whatever is pickled meanwhile."""
    global inside
    other = cy.Lock()
    made: list[bytes] = []
    inside = lambda: made.append(pickle.dumps([other, other]))  # noqa: E731
    ways: list[tuple[Callable[[Any, Any], object], Callable[[Any], Any]]] = [
        (lambda d, value: d.__setitem__("k", value), lambda d: d["k"]),
        (lambda d, value: d.setdefault("k", value), lambda d: d.pop("k")),
    ]
    for put, get in ways:
        d = cy.Dict()
        kept = cy.Value("i", 5)
        put(d, [Reducing(), kept, Signalling(), kept, Dying()])
        del kept
        gc.collect()
        assert get(d)[1].value == 5
    assert made and all(pickle.loads(data)[0].acquire(False) for data in made[:1])
    d.check()


def test_while_a_handle_is_exported() -> None:
    """A container stores a handle whose own ``__reduce__`` has it, and others, pickled."""
    global inside
    d, lock, other = cy.Dict(), Lock(), cy.Value("i", 3)
    made: list[bytes] = []

    def dump() -> None:
        global inside
        inside = lambda: None  # noqa: E731
        made.append(pickle.dumps((lock, other)))

    inside = dump
    d["k"] = [lock, other]
    assert made
    again, value = pickle.loads(made[0])
    assert _native.same_object(again, lock) and value.value == 3
    found = d["k"]
    assert _native.same_object(found[0], lock) and found[1].value == 3


def test_a_key_refuses_what_is_in_it_only() -> None:
    global inside
    d, lock = cy.Dict(), cy.Lock()
    inside = lambda: pickle.dumps(lock)  # noqa: E731
    d[Hashable(1)] = 1
    with pytest.raises(cy.CourtyardError, match="part of a key"):
        d[Hashable(lock)] = 1
    assert len(d) == 1


class Hashable:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return 1

    def __reduce__(self) -> tuple[Any, ...]:
        inside()
        return Hashable, (self.value,)


def test_copy_inside() -> None:
    """copy.copy() reduces, too."""
    global inside
    value, made = cy.Value("i", 4), []
    inside = lambda: made.append(pickle.loads(pickle.dumps(value)))  # noqa: E731
    cy.List().append(Reducing())
    assert made[0].value == 4
    assert copy.copy(cy.List([1])) == [1]
