"""Arrays of characters: all of one as bytes or as a text."""

from __future__ import annotations

from typing import Any

from courtyard import _native


def members(code: str) -> dict[str, Any]:
    """Return what arrays of ``c_char``, ``"c"``, or of ``c_wchar``, ``"u"``, have beyond others."""
    text = _native.RawArray._text
    if code == "u":
        return {"value": property(text, _set_text, doc="The text up to the first NUL.")}
    return {
        "raw": property(_raw, _set_raw),
        "value": property(text, _set_bytes, doc="The bytes up to the first NUL."),
    }


def _raw(self: Any) -> bytes:
    """All bytes, NULs included."""
    return _native.RawArray._read(self, 0, self.nbytes)


def _set_raw(self: Any, data: Any) -> None:
    view = memoryview(data)  # not bytes(): that makes zeros of an int
    in_one_piece = view.c_contiguous and view.nbytes > 0
    _write_all(self, view.cast("B") if in_one_piece else view.tobytes())


def _set_bytes(self: Any, data: Any) -> None:
    if not isinstance(data, bytes):
        raise TypeError(f"bytes expected instead of {type(data).__name__} instance")
    _write_all(self, data if len(data) >= len(self) else data + b"\0")


def _set_text(self: Any, text: Any) -> None:
    if not isinstance(text, str):
        raise TypeError(f"unicode string expected instead of {type(text).__name__} instance")
    if len(text) > len(self):
        raise ValueError("string too long")
    text = text if len(text) == len(self) else text + "\0"
    _native.RawArray.__setitem__(self, slice(len(text)), text)


def _write_all(array: Any, data: bytes | memoryview) -> None:
    if len(data) > len(array):
        raise ValueError(f"byte string too long: {len(data)} bytes for an array of {len(array)}")
    _native.RawArray._write(array, 0, len(data), len(data), data)
