"""What cannot be a key, when it is stored and when it is looked up."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import courtyard as cy
from courtyard import _native
from tests.support.key import (
    Color,
    User,
    through,
)


class Raises:
    def __hash__(self) -> int:
        raise LookupError("my hash")


class Unpicklable:
    def __reduce__(self) -> Any:
        raise ZeroDivisionError("my pickle")


class Sublist(list[Any]):
    pass


class Hashless(int):
    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    "key",
    [[], {}, set(), bytearray(), Sublist(), Hashless(3), Raises(), slice(1) if sys.version_info <
     (3, 12) else [], memoryview(bytearray(1))],
    ids=lambda key: type(key).__name__,
)  # fmt: skip
def test_what_has_no_hash(key: Any) -> None:
    for each in (key, (1, key), (1, (2, key)), (Color.RED, key), (Unpicklable(), key)):
        with pytest.raises(Exception) as expected:
            hash(each)
        with pytest.raises(type(expected.value)) as raised:
            _native._key_encode(each)
        assert str(raised.value) == str(expected.value)


def test_unhashable_says_what_dict_says() -> None:
    with pytest.raises(TypeError, match=r"^unhashable type: 'list'$"):
        _native._key_encode([])


@pytest.mark.parametrize(
    "make", [Unpicklable, threading.Lock, lambda: lambda: None, lambda: memoryview(b"x")]
)
def test_what_pickle_refuses(make: Callable[[], Any]) -> None:
    key = make()
    with pytest.raises(Exception) as expected:
        pickle.dumps(key, 5)
    for each in (key, (1, key), frozenset([key])):
        with pytest.raises(type(expected.value)) as raised:
            _native._key_encode(each)
        assert str(raised.value) == str(expected.value)
    assert through((1, "a")) == (1, "a")  # and the next one works


def test_a_local_subclass_can_be_looked_up_but_not_kept() -> None:
    class Local(str):
        pass

    with pytest.raises((pickle.PicklingError, AttributeError)):
        _native._key_encode(Local("x"))


def test_courtyard_objects_are_refused() -> None:
    for shared in (cy.Value("i"), cy.Lock(), cy.Array("i", 2), cy.Queue()):
        for key in (shared, (1, shared), frozenset([shared])):
            with pytest.raises(TypeError, match="courtyard object cannot be a key"):
                _native._key_encode(key)
        with pytest.raises(cy.CourtyardError, match="cannot be part of a key"):
            _native._key_encode(User("x", shared))  # type: ignore[arg-type]


class Handed:
    """Has a hash, and cannot be pickled."""

    def __reduce__(self) -> str:
        raise ZeroDivisionError


class Recursive:
    def __reduce__(self) -> Any:
        raise RecursionError


@pytest.mark.parametrize(
    "key", [lambda: 1, Handed(), (1, Handed()), threading.Lock(), cy.Lock(), frozenset([Handed()])]
)
def test_what_cannot_be_a_key_is_nowhere(key: Any) -> None:
    d: Any = cy.Dict(a=1)
    s: Any = cy.Set("a")
    c: Any = cy.Counter("a")
    assert key not in d and key not in s and key not in c
    assert d.get(key) is None and d.get(key, 5) == 5 and c[key] == 0
    assert d.pop(key, 7) == 7
    assert d.get_many(["a", key]) == {"a": 1}
    s.discard(key)
    absent: list[Callable[[], Any]] = [
        lambda: d[key],
        lambda: d.pop(key),
        lambda: s.remove(key),
    ]
    for missing in absent:
        with pytest.raises(KeyError):
            missing()
    with pytest.raises(KeyError):
        del d[key]
    new: list[Callable[[], Any]] = [
        lambda: d.__setitem__(key, 1),
        lambda: s.add(key),
        lambda: d.setdefault(key, 1),
    ]
    for store in new:
        with pytest.raises(Exception) as told:
            store()
        assert not isinstance(told.value, KeyError)
    assert (d, s, c) == ({"a": 1}, {"a"}, {"a": 1})
    d.check()


def test_what_has_no_hash_is_refused_in_look_ups_too() -> None:
    d: Any = cy.Dict(a=1)
    s: Any = cy.Set("a")
    unhashable: list[Any] = [[], {}, (1, [])]
    for key in unhashable:
        for ask in (d.get, d.pop, d.__contains__, d.__getitem__, s.__contains__, s.discard):
            with pytest.raises(TypeError):
                ask(key)
    with pytest.raises(RecursionError):
        d.get(Recursive())
