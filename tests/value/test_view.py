"""Arrays as NumPy sees them: views without a copy, dtypes, more dimensions; and without NumPy."""

import ctypes
import gc
import itertools
import pickle
from typing import Any

import numpy as np
import pytest

import courtyard as cy
from tests.support.children import run_script
from tests.support.structure import Bits, Coordinates, Either, Nested, Packed, Solid

Array: Any = cy.Array
RawArray: Any = cy.RawArray

DTYPES: list[Any] = [
    *("?", "int8", "u1", "i2", "u2", "int32", "u4", "i8", "u8", "float16", "float32", "f8", "g"),
    *("complex64", "c16", "S5", "U3", "V4", "M8[s]", "m8[ns]", ">i4", ">f8", "i4,f8", "(2,3)i4"),
    *("i4,(2,)f8,S3", np.float32, np.dtype("i8"), [("x", "f4"), ("name", "U4")], np.bool_),
    np.dtype({"names": ["a", "b"], "formats": ["i1", "f8"]}, align=True),
]


def filled(dtype: Any, shape: tuple[int, ...]) -> Any:
    """Return an ndarray with something in it."""
    dtype = np.dtype(dtype)
    total = int(np.prod(shape)) * dtype.itemsize
    data = bytes(number % 2 for number in range(total)) if dtype.kind in "?b" else None
    if dtype.kind == "U" or dtype.names is not None or dtype.subdtype is not None:
        data = b"\0" * total
    if dtype.char == "g":
        return np.arange(total // dtype.itemsize, dtype=dtype).reshape(shape)
    data = bytes(number % 64 for number in range(total)) if data is None else data
    return np.frombuffer(data, dtype).reshape(shape + dtype.shape).copy()


def content(array: Any) -> Any:
    """Return what two arrays agree in if they are equal: gaps, of long doubles too, are nothing."""
    has_gaps = array.dtype.names is not None or array.dtype.char == "g"
    return str(array.tolist()) if has_gaps else array.tobytes()


@pytest.mark.parametrize("make", [Array, RawArray])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(make: Any, dtype: Any) -> None:
    model = filled(dtype, (6,))
    ours = make(dtype, model)
    view = np.asarray(ours)
    assert view.dtype == ours.dtype == model.dtype
    assert view.shape == ours.shape == model.shape
    assert content(view) == content(ours) == content(model)
    assert view.flags.writeable and view.flags.c_contiguous
    assert view.ctypes.data == np.asarray(ours).ctypes.data == ours.__array_interface__["data"][0]
    assert view.ctypes.data % 64 == 0
    for index in (0, -1, 3):
        assert np.array_equal(ours[index], model[index])
    assert np.array_equal(ours[1:4], model[1:4])
    ours[1:3] = model[3:5]
    model[1:3] = model[3:5].copy()
    ours[0], model[0] = model[5], model[5]
    assert content(view) == content(model)
    ours[::-2] = model[:3]
    model[::-2] = model[:3].copy()
    assert content(view) == content(ours) == content(model)
    zero = make(dtype, 3)
    assert zero.tobytes() == bytes(zero.nbytes)
    again = pickle.loads(pickle.dumps(ours))
    assert again.dtype == ours.dtype and again.tobytes() == ours.tobytes()
    assert str(ours.tolist()) == str(model.tolist())


@pytest.mark.parametrize("code", "bBhHiIlLqQfd")
def test_typecodes(code: str) -> None:
    ours = Array(code, [1, 2, 3])
    view = np.asarray(ours)
    assert view.dtype == np.dtype(code) and view.tolist() == [1, 2, 3]
    view += 1
    assert ours[:] == [2, 3, 4]
    assert memoryview(ours).tolist() == [2, 3, 4]
    taken = np.from_dlpack(ours)
    taken[0] = 9
    assert ours[0] == 9 and taken.dtype == view.dtype
    ours[:] = np.arange(3, dtype=view.dtype)
    assert ours[:] == [0, 1, 2]
    assert ours.__dlpack_device__() == (1, 0)


@pytest.mark.parametrize(
    "type_",
    [
        *(Coordinates, Solid, Packed, ctypes.c_int * 3, (ctypes.c_short * 2) * 3, Nested),
        *(ctypes.c_bool, ctypes.c_char, ctypes.c_wchar, ctypes.c_longdouble, ctypes.c_void_p),
        *(ctypes.c_int.__ctype_be__, ctypes.c_double.__ctype_be__),
    ],
    ids=lambda type_: type_.__name__,
)
def test_ctypes_types(type_: Any) -> None:
    ours = Array(type_, 4)
    view = np.asarray(ours)
    assert view.nbytes == ours.nbytes and view.shape[0] == 4
    if issubclass(type_, ctypes.Structure):
        names = [
            field[0] for base in type_.__mro__[::-1] for field in vars(base).get("_fields_", ())
        ]
        assert list(view.dtype.names or ()) == names
        for name in names:
            assert (view.dtype.fields or {})[name][1] == getattr(type_, name).offset
    view[...] = filled(view.dtype, view.shape) if view.dtype.kind != "U" else "x"
    assert ours.tobytes() == view.tobytes()
    assert ours.__array_interface__["data"][0] == view.ctypes.data


@pytest.mark.parametrize("type_", [Bits, Either])
def test_what_the_buffer_protocol_cannot_name_is_bytes(type_: Any) -> None:
    ours = Array(type_, 4)
    assert np.asarray(ours).shape == (4, ctypes.sizeof(type_))


KEYS: list[Any] = [
    *(0, -1, (0,), (1, 2), (-1, -1), (1, 2, 3), (0, 0, -1), slice(None), slice(1, 2), ..., None),
    *((slice(None), 1), (..., 1), (0, slice(1, 3)), (slice(None), slice(None), 2), (1, ..., 2)),
    *((slice(None, None, -1),), (0, slice(None, None, 2)), (slice(None), 0, slice(0, 4, 3))),
    *([0, 1], ([0, 1], [1, 2]), (0, [2, 0]), np.array([True, False]), (1, None, 2), 2, (0, 0, 9)),
]


@pytest.mark.parametrize("declared", ["d", "int32", "c8", Coordinates], ids=str)
@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_indices_in_three_dimensions(declared: Any, key: Any) -> None:
    shape = (2, 3, 4)
    ours = Array(declared, shape=shape)
    model = np.zeros(shape, ours.dtype)
    numbers = itertools.count(1)
    for where in np.ndindex(shape):
        number = next(numbers)
        model[where] = (number, number) if model.dtype.names else number
        ours[where] = model[where]
    assert ours.tobytes() == model.tobytes() and len(ours) == 2
    try:
        expected = model[key]
    except IndexError:
        with pytest.raises(IndexError):
            ours[key]
        with pytest.raises(IndexError):
            ours[key] = 0
        return
    found = ours[key]
    assert np.array_equal(found, expected) and np.shape(found) == expected.shape
    version = ours.version
    value: Any = (7, 8.0) if model.dtype.names else 7
    model[key] = value
    ours[key] = value
    assert ours.tobytes() == model.tobytes()
    assert ours.version != version
    if isinstance(found, np.ndarray) and isinstance(expected, np.ndarray):
        basic = expected.base is not None
        assert np.shares_memory(found, np.asarray(ours)) == basic


def test_a_row_is_a_view() -> None:
    ours = Array("d", range(6), shape=(2, 3))
    row = ours[1]
    row *= 2
    assert ours.tolist() == [[0, 1, 2], [6, 8, 10]]
    ours[0] = row
    ours[:, 1] = [5, 6]
    assert ours.tolist() == [[6, 5, 10], [6, 6, 10]]
    assert [list(each) for each in ours] == ours.tolist()
    with pytest.raises(ValueError, match="broadcast"):
        ours[0] = [1, 2]
    assert memoryview(ours)[1, 2] == 10
    assert ours.get_obj()[1][2] == 10


def test_shapes() -> None:
    assert Array("i", [[1, 2], [3, 4]], shape=(2, 2)).tolist() == [[1, 2], [3, 4]]
    assert Array("i", range(4), shape=(2, 2)).tolist() == [[0, 1], [2, 3]]
    assert Array("i", np.arange(4).reshape(2, 2)).tolist() == [[0, 1], [2, 3]]
    assert Array("f4", np.arange(4).reshape(2, 2)).shape == (2, 2)
    assert Array("f4", [[1, 2], [3, 4]], shape=(4,)).tolist() == [1, 2, 3, 4]
    assert Array("i", 4, shape=(2, 2)).shape == Array("i", shape=(2, 2)).shape
    assert Array("i", shape=3).shape == (3,)
    assert Array("i", np.int64(3)).shape == (3,)
    assert Array("i", shape=(0, 3)).tolist() == []
    for init in (range(5), [[1, 2, 3], [4, 5, 6]], [[1, 2], [3]]):
        with pytest.raises(ValueError, match=r"shape|expected|inhomogeneous"):
            Array("i4", init, shape=(2, 2))


@pytest.mark.parametrize("dtype", ["i8", "float32"])
def test_an_array_of_no_dimension_is_refused_with_what_to_do(dtype: str) -> None:
    """Not taken for a size, either: it has an ``__index__``."""
    mine = np.array(7, dtype)
    for make, args, options in (
        (Array, (mine.dtype, mine), {"shape": mine.shape}),
        (Array, (mine.dtype, mine), {"shape": (1,)}),
        (Array, (mine.dtype, mine), {}),
        (RawArray, ("i", mine), {}),
        (Array.named, ("none", mine.dtype, mine), {}),
    ):
        with pytest.raises(
            ValueError, match=r"one dimension or more, found array\(7.*reshape\(1\)"
        ):
            make(*args, **options)
    assert Array(mine.dtype, mine.reshape(1), shape=(1,)).tolist() == [7]
    assert Array("i", np.int64(3)).tolist() == [0, 0, 0]


def test_integers_of_a_dtype_do_not_wrap() -> None:
    for dtype in ("i1", "u1", "i4", "u4", "i8", "u8"):
        ours, information = Array(dtype, 2), np.iinfo(dtype)
        for fits in (information.min, information.max):
            ours[0] = int(fits)
            assert ours[0] == fits
        for wrong in (int(information.min) - 1, int(information.max) + 1, 10**30):
            with pytest.raises(OverflowError):
                ours[1] = wrong
        assert ours[1] == 0
        ours[1] = np.float64(3.7)  # as NumPy does
        assert ours[1] == 3


@pytest.mark.usefixtures("own_home")
def test_views_outlive_everything() -> None:
    views = []
    for number in range(20):
        ours = Array("M8[s]" if number % 2 else "i8", 1000)
        views.append((np.asarray(ours), np.from_dlpack(ours) if not number % 2 else None))
        address = ours.__array_interface__["data"][0]
        assert views[-1][0].ctypes.data == address
        if number % 3:
            ours.close()
        del ours
    gc.collect()
    for number, (view, other) in enumerate(views):
        view.view("i8")[:] = number
        assert other is None or (other == number).all()
    for number, (view, _) in enumerate(views):
        assert (view.view("i8") == number).all()
    probe = cy.Value("i")
    held = probe.statistics().space.objects
    del view, other
    views.clear()
    gc.collect()
    assert probe.statistics().space.objects == held - 20
    probe.check()


@pytest.mark.usefixtures("own_home")
def test_an_address_told_holds_until_the_array_goes() -> None:
    probe = cy.Value("i")
    before = probe.statistics().space.objects
    ours = Array("i", 10)
    interface = ours.__array_interface__
    assert interface == ours.__array_interface__
    ours.close()
    assert probe.statistics().space.objects == before + 1
    del ours
    assert probe.statistics().space.objects == before


def test_no_noise_at_exit() -> None:
    program = """
import courtyard as cy, numpy as np, ctypes
arrays = [cy.Array("d", 1000) for _ in range(4)]
kept = [np.asarray(arrays[0]), memoryview(arrays[1]), arrays[2].get_obj()]
kept.append(np.from_dlpack(arrays[3]))
arrays[0].close()
arrays[1].close()
class Late:
    def __del__(self):
        kept[0][:] = 5
late = Late()
"""
    done = run_script(program)
    assert done.stdout == done.stderr == ""


def test_numpy_is_imported_when_asked_for() -> None:
    program = """
import sys, pickle, courtyard as cy
a = cy.Array("i", [1, 2, 3])
a[0] = a[1:2][0]
memoryview(a)[1] = 5
pickle.loads(pickle.dumps(a)).statistics()
cy.Array("c", b"text").value
repr(a)
assert "numpy" not in sys.modules
"""
    run_script(program)


def test_without_numpy() -> None:
    program = """
import ctypes, sys
sys.modules["numpy"] = None
import courtyard as cy
a = cy.Array("i", range(6), shape=(2, 3))
assert a.tolist() == [[0, 1, 2], [3, 4, 5]] and a[1] == [3, 4, 5] and a[1, 2] == 5
a[0] = [7, 8, 9]
a[1, 0] = 6
assert a[0:2] == [[7, 8, 9], [6, 4, 5]] and a.get_obj()[1][0] == 6 and list(a)[1] == a[1]
for bad in (lambda: a[:, 0], lambda: cy.Array("float32", 3), lambda: a.__setitem__((0, 5), 1)):
    try:
        bad()
    except (TypeError, IndexError) as error:
        print(type(error).__name__)
try:
    a.__dlpack__()
except ImportError:
    print("ImportError")
assert a.__array_interface__["typestr"] == "<i4"
class P(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int)]
p = cy.Array(P, [(1,), (2,)])
assert p[1].x == 2 and p.__array_interface__["typestr"] == "|V4"
p = cy.Array(P, 4, shape=(2, 2))
p[1] = [(5,), (6,)]
assert p[1][1].x == 6
"""
    assert run_script(program).stdout.split() == [
        "TypeError",
        "TypeError",
        "IndexError",
        "ImportError",
    ]


@pytest.mark.parametrize(
    "dtype", ["float64", "<i4", "uint16", "float16", ">i4", np.float64, "bool"]
)
@pytest.mark.parametrize("kind", [Array, RawArray])
def test_an_array_with_a_dtype_is_printed_as_its_repr(kind: Any, dtype: Any) -> None:
    array = kind(dtype, [1, 0])
    assert f"{array}" == str(array) == repr(array)
    assert array._getvalue() == [1, 0]
