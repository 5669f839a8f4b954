"""``Object``: what the twin of every object can do."""

from __future__ import annotations

from courtyard import _native
from courtyard._object.object import seconds
from courtyard._object.several import LOOK_AGAIN
from courtyard._object.subclass import home_of, own_class
from courtyard.aio._loop import current, has_checkpoints, owner
from courtyard.aio._wait import PENDING, until

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from courtyard._statistics import ObjectStatistics


class Object:
    """An object as tasks use it: ``obj.aio``.

    It has the methods of the object under their own names, to be awaited, and is equal to every
    twin of the same object. ``sync`` is the object itself.
    """

    __slots__ = ("sync",)

    def __init__(self, sync: Any) -> None:
        """Make the twin of an object; ``obj.aio`` does that."""
        self.sync = sync

    def __repr__(self) -> str:
        """Say whose twin it is."""
        return f"{self.sync!r}.aio"

    def __eq__(self, other: object) -> Any:
        """Say whether it is the twin of the same object."""
        if not isinstance(other, Object):
            return NotImplemented
        return bool(_identity(self.sync) == _identity(other.sync))

    def __hash__(self) -> int:
        """Return the same for all twins of an object."""
        return hash(_identity(self.sync))

    async def _call(self, call: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Call what may find another owner inside ``get_lock()``: the task waits for that."""
        sync, mine = self.sync, owner()

        def attempt() -> Any:
            done = _native.attempt(mine, sync, call, arguments, keywords)
            return PENDING if done is None else done[0]

        return await until(sync, attempt, timeout=None, again=lambda: LOOK_AGAIN)

    async def statistics(self) -> ObjectStatistics:
        """Return the figures of the object and its space."""
        await checkpoint()
        return own_class(self.sync).statistics(self.sync)  # type: ignore[no-any-return]

    async def check(self) -> None:
        """Raise CorruptError if the object's space is inconsistent; O(space)."""
        await checkpoint()
        own_class(self.sync).check(self.sync)

    async def close(self) -> None:
        """Close the handle in this process; tasks that wait with it raise Closed."""
        own_class(self.sync).close(self.sync)
        await checkpoint(shielded=True)

    async def wait_for(self, x: Any, timeout: float | None = None) -> Any:
        """Wait until a condition holds; return what it returned, or False after timeout seconds.

        As the object's own: ``x`` is called with the object, or a Value's value, if it can be
        called, else compared with that. A cancelled call has done nothing.
        """
        sync, timeout = self.sync, seconds(timeout)
        cls = home_of(sync)

        def attempt() -> Any:
            return cls.wait_for(sync, x, 0) or PENDING

        result = await until(sync, attempt, timeout=timeout)
        return False if result is PENDING else result


def _identity(sync: Any) -> Any:
    return home_of(sync)._identity(sync)


async def checkpoint(*, shielded: bool = False) -> None:
    """Let other tasks run, where the library wants that of each call.

    It raises the task's cancellation, so it comes before what the call does; shielded it does not.
    """
    if has_checkpoints():
        await current().checkpoint(shielded=shielded)


def passed(function: Any, *, gives_back: bool = False) -> Any:
    """Make the awaitable form of a method that does not wait.

    One that gives something back does so also in a task that is cancelled.
    """

    async def call(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if not gives_back:
            await checkpoint()
        result = function(self.sync, *arguments, **keywords)
        if gives_back:
            await checkpoint(shielded=True)
        return result

    call.__name__ = function.__name__
    call.__qualname__ = f"Twin.{function.__name__}"
    call.__doc__ = function.__doc__
    return call
