"""lmdb: a B-tree in a mapped file, here in shared memory and without flushes; a call a transaction.

Values are pickled, but for bytes and texts.
"""

from __future__ import annotations

import functools
import os
import pickle
from typing import Any

import lmdb

from benchmarks import item
from benchmarks.offer import Offers, Table, path

TITLE = "lmdb"
DISTRIBUTION = "lmdb"

LIMIT = 1 << 30  # bytes of address space
TEXT = ("value.encode()", "str(t.get(key.encode()), 'utf-8')")
CODECS: dict[str, tuple[str, str]] = {
    "str": TEXT,
    "texts": TEXT,
    "memory": TEXT,
    "bytes": ("value", "t.get(key.encode())"),
    "array": ("value.data", "frombuffer(t.get(key.encode()))"),
}
PICKLED = ("dumps(value)", "loads(t.get(key.encode()))")


def table(kind: str) -> Table:
    """Return an environment, which each process opens anew."""
    place = path()
    encode, decode = CODECS.get(kind, PICKLED)

    def opened() -> dict[str, Any]:
        flags: dict[str, Any] = {"sync": False, "metasync": False, "writemap": True}
        env = lmdb.open(place, map_size=LIMIT, subdir=False, **flags)
        dumps = functools.partial(pickle.dumps, protocol=5)
        return {"env": env, "dumps": dumps, "loads": pickle.loads, **item.names(kind)}

    def fill(names: dict[str, Any], keys: list[str], value: Any) -> None:
        data = eval(encode, {**names, "value": value})
        with names["env"].begin(write=True) as t:
            for key in keys:
                t.put(key.encode(), data)

    def used(names: dict[str, Any]) -> int:
        info = names["env"].info()
        return int((info["last_pgno"] + 1) * os.sysconf("SC_PAGE_SIZE"))

    return Table(
        f"with env.begin() as t: value = {decode}",
        f"with env.begin(write=True) as t: t.put(key.encode(), {encode})",
        opened,
        fill,
        used,
    )


OFFERS: Offers = item.tables(table, (*item.KINDS, "large", "texts", "memory", "shared"))
