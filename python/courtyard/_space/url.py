"""The URLs of spaces: what they say, and the spaces that they open."""

from __future__ import annotations

from courtyard import _native

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any

SMALLEST = 256 << 10  # bytes: what a space begins with
LARGEST = (1 << 62) - 1


def checked_limit(size_limit: Any) -> int:
    import operator

    limit = operator.index(size_limit)
    if not SMALLEST <= limit <= LARGEST:
        raise ValueError(
            f"size_limit is in bytes, at least {SMALLEST}, as an empty space takes, and at most "
            f"{LARGEST}; found {limit}"
        )
    return limit


def opened(
    url: Any, create: bool, limit: int | None, pickle: bool, looks: bool = False
) -> _native.Space:
    if url is None:
        return _native.Space.private(limit, pickle)
    if not isinstance(url, str):
        import os

        if isinstance(url, os.PathLike):
            from pathlib import Path

            told = Path(os.fsdecode(url)).absolute().as_uri()
            raise TypeError(f"{url!r} is a path, and a space is opened by a URL: Space({told!r})")
        raise TypeError(f"the URL of a space is a str or None, found {type(url).__name__}")
    if any("\ud800" <= letter <= "\udfff" for letter in url):
        raise ValueError(f"the URL of a space contains a lone surrogate: {url!r}")
    if url.startswith("file:"):
        return _durable(path_of(url), create, limit, pickle, looks)
    scheme, colon, _ = url.partition("://")
    if colon and scheme == "redis":
        raise NotImplementedError(
            "spaces on a Redis server are not there yet; use a name, as Space('myapp'), or a file, "
            "as Space('file:///var/lib/myapp.cy')"
        )
    if colon:
        raise ValueError(
            f"{url!r}: expected a name, or a URL of file:///; no other kind of space is known"
        )
    wrong = _wrong_name(url)
    if wrong is not None:
        told = ""
        if "/" in url and "\0" not in url:
            from pathlib import Path

            told = (
                f"; a space in a file is opened by a URL: Space({Path(url).absolute().as_uri()!r})"
            )
        raise ValueError(
            f"the name {url!r} of a space: {wrong}; expected 1 to 255 characters, none of them '/' "
            f"or NUL{told}"
        )
    return _native.Space.named(url, create, limit, pickle, looks)


def _durable(
    path: str, create: bool, limit: int | None, pickle: bool, looks: bool
) -> _native.Space:
    try:
        return _native.Space.durable(path, create, limit, pickle, looks)
    except OSError as error:
        what = _explained(error.errno, path)
        if what is None:
            raise
        raise OSError(error.errno, what, path) from None


def _explained(number: int | None, path: str) -> str | None:
    """Return what a program can do about an error of the system; None where that says it all."""
    from errno import EISDIR, ELOOP, ENOENT, ENOTDIR
    from pathlib import Path

    file = Path(path)
    if number == EISDIR:
        return (
            f"this is a folder, and a space is a file: use Space({(file / 'name.cy').as_uri()!r})"
        )
    if number in (ENOENT, ENOTDIR) and not file.parent.is_dir():
        return f"there is no folder {str(file.parent)!r} for the file of this space: make it first"
    if number == ELOOP and file.is_symlink():
        used = file.resolve().as_uri()
        return f"a space is not opened through a symbolic link to its file: use Space({used!r})"
    return None


def _wrong_name(name: str) -> str | None:
    if not name:
        return "it is empty"
    if len(name) > 255:
        return f"it has {len(name)} characters"
    if name in (".", ".."):
        return "it names a folder"
    return "it contains '/' or NUL" if "/" in name or "\0" in name else None


def path_of(url: str) -> str:
    from urllib.parse import unquote

    path = url.removeprefix("file:")
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        if host not in ("", "localhost"):
            raise ValueError(
                f"{url!r} names the host {host!r}: a space is a file of this machine; expected "
                "file:///an/absolute/path"
            )
        path = slash + rest
    path = unquote(path)
    if not path.startswith("/") or path.endswith("/") or "\0" in path:
        raise ValueError(f"{url!r}: expected file:///an/absolute/path of a file")
    return path
