"""Handles of values: closing, views, references, versions, figures, subclasses, help."""

import ctypes
import gc
import pickle
import queue
import types
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import courtyard as cy

# What type checkers would rightly refuse is tried too.
from tests.support.structure import Coordinates
from tests.value.test_value import RawValue, Value, name_of


def test_repr() -> None:
    assert repr(Value("i", 5)) == "<courtyard.Value(i): 5>"
    assert repr(RawValue(ctypes.c_int, 5)) == "<courtyard.RawValue(c_int): 5>"
    assert repr(Value(ctypes.c_char * 3, b"ab")) == "<courtyard.Value(c_char_Array_3): b'ab'>"
    assert repr(Value(object, [1])) == "<courtyard.Value(object): [1]>"
    value = Value(int, 7)
    assert "Value(int): 7" in repr(value.get_lock())
    value.close()
    assert repr(value) == "<courtyard.Value(int), closed>"


@pytest.mark.parametrize("type_", ["i", object, ctypes.c_char * 5, Coordinates], ids=name_of)
def test_a_closed_value_says_so(type_: Any) -> None:
    value = Value(type_)
    lock = value.get_lock()
    current = value.value
    value.close()
    value.close()
    calls: list[Callable[[], Any]] = [
        lambda: value.value,
        lambda: value.get(),
        lambda: setattr(value, "value", current),
        lambda: value.exchange(current),
        lambda: value.compare_exchange(current, current),
        lambda: value.wait_for(1, 0),
        lambda: value.version,
        lambda: value.acquire(),
        lambda: value.release(),
        lambda: value.__enter__(),
        lambda: lock.acquire(),
        lambda: lock.recovered,
        lambda: value.statistics(),
        lambda: value.check(),
        lambda: value.__reduce__(),
    ]
    if type_ == "i":
        calls += [value.increment, value.get_obj]
    for number, call in enumerate(calls):
        with pytest.raises(cy.Closed):
            call()
            pytest.fail(f"call {number} raised nothing")
    assert issubclass(cy.Closed, ValueError)


def test_close_is_of_one_handle() -> None:
    import pickle

    value = Value("i", 5)
    other = pickle.loads(pickle.dumps(value))
    value.close()
    assert other.increment() == 6


def test_views_keep_a_value_open() -> None:
    value, raw = Value("i", 5), RawValue("i", 5)
    obj, view = value.get_obj(), memoryview(raw)
    assert (view.nbytes, view.readonly) == (4, False)
    for each in (value, raw):
        with pytest.raises(BufferError, match="view"):
            each.close()
    assert value.increment() == obj.value == 6
    assert raw.increment() == view[()] == 6
    obj.value = view[()] = 9
    assert value.value == raw.value == 9
    view.release()
    del obj
    gc.collect()
    for each in (value, raw):
        each.close()
    with pytest.raises(cy.Closed):
        memoryview(raw)


@pytest.mark.usefixtures("own_home")
def test_a_view_outlives_its_value() -> None:
    value = Value(ctypes.c_int * 3, 1, 2, 3)
    objects = value.statistics().space.objects
    probe = Value("i")
    assert probe.statistics().space.objects == objects + 1
    view = value.get_obj()
    del value
    gc.collect()
    assert view[:] == [1, 2, 3]
    assert probe.statistics().space.objects == objects + 1
    del view
    gc.collect()
    assert probe.statistics().space.objects == objects


def test_objects_have_no_views() -> None:
    for value in (Value(object), RawValue(object)):
        with pytest.raises(BufferError):
            memoryview(value)


def test_weak_references() -> None:
    for value in (Value("i"), RawValue("i"), Value(Coordinates), Value(object)):
        assert weakref.ref(value)() is value
    value = Value("i")
    reference = weakref.ref(value)
    del value
    gc.collect()
    assert reference() is None


def test_a_lock_keeps_its_value() -> None:
    value = Value("i", 5)
    reference, lock = weakref.ref(value), value.get_lock()
    del value
    gc.collect()
    assert reference() is not None
    with lock:
        pass


def test_generics() -> None:
    alias: Any = Value[int]
    assert isinstance(alias, types.GenericAlias)
    assert (alias.__origin__, alias.__args__) == (Value, (int,))
    assert Value[int]("i", 4).value == 4
    assert RawValue[bytes].__origin__ is RawValue


def test_versions() -> None:
    value = Value("i")
    seen = [value.version]
    changes: list[Callable[[], Any]] = [
        value.increment,
        lambda: value.set(5),
        lambda: setattr(value, "value", 5),
        lambda: value.exchange(6),
        lambda: value.compare_exchange(6, 7),
    ]
    for change in changes:
        change()
        seen.append(value.version)
        assert cy.version(value) == seen[-1]
    assert len(set(seen)) == len(seen)
    assert not value.compare_exchange(6, 8)
    _ = value.value
    assert value.version >= seen[-1]


def test_statistics() -> None:
    found = Value(ctypes.c_char * 100).statistics()
    assert (found.type, found.entries) == ("Value(c_char_Array_100)", None)
    assert 100 <= found.nbytes <= 256
    assert RawValue("h").statistics().type == "RawValue(h)"
    assert 48 <= RawValue("h").statistics().nbytes <= 128
    assert 0 < found.space.used <= found.space.size
    assert found.space.participants >= 1
    with pytest.raises(AttributeError):
        found.nbytes = 3
    assert Value("i").name is None


def test_subclasses() -> None:
    class Mine(cy.Value[Any]):
        def twice(self) -> int:
            return 2 * int(self.value)

    make: Any = Mine
    assert make("i", 4).twice() == 8


def test_help() -> None:
    for name in cy.__all__:
        public = getattr(cy, name)
        assert public.__doc__, name
        is_standard = public is getattr(queue, "ShutDown", None)
        assert public.__module__ == ("queue" if is_standard else "courtyard"), name
    for cls in (Value, RawValue, cy.Lock):
        names = [name for name in dir(cls) if not name.startswith("_")]
        missing = [name for name in names if not getattr(cls, name).__doc__]
        assert missing == [], cls


def test_wide_text() -> None:
    value = Value(ctypes.c_wchar * 5, "héé")
    assert value.value == "héé"
    value.value = "abcde"
    assert (value.value, value[1], len(value)) == ("abcde", "b", 5)
    with pytest.raises(ValueError, match="too long"):
        value.value = "abcdef"
    assert value.wait_for("abcde", 0)


class Counting(cy.Value[int]):
    """A user's own subclass."""

    def twice(self) -> int:
        return 2 * self.get()


def test_a_subclass_stays_one_through_a_pickle() -> None:
    value = Counting("i", 4)
    again = pickle.loads(pickle.dumps(value))
    assert type(again) is Counting
    assert again.twice() == 8


def test_abstract_types_are_refused() -> None:
    for declared in (ctypes.Array, ctypes._SimpleCData, ctypes.Structure):
        with pytest.raises(TypeError, match="abstract"):
            Value(declared)


def test_messages_stay_short() -> None:
    with pytest.raises(TypeError) as error:
        Value("i").value = b"x" * 1_000_000
    assert len(str(error.value)) < 200
