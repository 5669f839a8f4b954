"""zooparallel: locks and queues of bytes in shared memory."""

from __future__ import annotations

from typing import Any

from zooparallel import ZooLock, ZooQueue

from benchmarks import item
from benchmarks.offer import Critical, Line, Offers, Script, Statement, path

TITLE = "zooparallel"
DISTRIBUTION = "zooparallel"

ROOM = 64  # MiB


def name() -> str:
    """Return a new name."""
    return path().rpartition("/")[2]


def line(kind: str = "int") -> Line:
    """Return a queue without a name: forked processes have it, and nothing stays behind."""
    found = name()
    q: Any = ZooQueue(found, ROOM)
    ZooQueue.unlink(found)
    encode = "data = item.tobytes()" if kind == "array" else item.ENCODE[kind]
    return Line(
        f"{encode}\nq.put_bytes(data)",
        f"data = q.get_bytes()\n{item.DECODE[kind]}",
        item.names(kind) | {"q": q},
    )


def lock() -> Any:
    """Return a lock without a name."""
    found = name()
    made: Any = ZooLock(found)
    ZooLock.unlink(found)
    return made


OFFERS: Offers = item.offers(line) | {
    "queue-shared": line,
    "lock": lambda: Critical("lock.acquire()", "lock.release()", {"lock": lock()}),
    "with": lambda: Statement("with lock: pass", {"lock": lock()}),
    "import": lambda: Script("import zooparallel"),
}
