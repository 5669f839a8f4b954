"""aioprocessing: multiprocessing's queues behind threads."""

from __future__ import annotations

from typing import Any

import aioprocessing

from benchmarks.offer import Offers, Task

TITLE = "aioprocessing"
DISTRIBUTION = "aioprocessing"


def task() -> Task:
    """Return a queue."""
    q: Any = aioprocessing.AioQueue()
    return Task("await q.coro_get(); q.put(n)", q.coro_get, q.put)


OFFERS: Offers = {"task": task}
