"""A web application whose workers share what they know; ``test_gunicorn.py`` serves it."""

import json
import os
import signal
from collections.abc import Callable, Iterable
from typing import Any

import courtyard as cy

seen: Any = cy.Dict()  # number of a request -> pid of the worker that counted it
counts: Any = cy.Counter()
lock: Any = cy.Lock()


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
