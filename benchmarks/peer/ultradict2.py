"""UltraDict2: UltraDict as others maintain it; a private copy in each process as well."""

from __future__ import annotations

import UltraDict2

from benchmarks import item
from benchmarks.offer import Offers, Table

TITLE = "UltraDict2"
DISTRIBUTION = "ultradict2"

# Bytes of changes between two dumps of all, and of such a dump.
STREAM, DUMP = 1 << 24, 1 << 26


def table(_: str) -> Table:
    """Return an UltraDict2; another process opens it by its name."""
    d = UltraDict2.UltraDict(buffer_size=STREAM, full_dump_size=DUMP, auto_unlink=True)
    return Table("value = d[key]", "d[key] = value", lambda: {"d": d}, item.fill)


OFFERS: Offers = item.tables(table, (*item.KINDS, "large", "texts", "shared"))
