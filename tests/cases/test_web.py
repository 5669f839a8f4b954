"""The applications of the pages on web workers, served by the servers that the pages name."""

import json
import os
import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.cases.client import Events, Follower, WebSocket
from tests.cases.server import ROOT, WORKERS, ask, serve
from tests.object.test_memory import folder
from tests.support.children import run_script
from tests.support.page import blocks

KINDS: list[type[Follower]] = [Events, Events, Events, Events, WebSocket, WebSocket]
REASON = "it comes with the extra `test`"


def write(page: str, name: str, folder: Path) -> dict[str, list[str]]:
    """Write a page's application; return the commands that serve it, by their servers."""
    commands: dict[str, list[str]] = {}
    for block in blocks(ROOT / page):
        if block.name == name:
            (folder / name).write_text(block.text, "utf-8")
        elif block.kind == "console":
            words = [shlex.split(line) for line, _ in block.commands()]
            commands |= {line[0]: line for line in words if "--workers" in line}
    return commands


def ask_json(path: Path, question: str) -> Any:
    return json.loads(ask(path, question) or "nothing")


def test_the_page_on_web_workers(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn", reason=REASON)
    command = write("docs/howto/web.md", "web.py", tmp_path)["gunicorn"]
    made = folder(tmp_path)
    for begun in (0, 50):  # the state outlives the server
        path = tmp_path / f"web{begun}.sock"
        with serve(path, command, cwd=tmp_path, COURTYARD_DIR=str(made)):
            answers = [ask_json(path, "/page?ann") for _ in range(50)]
        assert [answer["hits"] for answer in answers] == list(range(begun + 1, begun + 51))
        assert answers[-1]["pages"] == ["/page"] * 10


@pytest.mark.limit(240)
def test_the_page_on_uvicorn_workers(tmp_path: Path) -> None:
    """Each of its servers goes on where the one before ended; requests wait in all workers."""
    pytest.importorskip("uvicorn_worker", reason=REASON)
    commands = write("docs/howto/uvicorn.md", "app.py", tmp_path)
    assert list(commands) == ["uvicorn", "gunicorn", "hypercorn"]
    made, hits = folder(tmp_path), 0
    env: dict[str, Any] = {"COURTYARD_DIR": str(made)}
    for name, command in commands.items():
        path = tmp_path / f"{name}.sock"
        with ThreadPoolExecutor(WORKERS) as clients, serve(path, command, cwd=tmp_path, **env):
            for _ in range(20):
                hits += 1
                answer = ask_json(path, "/page?ann")
                assert answer == {"hits": hits, "pages": ["/page"] * min(hits, 10)}
            followers = [kind(path) for kind in KINDS]
            for follower in followers:
                assert follower.next() == {"/page": hits}
            polls = [clients.submit(ask_json, path, "/next?/page") for _ in range(WORKERS)]
            while not all(poll.done() for poll in polls):
                hits += 1
                assert ask_json(path, "/page?bob")["hits"] == hits
            assert all(poll.result()["hits"] > 20 for poll in polls)
            for follower in followers:
                while follower.next() != {"/page": hits}:
                    pass
            followers.pop().close()
            followers.pop(0).close()
            polls = [clients.submit(ask_json, path, "/next?/none") for _ in range(WORKERS)]
            run_script("import app; app.stop.set()", env=env, cwd=tmp_path)
            assert [poll.result() for poll in polls] == [{"hits": 0, "stop": True}] * WORKERS
            for follower in followers:
                assert follower.next() is None
                follower.close()
        run_script("import app; app.stop.clear()", env=env, cwd=tmp_path)
    run_script("import app; app.space.destroy()", env=env, cwd=tmp_path)
    assert os.listdir(made) == []
