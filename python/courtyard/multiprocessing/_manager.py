"""``Manager()``: SyncManager's methods, with no server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import courtyard
from courtyard._public import publish
from courtyard._space.factory import Factories
from courtyard._value.declaration import resolve
from courtyard.multiprocessing import _proxy
from courtyard.multiprocessing._proxy import managers

if TYPE_CHECKING:
    from types import TracebackType


def _serverless(name: str) -> Any:
    def missing(self: Manager) -> Any:
        raise AttributeError(f"a Manager of courtyard has no server, and so no {name}")

    return property(missing)


class Manager(Factories, managers.SyncManager):  # type: ignore[misc]
    """What ``multiprocessing.Manager()`` returns: makes shared objects of this process's space.

    They are courtyard's own, in shared memory: there is no server process, nothing to start and
    nothing to end. They may be stored in each other, together with all else that this process
    makes, and live as long as anybody has them, also after ``shutdown()``.

    A process that is killed loses what it alone held; its locks are free again.

    >>> import courtyard.multiprocessing as multiprocessing
    >>> with multiprocessing.Manager() as manager:
    ...     shared = manager.dict(done=manager.list())
    ...     shared["done"].append(1)
    ...     shared["done"]
    <courtyard.List: [1]>
    """

    __slots__ = ("_context",)

    address, connect, get_server, register = map(
        _serverless, ("address", "connect()", "get_server()", "register()")
    )

    def __init__(self, context: Any) -> None:
        """Make its pools by this context."""
        self._context = context

    def Pool(
        self,
        processes: int | None = None,
        initializer: Any = None,
        initargs: Any = (),
        maxtasksperchild: int | None = None,
    ) -> Any:
        """Make a pool of processes, which are started as the manager's context has it.

        It may be handed to other processes, as a Manager's: what they have done in it is done by
        its workers, which are children of the process that made it. When that has ended, their
        calls raise EOFError or an OSError.
        """
        from courtyard.multiprocessing import _pool

        return _pool.Pool(self._context.Pool(processes, initializer, initargs, maxtasksperchild))

    def _make(self, kind: str, *arguments: Any, **keywords: Any) -> Any:
        if keywords.get("lock") is False:
            kind = f"Raw{kind}"
            del keywords["lock"]
        return getattr(_proxy, kind)(*arguments, **keywords)

    def Value(self, typecode: Any, *args: Any, lock: Any = True) -> courtyard.Value[Any]:
        """Make a Value; where no value can be of that type, as of ``c_char_p``, one of any object.

        SyncManager only passes the type along.
        """
        try:
            resolve(typecode)
        except TypeError:
            typecode = object
        return super().Value(typecode, *args, lock=lock)

    def _create(self, typeid: str, /, *_arguments: Any, **_keywords: Any) -> Any:
        """Raise NotImplementedError, for what a program has registered in SyncManager."""
        raise NotImplementedError(
            f"a Manager of courtyard makes no {typeid}: for classes of your own use "
            "multiprocessing.managers.SyncManager"
        )

    def join(self, timeout: float | None = None) -> None:
        """Return at once: there is no server to wait for."""

    def __enter__(self) -> Manager:
        """Return it."""
        return self

    def __exit__(
        self,
        class_: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do nothing: what it made is its holders'."""


publish([Manager])
