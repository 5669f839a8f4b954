"""pyzmq: sockets that push and pull messages, between processes through a local socket."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from benchmarks import item
from benchmarks.offer import Line, Offers, Script, path

TITLE = "pyzmq"
DISTRIBUTION = "pyzmq"

zmq: Any = import_module("zmq")  # much of what it has is not declared

MESSAGES = 1000  # that wait at most, at each end


def line(kind: str = "int") -> Line:
    """Return a way from one process to another; each opens its end."""
    place = f"ipc://{path()}"

    def end(type_: int, attach: str) -> Any:
        socket: Any = zmq.Context.instance().socket(type_)
        socket.set_hwm(16 if kind == "array" else MESSAGES)
        getattr(socket, attach)(place)
        return socket

    is_large = kind == "array"
    return Line(
        f"{item.ENCODE[kind]}\np.send(data{', copy=False' if is_large else ''})",
        f"data = s.recv({'copy=False' if is_large else ''})\n{item.DECODE[kind]}",
        item.names(kind),
        lambda: {"p": end(zmq.PUSH, "bind")},
        lambda: {"s": end(zmq.PULL, "connect")},
    )


OFFERS: Offers = item.offers(line) | {"import": lambda: Script("import zmq")}
