"""A web application whose workers share what they know; ``test_gunicorn.py`` serves it."""

import json
import os
import signal
from collections.abc import Callable, Iterable
from typing import Any

import courtyard as cy


def make(kind: Any, name: str) -> Any:
    """Return what all workers share: made before they are forked, or found by its name."""
    return kind.named(name) if "WEB_BY_NAME" in os.environ else kind()


seen = make(cy.Dict, "seen")  # number of a request -> pid of the worker that counted it
counts = make(cy.Counter, "counts")
lock = make(cy.Lock, "lock")


def count(number: int, die: bool = False) -> None:
    """Count a request once, however often its client sends it."""
    with lock:
        if lock.recovered:  # its holder died below: perhaps between the two changes
            counts["all"] = len(seen)
        if number not in seen:
            seen[number] = os.getpid()
            if die:
                os.kill(os.getpid(), signal.SIGKILL)
            counts["all"] += 1  # reads and writes: exact under the lock only
    counts.increment("served")


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer ``/count/N`` and ``/die/N`` with the worker's pid, and ``/state``."""
    _, verb, *rest = environ["PATH_INFO"].split("/")
    if verb == "state":
        found = dict(counts) | {"seen": sorted(seen), "workers": len(set(seen.values()))}
        body = json.dumps(found).encode()
    else:
        count(int(rest[0]), verb == "die")
        body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
