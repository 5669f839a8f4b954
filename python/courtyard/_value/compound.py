"""Values of ctypes arrays and structures: their elements and fields, each access atomic."""

from __future__ import annotations

import ctypes
from typing import Any

from courtyard import _native
from courtyard._value.declaration import Declaration, fields

_Simple = ctypes._SimpleCData
# How often a change is tried beside others.
_MAX_ATTEMPTS = 100_000


def members(declaration: Declaration) -> dict[str, Any]:
    """Return what a Value of this ctypes type has beyond others: fields, or elements."""
    ctype = declaration.ctype
    if declaration.shape == "structure":
        return {name: _field(ctype, name) for name, *_ in fields(ctype)}
    body: dict[str, Any] = {
        "__len__": _length,
        "__getitem__": _get_item,
        "__setitem__": _set_item,
        "__iter__": _iterate,
    }
    if declaration.shape == "chars":
        body["raw"] = property(_native.RawValue._bytes, _set_raw, doc="All bytes, NULs included.")
    return body


def _type_of(obj: Any) -> Any:
    return _native.RawValue._declared.__get__(obj)


def _copy(obj: Any) -> tuple[bytes, Any]:
    data = _native.RawValue._bytes(obj)
    return data, _type_of(obj).from_buffer_copy(data)


def _update(obj: Any, change: Any) -> None:
    """Change a copy and write it back, again if another thread wrote in between."""
    for _ in range(_MAX_ATTEMPTS):
        before, copy = _copy(obj)
        change(copy)
        if _native.RawValue._write(obj, 0, bytes(copy), before):
            return
    raise RuntimeError("a conversion of what is stored changed the value each time it ran")


def _field(ctype: Any, name: str) -> property:
    """Return a field as a property: simple ones by value, others as views, as ctypes has it."""

    def get(self: Any) -> Any:
        found = getattr(_copy(self)[1], name)
        if isinstance(found, ctypes.Structure | ctypes.Union | ctypes.Array):
            return getattr(_native.RawValue._plain(self), name)
        return found

    def set_(self: Any, value: Any) -> None:
        _update(self, lambda copy: setattr(copy, name, value))

    return property(get, set_, doc=f"The field {name} of the structure; a write is atomic.")


def _length(self: Any) -> int:
    return int(_type_of(self)._length_)


def _get_item(self: Any, index: Any) -> Any:
    found = _copy(self)[1][index]
    if isinstance(found, ctypes.Structure | ctypes.Union | ctypes.Array):
        return _native.RawValue._plain(self)[index]
    return found


def _set_item(self: Any, index: Any, value: Any) -> None:
    def change(copy: Any) -> None:
        copy[index] = value

    _update(self, change)


def _iterate(self: Any) -> Any:
    return iter([_get_item(self, index) for index in range(_length(self))])


def _set_raw(self: Any, data: Any) -> None:
    data = memoryview(data).tobytes()  # not bytes(): that makes zeros of an int
    if len(data) > _length(self):
        raise ValueError(f"byte string too long: {len(data)} bytes for a value of {_length(self)}")
    _native.RawValue._write(self, 0, data)
