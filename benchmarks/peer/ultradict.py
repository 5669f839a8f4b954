"""UltraDict: a private copy in each process, kept up by a stream of changes in shared memory."""

from __future__ import annotations

import UltraDict

from benchmarks import item
from benchmarks.offer import Offers, Table

TITLE = "UltraDict"
DISTRIBUTION = "UltraDict"

# Bytes of changes between two dumps of all, and of such a dump.
STREAM, DUMP = 1 << 24, 1 << 26


def table(_: str) -> Table:
    """Return an UltraDict; another process opens it by its name."""
    d = UltraDict.UltraDict(buffer_size=STREAM, full_dump_size=DUMP, auto_unlink=True)
    return Table("value = d[key]", "d[key] = value", lambda: {"d": d}, item.fill)


OFFERS: Offers = item.tables(table, (*item.KINDS, "shared"))
