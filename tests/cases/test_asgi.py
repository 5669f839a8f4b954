"""The workers of asynchronous servers share what they know while they are killed and recycled."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cases.client import Events, Follower, WebSocket, follow
from tests.cases.server import WORKERS, Clients, ask, kill_worker, serve
from tests.object.test_memory import folder
from tests.support.children import run_script

REQUESTS = {"small": 1000, "full": 10_000}.get(os.environ.get("COURTYARD_TORTURE_SIZE", ""), 60)
PERIOD = 60  # requests, of which one dies, one loses its job and one kills who answered
APP = "tests.cases.asgi:app"
REASON = "it comes with the extra `test`"


def usual(number: int) -> str:
    """Say what is asked for a number: every second one is counted, the others are worked on."""
    return "work" if number % 2 else "count"


def verb(number: int) -> str:
    """Say the same, and which requests kill workers."""
    return {20: "die,count", 41: "lose"}.get(number % PERIOD) or usual(number)


def check(path: Path, numbers: range) -> list[int]:
    """See that each request was counted once and each job done; return the workers there were."""
    state = json.loads(ask(path, "/state/0") or "nothing")
    assert state["seen"] == [number for number in numbers if number % 2 == 0]
    assert state["done"] == [number for number in numbers if number % 2]
    assert state["all"] == len(state["seen"]) <= state["served"]
    assert state["jobs"] == 0
    assert state["lost"] == sum(verb(number) == "lose" for number in numbers)
    found: list[int] = state["workers"]
    return found


def destroy(made: Path) -> None:
    """Destroy what the workers shared, and see that this is all there was."""
    script = 'import courtyard as cy; s = cy.Space("asgi", create=False); s.check(); s.destroy()'
    run_script(script, env={"COURTYARD_DIR": str(made)})
    assert os.listdir(made) == []


@pytest.mark.parametrize(
    "command",
    [
        ("uvicorn", "--workers", str(WORKERS), APP),
        ("gunicorn", "--workers", str(WORKERS), "-k", "uvicorn_worker.UvicornWorker", APP),
    ],
    ids=lambda command: command[0],
)
@pytest.mark.limit(240 + REQUESTS / 10)
def test_workers_are_killed_while_requests_come(command: tuple[str, ...], tmp_path: Path) -> None:
    """Nothing is lost, the others go on, and new ones join them."""
    pytest.importorskip("uvicorn_worker", reason=REASON)
    made, path = folder(tmp_path), tmp_path / "asgi.sock"
    keys = {str(number) for number in range(REQUESTS) if number % 2}
    kinds: list[type[Follower]] = [Events, WebSocket, Events, WebSocket]
    with (
        ThreadPoolExecutor(len(kinds)) as threads,
        serve(path, command, COURTYARD_DIR=str(made)) as server,
    ):
        most = 1 + 3 * (REQUESTS // PERIOD)
        following = [threads.submit(follow, kind, path, keys, most) for kind in kinds]
        clients = Clients(path, server.pid, range(REQUESTS), verb, range(0, REQUESTS, PERIOD))
        clients.run()
        for each in following:
            each.result()
        # Each lost job is a death of its own; the other two may hit one worker at one time.
        least = WORKERS + REQUESTS // PERIOD
        assert ask(path, f"/workers/{least}")
        assert len(check(path, range(REQUESTS))) >= least
    destroy(made)


@pytest.mark.limit(240)
def test_hypercorn_starts_again_where_it_ended(tmp_path: Path) -> None:
    """It ends when one of its workers is killed; what they share is kept for the next start."""
    pytest.importorskip("hypercorn", reason=REASON)
    made, path = folder(tmp_path), tmp_path / "asgi.sock"
    command = ("hypercorn", "--workers", str(WORKERS), APP)
    with serve(path, command, ends=True, COURTYARD_DIR=str(made)) as server:
        Clients(path, server.pid, range(20), usual).run()
        assert ask(path, f"/workers/{WORKERS}")
        assert kill_worker(server.pid, int(ask(path, "/count/0") or "nothing"))
    path.unlink()
    with serve(path, (*command, "--worker-class", "trio"), COURTYARD_DIR=str(made)) as server:
        Clients(path, server.pid, range(20, 40), usual).run()
        assert len(check(path, range(40))) > WORKERS
    destroy(made)
