"""``Barrier``: parties that go on together."""

from __future__ import annotations

from courtyard import _native
from courtyard._object.object import Object, seconds

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Barrier(Object, _native.Barrier):
    """A number of processes or threads that wait for each other.

    Like ``threading.Barrier`` and ``multiprocessing.Barrier``: ``wait(timeout=None)`` returns
    when all ``parties`` have called it, and returns a different number to each, from 0 on. The
    last party to arrive calls ``action`` before any ``wait`` returns. ``reset()``, ``abort()``,
    ``parties``, ``n_waiting``, ``broken``.

    The barrier breaks when a party's timeout passes, when the action fails, and when a party is
    killed. Then ``wait`` raises BrokenBarrierError for all until ``reset()``. It is the exception
    of ``threading``, and imported from there: ``from threading import BrokenBarrierError``.

    A process is a party from its first call of ``wait`` on, also between two calls. It stops being
    one when it calls ``leave()``, drops its last handle, or ends by itself, also by an uncaught
    exception. A forked child becomes a party when it calls ``wait`` itself.

    When a party is killed, by a signal or by ``os._exit``, ``wait`` raises BrokenBarrierError in
    all parties that are waiting, or, if none is, in the next party that calls it; until then
    ``broken`` is true in the parties. A process that has not called ``wait`` yet is not told of
    earlier deaths: it may have been started to replace the dead one. Waiting parties notice a death
    after a tenth of a second, later if they are many. ``reset()`` starts over without the dead
    party. It is not needed if all processes are new, as in another pool.

    Raises ValueError for less than one party.

    >>> import courtyard as cy
    >>> barrier = cy.Barrier(1, action=lambda: print("all here"))
    >>> barrier.wait()
    all here
    0
    """

    __slots__ = ("_action", "_timeout")

    _action: Callable[[], object] | None
    _timeout: float | None

    def __new__(
        cls,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> Barrier:
        """Make a barrier; ``timeout`` is what ``wait`` uses when it is given none."""
        timeout = seconds(timeout)
        return super().__new__(cls, parties)._with(action, timeout)  # type: ignore[attr-defined,no-any-return]

    def _with(self, action: Any, timeout: float | None) -> Barrier:
        self._action, self._timeout = action, timeout
        return self

    @classmethod
    def _load(cls, address: Any) -> Any:
        handle, action, timeout = address
        return _native.Barrier.__new__(cls, 1, handle)._with(action, timeout)  # type: ignore[attr-defined]

    @classmethod
    def _unmade(cls, address: Any) -> Any:
        return cls._load((address, None, None))

    @classmethod
    def _asked(
        cls, parties: int | None = None, action: Any = None, timeout: Any = None
    ) -> tuple[Any, ...]:
        return (parties,)

    def _details(self) -> tuple[Any, ...]:
        return (self.parties,)

    @classmethod
    def _arrive(cls, details: Any, address: Any, companion: Any, initial: Any, options: Any) -> Any:
        """Open it with this program's own action and timeout."""
        _, action, timeout = _arguments(*initial, **options)
        loaded: Barrier = cls._load((address, action, timeout))
        return loaded

    def _parts(self, handle: Any) -> tuple[Any, ...]:
        return ((handle, self._action, self._timeout),)

    def _state(self) -> str:
        return "broken" if self.broken else f"waiters={self.n_waiting}/{self.parties}"

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the others; return a number from 0 to parties - 1, another to each.

        Ctrl-C works while waiting, and takes this party out again. Raises BrokenBarrierError when
        the barrier is or gets broken: after ``timeout`` seconds, by ``reset()`` or ``abort()``, or
        when a party is killed, in ``wait`` or outside; and what the action raises. An action that
        waits at its own barrier breaks it.
        """
        return self._wait(self._action, self._timeout if timeout is None else timeout)


def _arguments(parties: int = 0, action: Any = None, timeout: float | None = None) -> Any:
    return parties, action, timeout
