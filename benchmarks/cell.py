"""One operation of one peer, in this process: what ``run.py`` starts a fresh one for.

What is printed are lines of JSON; the last word on a name counts. What ran is told before it runs,
so that it is known of a cell that hangs.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks import peer, workload
from benchmarks.offer import Unsupported
from benchmarks.operation import Setting


def brief(number: float) -> float:
    """Return a number without the digits that mean nothing."""
    return float(f"{number:.5g}")


def say(**facts: Any) -> None:
    """Print facts for the parent."""
    sys.stdout.write(json.dumps(facts) + "\n")  # as one: others may print as well
    sys.stdout.flush()


def probe(name: str) -> None:
    """Say what a peer is called, which version is installed and what it offers."""
    from importlib.metadata import version  # slow, and no cell needs it

    adapter = peer.adapter(name)
    distribution = getattr(adapter, "DISTRIBUTION", None)
    installed = version(distribution) if distribution else ""
    say(title=adapter.TITLE, version=installed, offers=list(adapter.OFFERS))


def measure(key: str, name: str, variant: str, setting: Setting) -> None:
    """Measure an operation and say the figure."""
    operation = workload.operation(key)
    offer = f"{operation.offer}:{variant}" if variant else operation.offer
    make = peer.adapter(name).OFFERS[offer]
    try:
        made = tuple(make() for _ in range(operation.copies))
    except Unsupported as reason:
        say(skipped=str(reason))
        return
    say(what=made[0].what)
    figure = operation.measure(made if operation.copies > 1 else made[0], setting)
    details = {name: brief(number) for name, number in figure.details.items()}
    say(value=brief(figure.value), lost=brief(figure.lost), details=details)
