"""faster-fifo: a queue of pickles in shared memory, between POSIX mutexes."""

from __future__ import annotations

from typing import Any

from faster_fifo import Queue

from benchmarks import item
from benchmarks.offer import Line, Offers, Script

TITLE = "faster-fifo"
DISTRIBUTION = "faster-fifo"

ROOM = 64 << 20  # bytes


def make(put: str, get: str) -> Line:
    """Return a queue."""
    q: Any = Queue(ROOM)
    return Line(put, get, {"q": q})


def line(_: str = "") -> Line:
    """Return a queue that pickles whatever it is given."""
    return make("q.put(item)", "item = q.get()")


OFFERS: Offers = item.offers(line) | {
    "queue-shared": line,
    "queue-batch": lambda: make("q.put_many(item)", "item = q.get_many()"),
    "import": lambda: Script("import faster_fifo"),
}
