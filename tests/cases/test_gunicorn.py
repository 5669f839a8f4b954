"""gunicorn's workers share a Dict, a Counter and a Lock while they are recycled and killed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cases.server import WORKERS, Clients, ask, serve
from tests.object.test_memory import folder
from tests.support.children import run_script

REQUESTS = {"small": 2000, "full": 20_000}.get(os.environ.get("COURTYARD_TORTURE_SIZE", ""), 400)


def verb(number: int) -> str:
    """One in forty dies by itself, between the two changes that the lock makes one."""
    return "die,count" if number % 40 == 20 else "count"


def check(clients: Clients, state: dict[str, Any], requests: int, attempts: int) -> None:
    """See that each request was counted once, by workers that came and went."""
    assert clients.killed > REQUESTS // 100
    assert state["seen"] == list(range(requests))
    assert state["all"] == requests
    assert requests <= state["served"] <= attempts
    assert state["workers"] > 2 * WORKERS


COMMAND = ("gunicorn", "--workers", str(WORKERS))
RECYCLED = ("--max-requests", "25", "--max-requests-jitter", "10", "tests.cases.web:app")


@pytest.mark.limit(60 + REQUESTS / 50)
def test_objects_made_before_the_fork(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn", reason="it comes with the extra `test`")
    made, path = folder(tmp_path), tmp_path / "web.sock"
    with serve(path, (*COMMAND, "--preload", *RECYCLED), COURTYARD_DIR=str(made)) as server:
        clients = Clients(path, server.pid, range(REQUESTS), verb, range(0, REQUESTS, 40))
        clients.run()
        state = json.loads(ask(path, "/state") or "nothing")
    check(clients, state, REQUESTS, clients.asked)
    assert os.listdir(made) == []


@pytest.mark.limit(60 + REQUESTS / 25)
def test_objects_found_by_name(tmp_path: Path) -> None:
    """Each worker imports the application by itself; and the server is started twice."""
    pytest.importorskip("gunicorn", reason="it comes with the extra `test`")
    made, path, asked = folder(tmp_path), tmp_path / "web.sock", 0
    env: dict[str, Any] = {"COURTYARD_DIR": str(made), "WEB_BY_NAME": "yes"}
    for start in range(2):
        with serve(path, (*COMMAND, *RECYCLED), **env) as server:
            numbers = range(start * REQUESTS, (start + 1) * REQUESTS)
            clients = Clients(path, server.pid, numbers, verb, numbers[::40])
            clients.run()
            asked += clients.asked
            state = json.loads(ask(path, "/state") or "nothing")
        check(clients, state, (start + 1) * REQUESTS, asked)
    run_script('import courtyard as cy; cy.Space("default").destroy()', env=env)
    assert os.listdir(made) == []
