"""Array and RawArray beside their twins in multiprocessing, and what they do beyond these."""

import array
import ctypes
import multiprocessing
import pickle
import struct
import threading
import weakref
from collections.abc import Callable
from multiprocessing.context import BaseContext
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import join, start
from tests.support.structure import Bits, Coordinates, Either, Nested, Packed
from tests.value.test_value import SCALARS, SWAPPED, TYPECODES, name_of, outcome

# What type checkers would rightly refuse is tried too.
Array: Any = cy.Array
RawArray: Any = cy.RawArray
both = pytest.mark.parametrize("make", [Array, RawArray])

VALUES: list[Any] = [
    *(0, 1, -1, 127, 255, 300, 2**31, 2**40, -(2**70), True, 1.5, 1e300, 1j, None, [], "a", "ab"),
    *("é", b"a", b"ab", b"", bytearray(b"x"), ctypes.c_int(4), object),
]
KEYS: list[Any] = [
    *(0, 4, -1, -5, 5, -6, 2**70, True, 1.0, "0", None, (0,), (0, 0), ...),
    *(slice(None), slice(1, 3), slice(None, None, 2), slice(None, None, -1), slice(4, 0, -2)),
    *(slice(3, 1), slice(-2, None), slice(0, 100), slice(9, 20), slice(0, 0), slice(2, 3, 7)),
]
SEQUENCES: list[Any] = [
    *([], [1], [1, 2], [1, 2, 3, 4, 5], (5, 4, 3, 2, 1), range(5), range(3), [1, 2.5], "ab", 3),
    *(b"ab", b"abcde", array.array("i", [1, 2]), array.array("i", range(5)), {1: 2, 0: 3}, {1, 2}),
    *(iter([1, 2]), None, [1, "x"], ["x", 1], array.array("d", range(5)), "abcde"),
]


def put(target: Any, key: Any, value: Any) -> None:
    target[key] = value


@pytest.mark.parametrize("lock", [True, False], ids=["guarded", "raw"])
@pytest.mark.parametrize("type_", [*TYPECODES, *SCALARS, *SWAPPED], ids=name_of)
def test_elements_are_what_multiprocessing_has(type_: Any, lock: bool) -> None:
    theirs: Any = multiprocessing.RawArray(type_, 5)
    ours = Array(type_, 5, lock=lock)
    for key in KEYS:
        if key == (0,) or key == (0, 0) or key is ...:
            continue
        found, expected = outcome(lambda k: ours[k], key), outcome(lambda k: theirs[k], key)
        assert found == expected, key
    for value in VALUES:
        expected = outcome(put, theirs, 2, value)
        assert outcome(put, ours, 2, value) == expected, value
        assert outcome(lambda: ours[:]) == outcome(lambda: theirs[:]), value
    assert [repr(item) for item in ours] == [repr(item) for item in theirs]
    assert len(ours) == len(theirs) == 5


@pytest.mark.parametrize("type_", [*TYPECODES, ctypes.c_longdouble, *SWAPPED], ids=name_of)
def test_slices_are_what_multiprocessing_has(type_: Any) -> None:
    theirs: Any = multiprocessing.RawArray(type_, 5)
    ours = Array(type_, 5)
    for key in (key for key in KEYS if isinstance(key, slice)):
        for values in SEQUENCES:
            if not isinstance(values, list | tuple | str | bytes | range | array.array):
                assert outcome(put, ours, key, values)[0] == "raised"
                continue
            before = ours.tolist()
            expected = outcome(put, theirs, key, values)
            assert outcome(put, ours, key, values) == expected, (key, values)
            if expected[0] == "raised":
                # Theirs may be changed in part by then; ours never is.
                assert repr(ours.tolist()) == repr(before)
                theirs[:] = ours[:]
            assert repr(ours[:]) == repr(theirs[:]), (key, values)
            assert repr(ours[key]) == repr(theirs[key])


@both
@pytest.mark.parametrize("type_", [*TYPECODES, *SCALARS], ids=name_of)
def test_initializers(make: Any, type_: Any) -> None:
    for init in [0, 1, 5, True, -1, None, 1.5, *SEQUENCES]:
        if isinstance(init, set | dict) or init is None:
            continue
        expected = outcome(lambda i: multiprocessing.RawArray(type_, i)[:], init)
        assert outcome(lambda i: make(type_, i)[:], init) == expected, init


def test_new_arrays_are_zero() -> None:
    for size in (1, 10, 1000, 100_000):
        for _ in range(3):
            fresh = Array("i", size)
            assert not any(fresh)
            fresh[:] = [-1] * size
            del fresh


def test_locks_as_multiprocessing_takes_them() -> None:
    assert type(Array("i", 3, lock=None)) is Array
    raw = Array("i", 3, lock=False)
    assert type(raw) is RawArray
    for name in ("get_lock", "get_obj", "acquire", "release", "__enter__"):
        assert not hasattr(raw, name)
        assert not hasattr(RawArray("c", 3), name)
        assert hasattr(Array("c", 3), name)
    for bad in ("notalock", 0, object()):
        with pytest.raises(AttributeError, match="acquire"):
            Array("i", 3, lock=bad)
    with pytest.raises(TypeError):
        RawArray("i", 3, lock=True)


class Counted:
    """A lock that counts."""

    def __init__(self) -> None:
        self.lock, self.taken = threading.RLock(), 0

    def acquire(self, *args: Any) -> bool:
        self.taken += 1
        return self.lock.acquire(*args)

    def release(self) -> None:
        self.lock.release()

    def __enter__(self) -> "Counted":
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def test_a_lock_of_the_users_own() -> None:
    lock = Counted()
    numbers, text = Array("i", 3, lock=lock), Array("c", 3, lock=lock)
    value, point = cy.Value("i", lock=lock), cy.Value(Coordinates, lock=lock)
    shared: list[Any] = [numbers, text, value, point]
    for obj in shared:
        assert obj.get_lock() is lock
        taken = lock.taken
        with obj as entered:
            assert entered is lock
        assert lock.taken == taken + 1
        assert obj.acquire() is True
        obj.release()
    writes: list[Callable[[], Any]] = [
        lambda: put(numbers, 0, 5),
        lambda: put(numbers, slice(0, 2), [6, 7]),
        lambda: setattr(text, "value", b"ab"),
        lambda: setattr(text, "raw", b"abc"),
        lambda: setattr(value, "value", 3),
        lambda: value.increment(),
        lambda: value.exchange(2),
        lambda: value.compare_exchange(2, 4),
        lambda: value.set(3),
        lambda: setattr(point, "x", 3),
    ]
    for write in writes:
        taken = lock.taken
        write()
        assert lock.taken == taken + 1
        lock.lock.acquire()  # every one was released
        lock.lock.release()
    taken = lock.taken
    assert (numbers[:], text.raw, value.value, point.x) == ([6, 7, 0], b"abc", 3, 3)
    assert lock.taken == taken, "reads never wait"
    assert isinstance(numbers, Array) and isinstance(value, cy.Value)
    assert cy.wait_for(value, 3, 1) and repr(value) == "<courtyard.Value(i): 3>"


def count(array: Any, value: Any, times: int) -> None:
    for _ in range(times):
        with array.get_lock():
            array[0] += 1
            value.value += 1


def test_a_lock_of_the_users_own_among_processes(ctx: BaseContext) -> None:
    lock = ctx.RLock()
    numbers, value = Array("q", 1, lock=lock), cy.Value("q", lock=lock)
    children = [start(ctx, count, numbers, value, 200) for _ in range(2)]
    join(*children)
    assert (numbers[0], value.value) == (400, 400)


def test_a_courtyard_lock_goes_along() -> None:
    lock = cy.Lock()
    again = pickle.loads(pickle.dumps(Array("i", [1], lock=lock)))
    with again:
        assert lock.locked()
    again[0] = 5
    assert not lock.locked()


def test_chars() -> None:
    ours = Array("c", 5)
    theirs: Any = multiprocessing.Array("c", 5)
    steps: list[tuple[str, Any]] = [
        *(("value", text) for text in (b"", b"abc", b"abcde", b"ab", b"a\0c", b"\0", b"abcdef")),
        *(("value", wrong) for wrong in ("abc", bytearray(b"abc"), None, 3, [b"a"])),
        *(("raw", data) for data in (b"12345", b"", b"9", bytearray(b"zz"), memoryview(b"yx"))),
        *(("raw", wrong) for wrong in (b"123456", "abc", 3, [1, 2], None)),
    ]
    for attribute, data in steps:
        found = outcome(setattr, ours, attribute, data)
        assert found == outcome(setattr, theirs, attribute, data), data
        assert (ours.value, ours.raw) == (theirs.value, theirs.raw), data
    assert Array("c", b"hello").value == b"hello"
    assert Array(ctypes.c_char, 3).raw == b"\0\0\0"
    assert not hasattr(Array("b", 3), "raw") and not hasattr(Array("i", 3), "value")
    wide = Array("u", "héé")
    assert (wide.value, wide[1:]) == ("héé", "éé")
    wide.value = "a"
    assert (wide.value, wide[:]) == ("a", "a\0é")
    with pytest.raises(ValueError, match="too long"):
        wide.value = "abcd"
    assert not hasattr(wide, "raw")


@both
def test_structures(make: Any) -> None:
    points = make(Coordinates, [(1, 2.5), (3, 4.5)])
    assert [(point.x, point.y) for point in points] == [(1, 2.5), (3, 4.5)]
    for point in points:  # as the documentation of multiprocessing does
        point.x **= 2
    points[0].y = 7
    points[-1] = Coordinates(5, 6)
    assert [(point.x, point.y) for point in points[:]] == [(1, 7), (5, 6)]
    points[::-1] = [(8, 9), Coordinates(10, 11)]
    copies = points.tolist()
    points[0] = (0, 0)
    assert [(copy.x, copy.y) for copy in copies] == [(10, 11), (8, 9)]
    for wrong in (5, "x", (1, 2, 3), Bits()):
        with pytest.raises((TypeError, RuntimeError)):  # as ctypes has it
            points[0] = wrong
    with pytest.raises(IndexError):
        points[2]
    with pytest.raises(TypeError, match="pointer"):
        make(ctypes.c_char_p, 2)
    for type_ in (Nested, Either, Packed, Bits, ctypes.c_int * 2):
        some = make(type_, 3)
        assert type(some[1]) is type_
        assert memoryview(some).nbytes == some.nbytes == 3 * ctypes.sizeof(type_)


@both
@pytest.mark.parametrize("type_", [int, float, bool])
def test_python_classes(make: Any, type_: Any) -> None:
    some = make(type_, [type_(1)] * 3)
    assert some[:] == [1, 1, 1] and type(some[0]) is type_
    if type_ is int:
        some[0] = 2**63 - 1
        for wrong in (2**63, -(2**63) - 1):
            with pytest.raises(OverflowError):
                some[1] = wrong
    assert list(memoryview(some)[1:]) == [1, 1]


@both
def test_ctypes_that_numpy_makes(make: Any) -> None:
    np = pytest.importorskip("numpy")
    row = np.ctypeslib.as_ctypes(np.zeros((2, 3)))._type_
    assert row.__module__ is None
    some = make(row, 2)
    some[1][2] = 0.5
    assert some.tobytes() == bytes(40) + struct.pack("d", 0.5)
    assert cy.Value(row).value[:] == [0, 0, 0]


@pytest.mark.parametrize("bad", ["x", "", "nothing", None, 3, [], {}, object, list, "O", b"i", "S"])
def test_what_is_no_type_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError):
        Array(bad, 3)


def test_bad_arguments() -> None:
    for args in ((), ("i",), ("i", 2, 3)):
        with pytest.raises(TypeError):
            Array(*args)
    with pytest.raises(cy.SpaceFull):
        Array("q", 2**59)
    with pytest.raises(OverflowError):  # more bytes than can be addressed, as ctypes says
        Array("q", 2**61)
    with pytest.raises(cy.SpaceFull):
        Array("b", 2**59)
    for shape in ((), (-1,), (2, -3)):
        with pytest.raises(ValueError, match="shape"):
            Array("i", shape=shape)
    with pytest.raises(ValueError, match="shape"):
        Array("i", 5, shape=(2, 3))
    with pytest.raises(ValueError, match="expected"):
        Array("i", [[1, 2], [3]], shape=(2, 2))
    with pytest.raises(TypeError):
        del Array("i", 3)[0]


@pytest.mark.usefixtures("own_home")
def test_close_and_views() -> None:
    numbers = Array("i", [1, 2, 3])
    view, obj = memoryview(numbers), numbers.get_obj()
    before = numbers.statistics().space.objects
    numbers.close()
    numbers.close()
    probe = cy.Value("i")
    assert probe.statistics().space.objects == before + 1, "the views hold it"
    for use in (lambda: numbers[0], lambda: put(numbers, 0, 1), lambda: numbers[:], numbers.check):
        with pytest.raises(cy.Closed):
            use()
    with pytest.raises(cy.Closed):
        memoryview(numbers)
    assert repr(numbers) == "<courtyard.Array(i, 3), closed>"
    assert (view[2], obj[:]) == (3, [1, 2, 3])
    del obj
    view.release()
    assert probe.statistics().space.objects == before
    probe.check()


def test_a_collected_array_leaves_its_view() -> None:
    view: Any = memoryview(Array("d", [1.5, 2.5]))
    others = [Array("d", [9.0] * 2) for _ in range(50)]
    assert view.tolist() == [1.5, 2.5]
    view[1] = 3.5
    assert view.tolist() == [1.5, 3.5] and all(other[0] == 9 for other in others)


def test_what_every_object_has() -> None:
    numbers = Array("i", [1, 2])
    version = numbers.version
    numbers[0] = 3
    assert numbers.version != version == cy.version(numbers) - (numbers.version - version)
    assert cy.wait_for(numbers, lambda a: a[0] == 3, 1) is True
    assert numbers.wait_for([3, 2], 1) and not numbers.wait_for([0, 2], 0)
    assert Array("c", b"ab").wait_for(b"ab", 1)
    assert numbers.statistics().type == "Array(i, 2)" and cy.statistics(numbers).entries == 2
    assert RawArray("d", shape=(2, 3)).statistics().type == "RawArray(d, (2, 3))"
    assert numbers.name is None
    numbers.check()
    cy.check(numbers)
    assert weakref.ref(numbers)() is numbers
    assert cy.Array[int] is not None
    assert repr(Array("i", range(100))) == "<courtyard.Array(i, 100): [0, 1, 2, 3, 4, 5, 6]...>"


class Mine(cy.Array[Any]):
    def total(self) -> int:
        return int(sum(self))


def test_a_subclass_stays_one_through_a_pickle() -> None:
    make: Any = Mine
    for type_, init in (("i", [1, 2]), ("c", b"ab"), (ctypes.c_int, [1, 2])):
        again = pickle.loads(pickle.dumps(make(type_, init)))
        assert type(again).total is Mine.total
        assert again[:] == make(type_, init)[:]
    for same in (Array(Coordinates, 2), RawArray(ctypes.c_int * 2, 2), Array("d", shape=(2, 3))):
        again = pickle.loads(pickle.dumps(same))
        assert (type(again), again.shape, again.tobytes()) == (
            type(same),
            same.shape,
            same.tobytes(),
        )


def test_copy_and_synchronized() -> None:
    theirs = multiprocessing.sharedctypes
    for given in (ctypes.c_int(5), Coordinates(1, 2), (ctypes.c_int * 3)(1, 2, 3)):
        ours, expected = cy.copy(given), theirs.copy(given)
        assert bytes(memoryview(ours)) == bytes(expected)
    numbers = Array("i", [1, 2])
    copied = cy.copy(numbers)
    numbers[0] = 9
    assert (type(copied), copied[:]) == (RawArray, [1, 2])
    assert cy.copy(cy.Value("d", 1.5)).value == 1.5
    with pytest.raises(TypeError):
        cy.copy(5)

    raw = RawArray("i", [1, 2])
    locked = cy.synchronized(raw)
    assert type(locked) is Array
    locked[0] = 7
    assert raw[0] == 7
    lock = cy.Lock()
    again: Any = cy.synchronized(cy.RawValue("i", 3), lock)
    assert again.get_lock() is lock and again.value == 3
    for twice in (locked, again):
        with pytest.raises(AssertionError):
            cy.synchronized(twice)
    with pytest.raises(TypeError, match="copy"):
        cy.synchronized(ctypes.c_int(5))


def test_help() -> None:
    for cls in (Array, RawArray, type(Array("c", 3)), type(Array("u", 3))):
        names = [name for name in dir(cls) if not name.startswith("_")]
        assert [name for name in names if not getattr(cls, name).__doc__] == [], cls


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"abc",
        bytearray(b"xy"),
        memoryview(b"abcdef")[::2],
        array.array("h", [1, 2]),
        memoryview(array.array("i", [1, 2])),
        memoryview(b"").cast("i"),
    ],
)
def test_raw_takes_bytes_of_whatever_they_are(data: Any) -> None:
    chars = Array("c", b"12345678")
    chars.raw = data
    expected = memoryview(data).tobytes()
    assert chars.raw == expected + b"12345678"[len(expected) :]
