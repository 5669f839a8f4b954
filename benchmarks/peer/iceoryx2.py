"""iceoryx2: messages and a blackboard of values in shared memory; its subscribers poll.

A message goes to all subscribers; here there is one. A value has one writer, so that nobody counts.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from importlib import import_module
from typing import Any

from benchmarks import item
from benchmarks.offer import Line, Offers, Script, Statement, name, path, relax

TITLE = "iceoryx2"
DISTRIBUTION = "iceoryx2"

iox: Any = import_module("iceoryx2")

MESSAGES = {"array": 16}  # that wait at most; of others:
MOST = 1000
LARGEST = {"int": 8, "bytes": 100, "nested": 4096, "array": item.SIZE}


@cache
def settings() -> Any:
    """Return where it keeps its files, so that they go with the cell."""
    iox.set_log_level(iox.LogLevel.Error)
    found = iox.config.default()
    root = path()
    os.mkdir(root)
    found.global_cfg.root_path = iox.Path.new(root)
    found.global_cfg.prefix = iox.FileName.new(f"{name()}-")
    return found


def service(label: str) -> Any:
    """Return the builder of a service, in a node of this process's own."""
    node = iox.NodeBuilder.new().config(settings()).create(iox.ServiceType.Ipc)
    return node.service_builder(iox.ServiceName.new(label))


def line(kind: str = "int") -> Line:
    """Return a topic with one subscriber, whose publisher waits where that one is behind."""
    settings()
    label, room = name(), MESSAGES.get(kind, MOST)

    def topic() -> Any:
        found = service(label).publish_subscribe(iox.Slice[ctypes.c_uint8])
        found = found.enable_safe_overflow(False).subscriber_max_buffer_size(room)
        return found.open_or_create()

    def publisher() -> dict[str, Any]:
        found = topic()
        made = found.publisher_builder().initial_max_slice_len(LARGEST[kind])
        made = made.backpressure_strategy(iox.BackpressureStrategy.RetryUntilDelivered).create()
        while found.dynamic_config.number_of_subscribers == 0:
            relax()
        return {"p": made, "topic": found}

    def subscriber() -> dict[str, Any]:
        found = topic()
        return {"s": found.subscriber_builder().create(), "topic": found}

    encode = "data = item.tobytes()" if kind == "array" else item.ENCODE[kind]
    return Line(
        f"{encode}\nm = p.loan_slice_uninit(len(data))\n"
        "memmove(m.payload_ptr, data, len(data)); m.assume_init().send()",
        "while (m := s.receive()) is None: relax()\n"
        f"data = bytes(m.payload().as_memory_view())\n{item.DECODE[kind]}",
        item.names(kind) | {"memmove": ctypes.memmove, "relax": relax},
        publisher,
        subscriber,
    )


def value(code: str) -> Statement:
    """Return a statement on a value of a blackboard, through its writer ``w`` and reader ``r``."""
    key, number = ctypes.c_uint64(0), ctypes.c_int64
    board = service(name()).blackboard_creator(ctypes.c_uint64).add(key, number(0)).create()
    writer, reader = board.writer_builder().create(), board.reader_builder().create()
    names = {"w": writer.entry(key, number), "r": reader.entry(key, number), "int64": number}
    return Statement(code, names | {"kept": (board, writer, reader)})


OFFERS: Offers = {
    **item.offers(line, ("int", "bytes", "nested", "array")),
    "read-raw": lambda: value("r.get().decode_as(int64).value"),
    "write-raw": lambda: value("w.update_with_copy(int64(7))"),
    "import": lambda: Script("import iceoryx2"),
}
del OFFERS["queue-alone"]  # a publisher waits for its subscriber
