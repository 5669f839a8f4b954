"""cloudtoid-interprocess: queues of bytes in mapped files, which several languages share."""

from __future__ import annotations

import os
from typing import Any

from cloudtoid_interprocess import Publisher, Subscriber

from benchmarks import item
from benchmarks.offer import Line, Offers, Script, path, relax

TITLE = "cloudtoid-interprocess"
DISTRIBUTION = "cloudtoid-interprocess"

ROOM = 64 << 20  # bytes


def line(kind: str = "int") -> Line:
    """Return a queue; each process opens an end of its own."""
    folder = path()
    os.mkdir(folder)

    def open_end(end: Any) -> dict[str, Any]:
        return {"q": end("q", ROOM, folder)}

    first = Publisher("q", ROOM, folder)  # so that no consumer comes before there is a file
    return Line(
        f"{item.ENCODE[kind]}\nwhile not p.try_send(data): relax()",
        f"data = s.receive()\n{item.DECODE[kind]}",
        item.names(kind) | {"relax": relax, "first": first},
        lambda: {"p": open_end(Publisher)["q"]},
        lambda: {"s": open_end(Subscriber)["q"]},
    )


def batch() -> Line:
    """Return a queue whose producer sends many at once; there is no call that takes many."""
    single = line()
    return Line(
        "data = [number.to_bytes(8, 'little') for number in item]\n"
        "while data: data = data[p.try_send_batch(data):]",
        f"{single.get}",
        single.names,
        single.sender,
        single.receiver,
    )


OFFERS: Offers = item.offers(line) | {
    "queue-shared": line,
    "queue-batch": batch,
    "import": lambda: Script("import cloudtoid_interprocess"),
}
