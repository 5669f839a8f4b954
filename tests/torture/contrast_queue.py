"""The same kills on multiprocessing's queues: ``python -m tests.torture.contrast_queue [KILLS]``.

A producer and a consumer are at work on a queue; one of them is killed at a random moment. Then a
fresh process takes the place of a killed consumer, or tells the consumer, by a last item, that its
producer is gone. Who lives must come to the end of all items within two seconds: else the queue
*hangs*, and is made anew. Items whose ``put`` had returned and that nobody got are *lost*; the one
item that a killed consumer may have had in hand is not counted. Nothing is asserted: it shows what
courtyard is there for.
"""

import mmap
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable
from multiprocessing import queues
from typing import Any

import courtyard as cy
from tests.support.children import fork, kill

LIMIT = 2.0  # seconds after which a queue is said to hang
MOST_SECONDS = 60.0  # for each row of the table
LAST = 0  # the number of the last item

context = multiprocessing.get_context("fork")
ITEM = b"x" * 2000
stop = mmap.mmap(-1, mmap.PAGESIZE)


def finish(q: Any) -> None:
    """Put the last item; multiprocessing's queue has it written by a thread."""
    q.put((LAST, ITEM))
    if isinstance(q, queues.Queue):
        q.close()
        q.join_thread()


def produce(q: Any, first: int, pipe: int) -> None:
    number = first
    while not stop[0]:
        q.put((number, ITEM))
        os.write(pipe, number.to_bytes(8, "little"))
        number += 1
    finish(q)


def consume(q: Any, pipe: int) -> None:
    while (number := q.get()[0]) != LAST:
        os.write(pipe, number.to_bytes(8, "little"))


class Worker:
    """A process, and the numbers that it told."""

    def __init__(self, act: Callable[..., None], *args: Any) -> None:
        self.pipe, write = os.pipe()
        self.child = fork(act, *args, write)
        os.close(write)
        os.set_blocking(self.pipe, False)
        self.data, self.ended = b"", False

    def listen(self) -> None:
        try:
            while data := os.read(self.pipe, 1 << 16):
                self.data += data
        except BlockingIOError:
            pass

    def end(self, deadline: float) -> bool:
        """Wait until it ends; kill it at the deadline, and return whether it ended by itself."""
        while not self.ended and time.monotonic() < deadline:
            self.listen()
            self.ended = os.waitpid(self.child, os.WNOHANG)[0] != 0
            time.sleep(0.001)
        if not self.ended:
            kill(self.child)
        self.listen()
        os.close(self.pipe)
        return self.ended

    def told(self) -> set[int]:
        places = range(0, len(self.data) - 7, 8)
        return {int.from_bytes(self.data[at : at + 8], "little") for at in places}


def once(q: Any, first: int, victim: int, chance: random.Random) -> tuple[bool, int]:
    """Kill the producer (0) or the consumer (1); whether the queue hangs, and what is lost."""
    stop[0] = 0
    workers = [Worker(produce, q, first), Worker(consume, q)]
    until = time.monotonic() + 0.005 + chance.random() * 0.01
    while time.monotonic() < until:
        for worker in workers:
            worker.listen()
    workers[victim].end(0)
    stop[0] = 1
    workers.append(Worker(consume, q) if victim else Worker(lambda pipe: finish(q)))
    deadline = time.monotonic() + LIMIT
    rest = [worker for number, worker in enumerate(workers) if number != victim]
    ended = [worker.end(deadline) for worker in rest]
    put = workers[0].told()
    taken = set[int]().union(*(worker.told() for worker in workers[1:]))
    return not all(ended), max(0, len(put - taken) - victim)


def count(make: Callable[[], Any], victim: int, kills: int) -> dict[str, int]:
    """Kill so often; what came of it."""
    found = {"kills": 0, "hangs": 0, "lost": 0}
    chance, deadline = random.Random(victim), time.monotonic() + MOST_SECONDS
    q = make()
    while found["kills"] < kills and time.monotonic() < deadline:
        found["kills"] += 1
        hangs, lost = once(q, found["kills"] * 1_000_000, victim, chance)
        if hangs:
            found["hangs"] += 1
            q = make()
        else:
            found["lost"] += lost
    return found


def main(kills: int) -> None:
    print(f"{'':32}{'killed':12}{'kills':>8}{'hangs':>8}{'lost':>8}{'seconds':>9}")
    for title, make in (
        ("courtyard Queue", cy.Queue),
        ("multiprocessing Queue", context.Queue),
        ("multiprocessing SimpleQueue", context.SimpleQueue),
    ):
        for victim, name in enumerate(("producer", "consumer")):
            began = time.monotonic()
            found = count(make, victim, kills)
            seconds = time.monotonic() - began
            numbers = f"{found['kills']:8}{found['hangs']:8}{found['lost']:8}"
            print(f"{title:32}{name:12}{numbers}{seconds:9.1f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 300)
