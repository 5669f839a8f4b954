"""The spaces of this user's folder: which there are, and what removes them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from courtyard import _native
from courtyard._error import CourtyardError, NotFound
from courtyard._space import Space
from courtyard._space.url import opened, path_of

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {1: "private", 2: "named", 3: "durable"}


@dataclass(frozen=True)
class SpaceInfo:
    """A file in this user's folder.

    Attributes:
        path: the file.
        kind: ``"private"``, ``"named"``, ``"durable"``; ``"draft"`` for one that is being built, or
            was when its maker was killed; ``"unknown"`` for another layout, or no space at all.
        name: its name; None if it has none.
        in_use: whether a process is registered there.
        orphaned: whether it is private, or a draft, and no process uses it: ``remove_orphans``
            removes it. One whose pickles may not be loaded yet is left alone for a minute.
        nbytes: what the file takes, holes not counted.
        objects, names: how many objects live there, and how many have a name.

    """

    path: Path
    kind: str
    name: str | None
    in_use: bool
    orphaned: bool
    nbytes: int
    objects: int
    names: int


def spaces() -> list[SpaceInfo]:
    """Return the spaces of this user's folder, and drafts, by name; private ones last."""
    found = [_space_info(*listed) for listed in _native.spaces()]
    return sorted(found, key=lambda info: (info.name is None, info.name or "", str(info.path)))


def folder() -> Path:
    """Return the folder of this user's spaces."""
    return _native.folder_of_spaces()


def _space_info(
    path: Path,
    kind: int,
    title: str,
    alive: bool,
    draft: bool,
    nbytes: int,
    objects: int,
    names: int,
    tickets: int,
) -> SpaceInfo:
    what = "draft" if draft else _KINDS.get(kind, "unknown")
    orphaned = not alive and what in ("draft", "private")
    return SpaceInfo(path, what, title or None, alive, orphaned, nbytes, objects, names)


def look_into(url: str) -> tuple[SpaceInfo, Space]:
    """Open a space that there is, only to look; return what its file said before, and the space.

    What dead processes hold stays theirs. Raises what ``Space(url, create=False)`` does.
    """
    info = None
    with suppress(CourtyardError, OSError, ValueError):  # opening it says what is wrong
        info = _space_info(*_native.space_at(space_path(url)))
    space = _looked_at(url)
    return info or _space_info(*_native.space_at(space._opened().path)), space


def _looked_at(url: str) -> Space:
    return Space._of(opened(url, False, None, True, looks=True))


def enter(info: SpaceInfo) -> Space:
    """Open a space of the list, a private one too, only to look."""
    if info.kind == "named" and info.name is not None:
        return _looked_at(info.name)
    if info.kind == "durable":
        return _looked_at(info.path.absolute().as_uri())
    if info.kind != "private":
        raise CourtyardError(f"{info.path}: not a space that this version can enter ({info.kind})")
    return Space._of(_native.Space.attached(info.path, int(info.path.stem, 16), looks=True))


def remove(url: str, *, force: bool = False) -> bool:
    """Remove a named space or a file; return False if others use it. ``force``: all the same.

    It is not entered, so one of another layout goes too. Raises NotFound if there is none.
    """
    path = space_path(url)
    if not path.exists():
        raise NotFound(f"there is no space {url!r}")
    return _native.remove_space(path, force)


def space_path(url: str) -> Path:
    from pathlib import Path

    if url.startswith("file:"):
        return Path(path_of(url))
    return _native.space_path(url)


def remove_orphans(*, dry_run: bool = False) -> list[SpaceInfo]:
    """Remove what killed programs left: private spaces and drafts not in use; return them.

    With ``dry_run`` they are only named. Those with pickles under way stay for a minute.
    """
    orphans = [info for info in spaces() if info.orphaned]
    if dry_run:
        return orphans
    return [info for info in orphans if _native.remove_orphan(info.path)]
