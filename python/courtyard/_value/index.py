"""Arrays beyond single words in one dimension: what they begin as, are indexed by, turn into."""

from __future__ import annotations

import ctypes
import math
import operator
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from courtyard import _native
from courtyard._value.element import Element, element_of, numpy

_Vector = _native.RawArray[Any]
_Compound: Any = ctypes.Structure | ctypes.Union | ctypes.Array
# The array interface's letters of single words.
_KINDS = {"c": "S", "u": "U", "f": "f", "d": "f", "float": "f", "?": "b", "P": "u"}


def _element(vector: _Vector) -> Element:
    return element_of(vector._declared)


def shape_asked(element: Element, init: Any, shape: Any) -> tuple[int, ...] | None:
    """Return the shape that an array is asked to have; None if that is left open."""
    if init is None and shape is None:
        return None
    _refuse_a_scalar(init)
    _refuse_a_shape(element, init, shape)
    length = None if init is None else _length(init)
    if init is None or length is None:
        return begin(element, init, shape)[0]
    if shape is not None:
        return (*_as_shape(shape), *element.inner)
    wanted = _shape_of(init, length)
    outer = len(wanted) - len(element.inner)
    if element.inner and outer > 0 and wanted[outer:] == element.inner:
        return wanted
    return (*wanted, *element.inner)


def begin(element: Element, init: Any, shape: Any) -> tuple[tuple[int, ...], bytes]:
    """Return the shape and the first bytes (none: zero) that an array is asked to have."""
    _refuse_a_scalar(init)
    _refuse_a_shape(element, init, shape)
    wanted = None if shape is None else _as_shape(shape)
    if init is None:
        if wanted is None:
            raise TypeError("an array needs a size, an initializer or a shape")
        return _sized(element, wanted), b""
    length = _length(init)
    if length is None:
        size = operator.index(init)
        if size < 0:
            raise ValueError(f"Array length must be >= 0, not {size}")
        if wanted is None:
            wanted = (size,)
        elif math.prod(wanted) != size:
            raise ValueError(f"a shape of {wanted} has {math.prod(wanted)} elements, not {size}")
        return _sized(element, wanted), b""
    if wanted is None:
        wanted = _shape_of(init, length)
        outer = len(wanted) - len(element.inner)
        if element.inner and outer > 0 and wanted[outer:] == element.inner:
            wanted = wanted[:outer]
    data = _to_bytes(element, init, wanted)
    return wanted + element.inner, data


def _sized(element: Element, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """Return the whole shape. Raises OverflowError if no memory has so many elements."""
    shape: tuple[int, ...] = wanted + element.inner
    nbytes = math.prod(shape) * element.size
    if max(nbytes, *shape) > sys.maxsize:
        count = wanted[0] if len(wanted) == 1 else f"{wanted}"
        raise OverflowError(
            f"an array of {count} elements would have {nbytes} bytes, and at most {sys.maxsize} "
            "can be addressed"
        )
    return shape


def _as_shape(shape: Any) -> tuple[int, ...]:
    lengths = (shape,) if isinstance(shape, int) else tuple(shape)
    lengths = tuple(operator.index(length) for length in lengths)
    if not lengths:
        raise ValueError(
            "expected a shape of one dimension or more, found (): a single element is an array of "
            "shape (1,), or a Value"
        )
    if min(lengths) < 0:
        raise ValueError(f"expected a shape of dimensions >= 0, found {shape!r}")
    return lengths


def _refuse_a_shape(element: Element, init: Any, shape: Any) -> None:
    """Raise TypeError for a shape in the place of the initializer, where NumPy has it."""
    if element.dtype is None or shape is not None or type(init) is not tuple:
        return
    if init and all(type(size) is int for size in init):
        raise TypeError(
            f"{init!r}: expected a size or elements; for an array of this shape write "
            f"shape={init!r}, for one of these elements a list"
        )


def _refuse_a_scalar(init: Any) -> None:
    """Raise ValueError for NumPy's arrays of no dimension: they also count as a size."""
    if getattr(init, "shape", None) == () and hasattr(type(init), "__setitem__"):
        raise ValueError(
            f"expected an array of one dimension or more, found {init!r}, which has none: pass its "
            "reshape(1), or share a Value"
        )


def _length(init: Any) -> int | None:
    """Return how many elements an initializer has; None if it is a size."""
    if isinstance(init, int):
        return None
    try:
        return len(init)
    except TypeError:
        if hasattr(type(init), "__index__"):
            return None
        raise


def _shape_of(init: Any, length: int) -> tuple[int, ...]:
    """Return the shape of an initializer: more than one dimension only if it says so itself."""
    shape = getattr(init, "shape", None)
    if isinstance(shape, tuple) and len(shape) > 1 and all(isinstance(n, int) for n in shape):
        return shape
    return (length,)


def _to_bytes(element: Element, values: Any, shape: tuple[int, ...]) -> bytes:
    """Return the bytes of a sequence, nested as the shape is or flat."""
    np = numpy() if element.dtype is not None or hasattr(values, "__array_interface__") else None
    count = math.prod(shape)
    if np is not None and (element.dtype is not None or np.asarray(values).ndim > 1):
        full = shape + element.inner
        if element.dtype is None:
            made = np.asarray(values)
            if made.size == count:
                return bytes((element.ctype * count)(*made.ravel().tolist()))
        else:
            source = (
                values
                if hasattr(values, "__array_interface__")
                else np.array(values, element.dtype)
            )
            if source.shape != full and source.size == math.prod(full):
                source = source.reshape(full)
            if source.shape == full:
                made = np.zeros(full, element.dtype)  # gaps included
                made[...] = source
                found: bytes = made.tobytes()
                return found
        raise ValueError(f"expected values for a shape of {full}, found {np.shape(values)}")
    flat = values if len(shape) == 1 or len(values) == count else _flat(values, shape)
    made = element.ctype * count
    if len(flat) != count:
        raise ValueError(f"a shape of {shape} has {count} elements, found {len(flat)}")
    return bytes(made(*flat))


def _flat(values: Any, shape: Sequence[int]) -> list[Any]:
    """Return nested sequences as one list; ValueError if they are not nested so."""
    if not shape:
        return [values]
    if len(values) != shape[0]:
        raise ValueError(f"expected {shape[0]} items in a dimension, found {len(values)}")
    return [item for row in values for item in _flat(row, shape[1:])]


def _nested(flat: list[Any], shape: Sequence[int]) -> list[Any]:
    if len(shape) <= 1:
        return flat
    step = math.prod(shape[1:])
    return [_nested(flat[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0])]


def plain(vector: _Vector) -> Any:
    """Return ctypes' array, or NumPy's, on the very memory."""
    element = _element(vector)
    if element.dtype is not None:
        return _view(vector)
    ctype = element.ctype
    for length in reversed(vector.shape):
        ctype *= length
    return ctype.from_buffer(vector)


def _view(vector: _Vector) -> Any:
    np = numpy()

    return np.asarray(vector)


def to_list(vector: _Vector) -> list[Any]:
    """Return all elements, of one moment."""
    element = _element(vector)
    if element.code != "raw":
        flat = _native.RawArray._elements(vector)
        return _nested(flat, vector.shape)
    data = _native.RawArray._read(vector, 0, vector.nbytes)
    if element.dtype is not None:
        np = numpy()

        found: list[Any] = np.frombuffer(data, element.dtype).reshape(vector.shape).tolist()
        return found
    copy = (element.ctype * math.prod(vector.shape)).from_buffer_copy(data)
    return _nested(copy[:], vector.shape)


def equals(vector: _Vector, other: Any) -> bool:
    """Return whether the array's elements are those of a sequence."""
    element = _element(vector)
    if hasattr(vector, "value") and isinstance(other, bytes | str):
        return bool(vector.value == other)
    if element.ctype is not None and issubclass(element.ctype, _Compound):
        return _native.RawArray._read(vector, 0, vector.nbytes) == bytes(other)
    if hasattr(other, "tolist"):
        return bool(to_list(vector) == other.tolist())
    return bool(to_list(vector) == (list(other) if isinstance(other, Iterable) else other))


def interface(vector: _Vector) -> dict[str, Any]:
    """Return the array interface, version 3."""
    element = _element(vector)
    kind = _KINDS.get(element.code) or ("u" if element.code.isupper() else "i")
    order = "|" if element.size == 1 else "<" if sys.byteorder == "little" else ">"
    size = 1 if element.code == "u" else element.size
    found: dict[str, Any] = {"typestr": f"{order}{kind}{size}"}
    if element.code == "raw":
        np = numpy()
        if np is None:
            found["typestr"] = f"|V{element.size}"
        else:
            dtype = np.asarray(vector).dtype if element.dtype is None else element.dtype
            found = {"typestr": dtype.str, "descr": dtype.descr}
    return {
        "version": 3,
        "shape": vector.shape,
        "strides": None,
        "data": (_native.RawArray._lend(vector), False),
        **found,
    }


def get(vector: _Vector, key: Any) -> Any:
    """Return what a key means beyond one word of one dimension."""
    element = _element(vector)
    by_numpy = element.dtype is not None or (len(vector.shape) > 1 and numpy() is not None)
    if by_numpy:
        view = _view(vector)
        found = view[key]
        scalar = not isinstance(found, type(view)) and element.dtype is not None
        if scalar and element.code == "raw" and element.dtype.names is None:
            offset = _place(view, key)
            data = _native.RawArray._read(vector, offset, element.size)
            return type(view)((1,), element.dtype, data)[0]  # never torn
        if scalar and element.code != "raw":
            return found.item()
        return found
    if len(vector.shape) > 1:
        return _get_row(vector, element, key)
    length, ctype = vector.shape[0], element.ctype
    views = issubclass(ctype, _Compound)
    if isinstance(key, slice):
        places = range(*key.indices(length))
        if views:
            whole = plain(vector)
            return [whole[place] for place in places]
        data = _native.RawArray._read(vector, 0, vector.nbytes)
        return (ctype * length).from_buffer_copy(data)[key]
    place = _index(key, length)
    if views:
        return plain(vector)[place]
    data = _native.RawArray._read(vector, place * element.size, element.size)
    return (ctype * 1).from_buffer_copy(data)[0]


def _index(key: Any, length: int) -> int:
    if not hasattr(type(key), "__index__"):
        raise TypeError("indices must be integers")
    place = operator.index(key)
    place = place + length if place < 0 else place
    if not 0 <= place < length:
        raise IndexError("invalid index")
    return place


def _place(view: Any, key: Any) -> int:
    """Return how far the one element that a key means is from the first."""
    keys = key if isinstance(key, tuple) else (key,)
    at: int = view[(*keys, ...)].__array_interface__["data"][0]
    start: int = view.__array_interface__["data"][0]
    return at - start


def set_(vector: _Vector, key: Any, value: Any) -> None:
    """Write what a key means beyond one word of one dimension."""
    element = _element(vector)
    if element.dtype is not None or (len(vector.shape) > 1 and numpy() is not None):
        _set_by_numpy(vector, key, value)
        return
    if len(vector.shape) > 1:
        _set_row(vector, element, key, value)
        return
    length, size = vector.shape[0], element.size
    if isinstance(key, slice):
        places = range(*key.indices(length))
        made = (element.ctype * len(places))()
        if len(value) != len(places):
            raise ValueError("Can only assign sequence of same size")
        if isinstance(value, dict) or not hasattr(type(value), "__getitem__"):
            raise TypeError(f"'{type(value).__name__}' is not a sequence")
        for place in range(len(places)):
            made[place] = value[place]
        if not places:
            return
        data = bytes(made)
        if places.step < 0:
            pieces = [data[i : i + size] for i in range(0, len(data), size)]
            data, places = b"".join(reversed(pieces)), places[::-1]
        _native.RawArray._write(vector, places[0] * size, size, places.step * size, data)
        return
    place = _index(key, length)
    one = (element.ctype * 1)()
    one[0] = value
    _native.RawArray._write(vector, place * size, size, size, bytes(one))


def _set_by_numpy(vector: _Vector, key: Any, value: Any) -> None:
    """Write as NumPy would: in one piece or evenly apart wholly or not at all, else as it goes."""
    np = numpy()

    view = _view(vector)
    pieces = _pieces(view, key)
    if pieces is not None:
        target, turned, offset, length, stride = pieces
        data = value
        if (
            type(value) is not np.ndarray
            or value.shape != target.shape
            or value.dtype is not target.dtype
            or not value.flags.c_contiguous
            or any(turn.step for turn in turned)
        ):
            made = np.zeros(target.shape, target.dtype)  # gaps included
            made[...] = value
            data = np.frombuffer(made[turned].tobytes(), "B")
        if data.size:
            _native.RawArray._write(vector, offset, length, stride, data.reshape(-1).view("B"))
        return
    if isinstance(vector, _native.Array):
        _native.Array.acquire(vector)
        try:
            view[key] = value
        finally:
            _native.RawArray._touch(vector)
            _native.Array.release(vector)
    else:
        view[key] = value
        _native.RawArray._touch(vector)


def _pieces(view: Any, key: Any) -> Any:
    """Return a basic key's target, how it is turned forward, and its bytes as pieces."""
    keys = key if isinstance(key, tuple) else (key,)
    if isinstance(key, str):
        target = view[key]
    elif all(k is None or k is ... or isinstance(k, slice) or _is_index(k) for k in keys):
        target = view[keys if any(k is ... for k in keys) else (*keys, ...)]
    else:
        return None
    turned = tuple(slice(None, None, -1) if step < 0 else slice(None) for step in target.strides)
    forward = target[turned]
    # From the innermost dimension: as much as has no gap, then as much as is evenly apart.
    length, count, stride = forward.itemsize, 1, 0
    for size, step in zip(reversed(forward.shape), reversed(forward.strides), strict=True):
        if size == 1:
            continue
        if count == 1 and step == length:
            length *= size
        elif count == 1:
            count, stride = size, step
        elif step == stride * count:
            count *= size
        else:
            return None
    at = forward.__array_interface__["data"][0] - view.__array_interface__["data"][0]
    return target, turned, at, length, stride if count > 1 else length


def _is_index(key: Any) -> bool:
    return hasattr(type(key), "__index__") and not hasattr(key, "ndim") and key not in (True, False)


def _get_row(vector: _Vector, element: Element, key: Any) -> Any:
    """Return rows as lists, where there is no NumPy."""
    if isinstance(key, slice):
        return to_list(vector)[key]
    found: Any = to_list(vector)
    for index in key if isinstance(key, tuple) else (key,):
        if isinstance(index, slice):
            raise _needs_numpy()
        found = found[_index(index, len(found))]
    return found


def _set_row(vector: _Vector, element: Element, key: Any, value: Any) -> None:
    """Write a row, where there is no NumPy."""
    keys = key if isinstance(key, tuple) else (key,)
    if len(keys) > len(vector.shape) or any(isinstance(k, slice) for k in keys):
        raise _needs_numpy()
    shape, offset, size = vector.shape, 0, vector.nbytes
    for index, length in zip(keys, shape, strict=False):
        size //= length or 1
        offset += _index(index, length) * size
    rest = shape[len(keys) :]
    data = bytes((element.ctype * math.prod(rest))(*_flat(value, rest)))
    if data:
        _native.RawArray._write(vector, offset, size, size, data)


def _needs_numpy() -> TypeError:
    return TypeError("an array of more dimensions takes such indices with NumPy only")
