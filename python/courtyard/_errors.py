"""The exceptions of courtyard, each also the builtin that a caller already catches."""

from __future__ import annotations


class CourtyardError(Exception):
    """Base of all errors that courtyard raises of its own."""


class SpaceFull(CourtyardError, MemoryError):
    """There is no room: a size limit, or a full file system. Nothing was changed.

    The message names the limit and what lifts it: ``size_limit``, ``COURTYARD_DIR``, and
    Docker's ``--shm-size``.
    """


class NotFound(CourtyardError, KeyError):
    """The object or its space is gone; the message says why."""

    def __str__(self) -> str:
        """Return the message itself, where KeyError would quote it."""
        return Exception.__str__(self)


class WrongType(CourtyardError, TypeError):
    """A shared object is not of the type expected; the message says both."""


class CorruptError(CourtyardError):
    """Shared memory says something that no courtyard process wrote."""


class LayoutMismatch(CourtyardError):
    """A file is no courtyard segment, or one of another version."""


class Closed(CourtyardError, ValueError):
    """This handle was closed in this process."""


class NotTrusted(CourtyardError):
    """A pickle was refused in a space opened with ``pickle=False``."""


def __getattr__(name: str) -> object:
    """Make ShutDown when it is asked for: the queue module takes longer than all of this."""
    if name != "ShutDown":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import queue

    made = getattr(queue, "ShutDown", None)
    if made is None:
        text = "Raised by put and get of a queue that was shut down."
        made = type("ShutDown", (Exception,), {"__doc__": text, "__module__": "courtyard"})
    return globals().setdefault(name, made)


# threading and multiprocessing differ in what a wrong release raises: these are both.


class NotHeld(RuntimeError, ValueError):
    """A lock was released that nobody holds."""


class NotOwned(RuntimeError, AssertionError):
    """A lock with an owner was released by another, or a wait or notify came without it."""
