"""EasyGlobals: variables that one process writes and all read. It does not support fork."""

from __future__ import annotations

import os
from typing import Any

from EasyGlobals import Globals

from benchmarks import item
from benchmarks.offer import Offers, Table

TITLE = "EasyGlobals"
DISTRIBUTION = "EasyGlobals"


def table(_: str) -> Table:
    """Return variables, which are looked up by name."""
    d: Any = Globals(f"bench-{os.getpid()}", 1 << 26, 4096)

    def fill(_: dict[str, Any], keys: list[str], value: Any) -> None:
        for key in keys:
            setattr(d, key, value)

    return Table("value = getattr(d, key)", "setattr(d, key, value)", lambda: {"d": d}, fill)


OFFERS: Offers = item.tables(table, item.KINDS)
