"""Following the changes of an object, for tasks."""

from __future__ import annotations

from queue import Empty

from courtyard._error import Closed
from courtyard._object.object import seconds
from courtyard._object.subclass import own_class
from courtyard.aio._object import checkpoint
from courtyard.aio._wait import PENDING, until

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any, Self


class Watch:
    """What follows the changes of an object: ``async for change in d.aio.watch()``.

    As ``courtyard.Watch``, and with its methods under their own names. A task that waits for a
    change lets the event loop run; several may share a watch, and are served in the order in which
    they came. A cancelled call has taken no change.

    >>> import asyncio, courtyard as cy
    >>> d = cy.Dict(a=1)
    >>> async def main():
    ...     async with d.aio.watch() as changes:
    ...         d["a"] = 2
    ...         async for key, value in changes:
    ...             return key, value
    >>> asyncio.run(main())
    ('a', 2)
    """

    def __init__(self, sync: Any) -> None:
        """Make the twin of a watch; ``d.aio.watch()`` does that."""
        self.sync = sync

    @property
    def state(self) -> Any:
        """The content of the object when the watch began."""
        return self.sync.state

    async def get(self, timeout: float | None = None) -> Any:
        """Wait for the next change and return it; with a timeout of 0, do not wait.

        Raises ``queue.Empty`` after ``timeout`` seconds, Closed if the watch or the object's handle
        is closed. A cancelled call has taken no change.
        """
        watch, timeout = self.sync, seconds(timeout)

        def attempt() -> Any:
            if not watch._look():
                return PENDING
            taken = watch._take()
            return taken[0] if taken else PENDING

        line = f"watch {id(watch)}"
        result = await until(watch._object, attempt, timeout=timeout, line=line)
        if result is PENDING:
            raise Empty
        return result

    def __aiter__(self) -> Self:
        """Iterate over the changes, until the watch or the object's handle is closed."""
        return self

    async def __anext__(self) -> Any:
        """Wait for the next change."""
        try:
            return await self.get()
        except Closed:
            raise StopAsyncIteration from None

    async def close(self) -> None:
        """End the watch: tasks that wait for a change go on."""
        self.sync.close()
        await checkpoint(shielded=True)

    async def __aenter__(self) -> Self:
        """Return it."""
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Close it."""
        self.sync.close()

    def _waited_for(self) -> Any:
        return self.sync._waited_for()

    def __repr__(self) -> str:
        """Say what it follows."""
        return f"{self.sync!r}.aio"


class Watched:
    """An object whose changes tasks can follow."""

    __slots__ = ()
    sync: Any

    def watch(self, *arguments: Any, **keywords: Any) -> Watch:
        """Follow its changes, for ``async for``, as the object's own ``watch`` does.

        The watch begins with this call, which reads the content as it is now.
        """
        return Watch(own_class(self.sync).watch(self.sync, *arguments, **keywords))
