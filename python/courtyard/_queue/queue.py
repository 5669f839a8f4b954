"""``Queue`` and its variants: items among processes and threads."""

from __future__ import annotations

from operator import index

from courtyard import _native
from courtyard._object.name import without_none
from courtyard._object.object import Object

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from typing import Any, Self

    from typing_extensions import TypeVar

    _T = TypeVar("_T", default=Any)


# What the smallest item counts.
_LEAST_BYTES = 16


def _bound(maxbytes: int | None) -> int | None:
    """Return how many bytes the items may count, 0 for any number; None if that is left open."""
    if maxbytes is None:
        return None
    most = max(0, index(maxbytes))
    if 0 < most < _LEAST_BYTES:
        raise ValueError(
            f"expected maxbytes of at least {_LEAST_BYTES}, which the smallest item counts, found "
            f"{most}; None is for a queue that is not bounded in bytes"
        )
    return most


class Queue(Object, _native.Queue["_T"]):
    """A first-in, first-out queue among processes and threads.

    The union of ``queue.Queue`` and ``multiprocessing.Queue``: ``put``, ``get``, ``put_nowait``,
    ``get_nowait``, ``qsize``, ``empty``, ``full``, ``task_done``, ``join``, ``shutdown``,
    ``close``; and ``put_many``, ``get_many``, ``peek``, ``clear``, ``lease`` and ``reopen``. There
    is no feeder thread: when ``put`` returns, every process can get the item. Any picklable object
    may be an item.

    ``maxsize`` counts items, those on a lease too; 0, or less, means bounded by memory only. An
    item that ``get`` cannot load goes back in any case: if a ``put`` has filled its place in
    between, the queue has one item more than ``maxsize`` for a time.

    ``maxbytes`` bounds the bytes that the items count together, alone or beside ``maxsize``:
    ``put`` waits until there is room for the item. An item counts the bytes of its stored form,
    filled to a multiple of 8, and 8 more: a number or None 16, a text one, two or four bytes a
    character, a NumPy array its ``nbytes`` and about 200, an object of courtyard about 270 for the
    handle on it. It counts until it is taken; taken on a lease, until the lease ends. An item that
    counts more than ``maxbytes`` can never be put: ``put`` raises ValueError at once. Small items
    may go in while a large one waits for room. Less than 16 bytes hold no item: ValueError. None,
    0, or less, means not bounded in bytes. ``statistics()`` says how many bytes the items count.

    The items of one producer come out in the order in which it put them, whichever processes take
    them. Waiting consumers are woken together; the order among them is not fixed.

    A courtyard object in an item lives as long as the item does, on a lease too, even if no process
    holds it; an object of another space than the queue's only until the item is first loaded. A
    queue that is in one of its own items keeps itself alive until that item is taken out.

    An item whose ``put`` returned is not lost if its producer is killed, and a killed process
    blocks no other. An item is lost with the consumer that took it, unless that took it on a
    ``lease``. Items that a process took, and for which it did not call ``task_done`` before it
    ended, count as done. ``qsize`` and ``empty`` count the items that can be taken now and those
    that a lease put back for later; ``get_nowait`` raises ``queue.Empty`` while there are only the
    latter.

    >>> import courtyard as cy
    >>> q = cy.Queue()
    >>> q.put(("page", 1))
    >>> q.get()
    ('page', 1)

    However slow its consumers are, this one never holds more than 1000 bytes:

    >>> pages = cy.Queue(maxbytes=1000)
    >>> pages.put("x" * 900)
    >>> pages.put("x" * 900, timeout=0.01)
    Traceback (most recent call last):
    queue.Full: the items count 912 bytes, ...
    """

    __slots__ = ()
    _changes = True

    _order = 0

    def __new__(cls, maxsize: int = 0, *, maxbytes: int | None = None) -> Self:
        """Make a queue of at most ``maxsize`` items, which count at most ``maxbytes`` bytes."""
        return super().__new__(cls, maxsize, cls._order, _bound(maxbytes) or 0)

    @classmethod
    def _load(cls, address: Any) -> Any:
        return _native.Queue.__new__(cls, 0, cls._order, address=address)

    @classmethod
    def _asked(cls, maxsize: int | None = None, *, maxbytes: int | None = None) -> tuple[Any, ...]:
        return (None if maxsize is None else max(0, index(maxsize)), _bound(maxbytes))

    def _details(self) -> tuple[Any, ...]:
        return (max(0, self.maxsize), self.maxbytes or 0)

    @classmethod
    def _remedy(cls, asked: tuple[Any, ...], found: tuple[Any, ...]) -> str:
        if not cls._agrees((None, asked[1]), found):
            return "its maxbytes cannot be changed: "
        return f"open it without maxsize and set its maxsize to {asked[0]}, "

    @classmethod
    def _shown(cls, details: tuple[Any, ...]) -> str:
        maxsize, maxbytes = details or (None, None)  # no name says it
        shown = [str(maxsize)] if maxsize else []
        return ", ".join([*shown, f"maxbytes={maxbytes}"] if maxbytes else shown)

    @classmethod
    def _wanted(cls, asked: tuple[Any, ...]) -> str:
        names = zip(("maxsize", "maxbytes"), asked, strict=True)
        zeros = [f"{name}=0" for name, most in names if most == 0]
        return ", ".join([*filter(None, [cls._shown(asked)]), *zeros])

    @classmethod
    def _filled(cls, initial: Any, options: Any) -> tuple[Any, Any]:
        return without_none(initial, options)

    def _state(self) -> str:
        maxsize, maxbytes = self.maxsize, self.maxbytes
        count = self.qsize()
        state = f"{count} item{'' if count == 1 else 's'}"
        state += f" of at most {maxsize}" if maxsize > 0 else ""
        if maxbytes is not None:
            state += f", {self._counted_bytes()} bytes of at most {maxbytes}"
        return state

    def join_thread(self) -> None:
        """Do nothing, as there is no thread: for programs written for multiprocessing."""

    def cancel_join_thread(self) -> None:
        """Do nothing, as there is no thread: for programs written for multiprocessing."""


class JoinableQueue(Queue["_T"]):
    """The same as Queue, which has ``task_done`` and ``join``; for multiprocessing programs.

    >>> import courtyard as cy
    >>> q = cy.JoinableQueue()
    >>> q.put(1); item = q.get(); q.task_done(); q.join()
    """

    __slots__ = ()


class LifoQueue(Queue["_T"]):
    """A Queue that gives the last item put first.

    >>> import courtyard as cy
    >>> q = cy.LifoQueue()
    >>> q.put(1); q.put(2)
    >>> q.get(), q.get()
    (2, 1)
    """

    __slots__ = ()

    _order = 1


class PriorityQueue(Queue["_T"]):
    """A Queue that gives the least item first, as ``<`` has it; often ``(priority, item)``.

    Items are compared as in ``queue.PriorityQueue``: if two may have the same priority, put a
    rising number between the priority and the item. One call of ``put`` or ``get`` compares an item
    with about log2(size) others, and loads each of them for that. Other calls of ``put`` and
    ``get`` wait until it is done.

    An item whose lease ended because its block raised, or its process died, is handed out before
    all others; one that was put back by ``requeue()`` has its place by priority. An item that
    cannot be loaded here comes after all others. Once ``get()`` has raised LoadError for it, it is
    first in line, as in any queue, until a lease drops, moves or requeues it.

    >>> import courtyard as cy
    >>> q = cy.PriorityQueue()
    >>> q.put((2, "later")); q.put((1, "now"))
    >>> q.get()
    (1, 'now')
    """

    __slots__ = ()

    _order = 2


class SimpleQueue(Queue["_T"]):
    """An unbounded Queue, for programs written for queue.SimpleQueue or multiprocessing's.

    >>> import courtyard as cy
    >>> q = cy.SimpleQueue()
    >>> q.put(1); q.get()
    1
    """

    __slots__ = ()

    def __new__(cls) -> Self:
        """Make a queue of any number of items."""
        return super().__new__(cls, 0)

    @classmethod
    def _asked(cls) -> tuple[Any, ...]:  # type: ignore[override]
        return (None, None)


_native.install(Queue)
