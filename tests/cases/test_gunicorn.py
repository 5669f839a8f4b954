"""gunicorn's workers share a Dict, a Counter and a Lock while they are recycled and killed."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.object.test_memory import folder
from tests.support.children import die_with_parent, run_script

ROOT = Path(__file__).parent.parent.parent
REQUESTS = {"small": 2000, "full": 20_000}.get(os.environ.get("COURTYARD_TORTURE_SIZE", ""), 400)
WORKERS, CLIENTS = 4, 6
TIMEOUT = 20  # seconds for an answer


class Connection(http.client.HTTPConnection):
    """To a server at a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(str(self.path))


def ask(path: Path, question: str) -> str | None:
    """Return the answer, None if the worker died before it gave one."""
    connection = Connection(path)
    try:
        connection.request("GET", question)
        response = connection.getresponse()
        answer = response.read()
    except (ConnectionError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    assert response.status == 200, answer
    return answer.decode()


def listens(path: Path) -> bool:
    """Say whether a server answers there; its socket is there before that."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


@contextmanager
def serve(
    path: Path, *options: str, cwd: Path = ROOT, app: str = "tests.cases.web:app", **env: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run gunicorn at a socket, and see that it ends when it is told to."""
    log = path.with_suffix(".log")
    command = [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), *options]
    command += ["--bind", f"unix:{path}", "--log-file", str(log), "--no-control-socket"]
    # gunicorn's SIGTERM is lost on a worker that it has just forked; it kills that one after this.
    command += ["--graceful-timeout", "5"]
    server = subprocess.Popen(
        [*command, app],
        cwd=cwd,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    try:
        while not listens(path):
            assert server.poll() is None, log.read_text()
            with suppress(subprocess.TimeoutExpired):
                server.wait(0.01)
        yield server
        server.terminate()
        assert server.wait(TIMEOUT) == 0, log.read_text()
    finally:
        server.kill()
        server.wait()


def kill_worker(server: int, worker: int) -> bool:
    """Kill a worker of this server; return whether it lived until then."""
    try:
        fd = os.pidfd_open(worker)  # from here on the pid is nobody else's
    except ProcessLookupError:
        return False
    try:
        fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
        if fields[0] == "Z" or int(fields[1]) != server:
            return False
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except (ProcessLookupError, FileNotFoundError):
        return False
    finally:
        os.close(fd)
    return True


class Clients:
    """Threads that ask until each request is answered, while they kill workers."""

    def __init__(self, path: Path, server: int, first: int = 0) -> None:
        self.path, self.server = path, server
        self.numbers = iter(range(first, first + REQUESTS))
        self.asked = self.answered = self.killed = 0
        self.lock = threading.Lock()
        self.errors: list[BaseException] = []

    def request(self, number: int) -> None:
        # One in forty dies by itself, between the two changes that the lock makes one.
        verb = "die" if number % 40 == 20 else "count"
        while True:
            with self.lock:
                self.asked += 1
            answer = ask(self.path, f"/{verb}/{number}")
            if answer is not None:
                assert verb == "count", "a killed worker answered"
                break
            verb = "count"
        with self.lock:
            self.answered += 1
        if number % 40 == 0 and kill_worker(self.server, int(answer)):
            with self.lock:
                self.killed += 1

    def work(self) -> None:
        try:
            while not self.errors:
                with self.lock:
                    number = next(self.numbers, None)
                if number is None:
                    return
                self.request(number)
        except BaseException as error:
            self.errors.append(error)

    def run(self) -> None:
        threads = [threading.Thread(target=self.work) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.errors:
            raise self.errors[0]


def check(clients: Clients, state: dict[str, Any], requests: int, attempts: int) -> None:
    """See that each request was counted once, by workers that came and went."""
    assert clients.killed > REQUESTS // 100
    assert state["seen"] == list(range(requests))
    assert state["all"] == requests
    assert requests <= state["served"] <= attempts
    assert state["workers"] > 2 * WORKERS


RECYCLED = ("--max-requests", "25", "--max-requests-jitter", "10")


@pytest.mark.limit(60 + REQUESTS / 50)
def test_objects_made_before_the_fork(tmp_path: Path) -> None:
    pytest.importorskip("gunicorn", reason="it comes with the extra `test`")
    made, path = folder(tmp_path), tmp_path / "web.sock"
    with serve(path, "--preload", *RECYCLED, COURTYARD_DIR=str(made)) as server:
        clients = Clients(path, server.pid)
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
        with serve(path, *RECYCLED, **env) as server:
            clients = Clients(path, server.pid, start * REQUESTS)
            clients.run()
            asked += clients.asked
            state = json.loads(ask(path, "/state") or "nothing")
        check(clients, state, (start + 1) * REQUESTS, asked)
    run_script('import courtyard as cy; cy.Space("default").destroy()', env=env)
    assert os.listdir(made) == []
