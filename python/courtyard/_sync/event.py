"""``Event``: a flag that processes and threads wait for."""

from __future__ import annotations

from courtyard import _native
from courtyard._object.object import Object

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any


class Event(Object, _native.Event):
    """A flag among processes and threads: ``set()``, ``clear()``, ``is_set()``, ``wait()``.

    Like ``threading.Event`` and ``multiprocessing.Event``. ``set`` wakes all waiters, even if
    ``clear`` follows at once. It is one atomic operation: a process that is killed in it has
    either set the flag, and all waiters are woken, or has changed nothing.

    >>> import courtyard as cy
    >>> ready = cy.Event()
    >>> ready.set()
    >>> ready.wait(timeout=1), ready.is_set()
    (True, True)
    """

    __slots__ = ()

    def __new__(cls) -> Event:
        """Make an event whose flag is clear."""
        return super().__new__(cls)  # type: ignore[return-value]

    @classmethod
    def _load(cls, address: Any) -> Any:
        return _native.Event.__new__(cls, address)

    def _state(self) -> str:
        return "set" if self.is_set() else "unset"
