"""The exceptions of courtyard, each also the builtin that a caller already catches."""

from __future__ import annotations

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any


class CourtyardError(Exception):
    """Base of all errors that courtyard raises of its own."""


class SpaceFull(CourtyardError, MemoryError):
    """There is no room: a size limit, or a full file system. Nothing was changed.

    The message names the limit and what lifts it: ``size_limit``, ``COURTYARD_DIR``, and
    Docker's ``--shm-size``. A plain MemoryError says that this process has no memory of its own for
    a copy of what is stored.
    """


class NotFound(CourtyardError, KeyError):
    """The object or its space is gone; the message says why."""

    def __str__(self) -> str:
        """Return the message itself, where KeyError would quote it."""
        return Exception.__str__(self)


class WrongType(CourtyardError, TypeError):
    """A shared object is not of the expected type; the message names both."""


class CorruptError(CourtyardError):
    """Shared memory contains something that no courtyard process wrote."""


class LayoutMismatch(CourtyardError):
    """A file is not a courtyard space, or is one of another version."""


class Closed(CourtyardError, ValueError):
    """This handle was closed in this process."""


class NotTrusted(CourtyardError):
    """A pickle was refused in a space opened with ``pickle=False``."""


def __getattr__(name: str) -> Any:
    """Make what takes longer to import than all of this when it is asked for."""
    if name == "LoadError":
        return globals().setdefault(name, _load_error())
    if name != "ShutDown":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import queue

    made = getattr(queue, "ShutDown", None)
    if made is None:
        text = "Raised by put and get of a queue that was shut down."
        made = type("ShutDown", (Exception,), {"__doc__": text, "__module__": "courtyard"})
    return globals().setdefault(name, made)


def load_error(cause: BaseException) -> Any:
    """Return the class of the LoadError for what loading raised: also a MemoryError, if it is one.

    The same for ImportError. There is none that is an AttributeError: ``hasattr(namespace, "x")``
    and ``getattr(namespace, "x", None)`` would say of a value that is there that it is not.
    """
    also = (kind for kind in (ImportError, MemoryError) if isinstance(cause, kind))
    also = (kind for kind in (ImportError, MemoryError) if isinstance(cause, kind))
    return _load_error_and(next(also, None))


def _load_error_and(also: type[Exception] | None) -> Any:
    if also is None:
        return __getattr__("LoadError")
    if also not in _load_errors:
        from courtyard._error import LoadError

        def reduce(self: Any) -> Any:
            return _remade, (also, self.args, self.__dict__)

        body = {
            "__doc__": LoadError.__doc__,
            "__module__": "courtyard",
            "__reduce__": reduce,
            "__str__": Exception.__str__,
        }
        _load_errors[also] = type("LoadError", (LoadError, also), body)
    return _load_errors[also]


_load_errors: dict[type, Any] = {}


def _remade(also: type[Exception], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    made = _load_error_and(also)(*args)
    made.__dict__.update(state)
    return made


def _load_error() -> type:
    from _pickle import UnpicklingError

    class LoadError(CourtyardError, UnpicklingError):
        """A stored value or key cannot be loaded in this process; it stays where it is.

        Raised for any Exception, or SystemExit, that loading raises: its class cannot be imported
        here, its ``__init__`` or ``__setstate__`` fails, there is no memory for it, or it contains
        an object of another space that is gone (``NotFound``). The message names the object, the
        key or index, and the class. ``class_name`` is the class, ``"module.Class"``, or ``""`` if
        it is unknown. ``__cause__`` is the original error. It is a ``pickle.UnpicklingError``, too,
        and an ImportError or a MemoryError if the original error is.

        These errors are raised unchanged instead: KeyboardInterrupt, what a signal handler raises,
        and courtyard's own other errors (``NotTrusted``, ``CorruptError``, ...). A repr never
        raises it: it shows ``<cannot load: module.Class>`` for such a value.
        """

        _class_name = _why = _place = _object = _advice = ""

        @property
        def class_name(self) -> str:
            """The class that cannot be found or built, ``"module.Class"``; ``""`` if unknown."""
            return self._class_name

    LoadError.__module__, LoadError.__qualname__ = "courtyard", "LoadError"
    return LoadError


class NotMade(CourtyardError, RuntimeError):
    """The ``__init__`` of a subclass has not called that of courtyard's class yet."""


# threading and multiprocessing differ in what a wrong release raises: these are both.


class NotHeld(RuntimeError, ValueError):
    """A lock was released that is not held.

    threading raises RuntimeError for that, multiprocessing ValueError.

    >>> import courtyard as cy
    >>> cy.Lock().release()
    Traceback (most recent call last):
    courtyard.NotHeld: release unlocked lock
    """


class NotOwned(RuntimeError, AssertionError):
    """A thread released an RLock or a ``get_lock()``, or used a Condition, without holding it.

    threading raises RuntimeError for that, multiprocessing AssertionError.

    >>> import courtyard as cy
    >>> cy.Condition().notify()
    Traceback (most recent call last):
    courtyard.NotOwned: cannot notify on un-acquired lock
    """
