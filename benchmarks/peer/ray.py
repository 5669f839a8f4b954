"""Ray: tasks and actors on a cluster, here one of this machine alone; a call a message to an actor.

The cluster takes seconds to start, and each process that uses it connects to it by itself. What
is kept in an actor is what Ray has for state that changes; values in its object store do not.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from functools import cache
from typing import Any

from benchmarks import item
from benchmarks.offer import Line, Offers, Script, Statement, Table, Unsupported, name, path, serve

TITLE = "Ray"
DISTRIBUTION = "ray"
START = 40.0

HOST = "127.0.0.2"  # of this machine alone; 127.0.0.1 is replaced by a public address
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
NAMESPACE = "bench"

CLUSTER = f"""
import ray, sys

@ray.remote(num_cpus=0)
class Store:
    def __init__(self):
        self.number, self.d = 0, {{}}
    def read(self):
        return self.number
    def write(self, number):
        self.number = number
    def add(self):
        self.number += 1
    def get(self, key):
        return self.d[key]
    def set(self, key, value):
        self.d[key] = value
    def fill(self, keys, value):
        self.d.update(dict.fromkeys(keys, value))

try:
    context = ray.init(
        num_cpus=1, include_dashboard=False, object_store_memory=80 << 20, log_to_driver=False,
        logging_level="ERROR", namespace="{NAMESPACE}", _node_ip_address="{HOST}",
        _temp_dir=sys.argv[1],
    )
    store = Store.options(name="store").remote()
    ray.get(store.read.remote())
except Exception as error:
    sys.exit(print("failed", str(error).partition(chr(10))[0]))
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@cache
def cluster() -> str:
    """Start the cluster of this cell, which ends with it; return its address."""
    os.environ |= QUIET
    folder = os.path.join(os.path.dirname(path()), "r")  # the paths of its sockets may not be long
    server = serve([sys.executable, "-c", CLUSTER, folder], stdin=-1, stdout=-1)
    assert server.stdout is not None
    address = server.stdout.readline().strip()
    atexit.register(end, server)
    if not address or address.startswith("failed"):
        raise Unsupported(f"the cluster did not start: {address}")
    return address


def end(server: subprocess.Popen[str]) -> None:
    """Have the cluster end what it started; what is killed instead ends by itself, later."""
    server.communicate()


@cache
def connect() -> Any:
    """Connect this process; return the module."""
    import ray

    ray.init(
        cluster(),
        namespace=NAMESPACE,
        log_to_driver=False,
        logging_level="ERROR",
        _node_ip_address=HOST,
    )
    return ray


@cache
def store() -> Any:
    """Return the actor, to which each process connects when it first asks."""
    return connect().get_actor("store")


def get(reference: Any) -> Any:
    """Wait for an answer."""
    return connect().get(reference)


def value(code: str) -> Statement:
    """Return a statement on an actor ``v()`` with a number."""
    cluster()
    return Statement(code, {"v": store, "get": get})


def table(_: str) -> Table:
    """Return an actor with a dict."""
    cluster()

    def fill(names: dict[str, Any], keys: list[str], value: Any) -> None:
        get(names["d"].fill.remote(keys, value))

    return Table(
        "value = get(d.get.remote(key))",
        "get(d.set.remote(key, value))",
        lambda: {"d": store(), "get": connect().get},
        fill,
    )


def line(_: str = "int") -> Line:
    """Return Ray's own queue, which is an actor."""
    cluster()
    options = {"name": name(), "get_if_exists": True, "num_cpus": 0, "lifetime": "detached"}

    def opened() -> dict[str, Any]:
        connect()
        from ray.util.queue import Queue

        return {"q": Queue(actor_options=options)}

    return Line("q.put(item)", "item = q.get()", {}, opened, opened)


OFFERS: Offers = {
    **item.tables(table, ("int", "str", "nested", "shared")),
    **item.offers(line, ("int",)),
    "read-raw": lambda: value("get(v().read.remote())"),
    "write-raw": lambda: value("get(v().write.remote(7))"),
    "increment-raw": lambda: value("get(v().add.remote())"),
    "import": lambda: Script("import ray"),
}
