"""A web server with several workers at a Unix socket, and what asks it and kills its workers."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.children import running

ROOT = Path(__file__).parent.parent.parent
WORKERS, CLIENTS = 4, 6
TIMEOUT = 60  # seconds for an answer, and to end


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


# How each server is told where to listen, and what makes its tests quicker or surer.
OPTIONS: dict[str, Callable[[Path], list[str]]] = {
    # gunicorn's SIGTERM is lost on a worker that it has just forked; it kills that one after 5 s.
    "gunicorn": lambda path: [
        *("--bind", f"unix:{path}", "--no-control-socket", "--graceful-timeout", "5"),
    ],
    # uvicorn starts no worker while it waits for the answer of one that was killed meanwhile; it
    # kills a worker that is not up by then.
    "uvicorn": lambda path: [
        *("--uds", str(path), "--no-access-log", "--timeout-worker-healthcheck", "10"),
    ],
    "hypercorn": lambda path: ["--bind", f"unix:{path}"],
}


@contextmanager
def serve(
    path: Path, command: Iterable[str], *, cwd: Path = ROOT, ends: bool = False, **env: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a server at a socket, and see that it ends when it is told to, or by itself."""
    name, *arguments = command
    log = path.with_suffix(".log")
    with log.open("w") as output:
        server = running(
            [sys.executable, "-m", name, *OPTIONS[name](path), *arguments],
            stdout=output.fileno(),
            stderr=output.fileno(),
            env=env,
            cwd=cwd,
        )
        try:
            with server as process:
                while not listens(path):
                    assert process.poll() is None, "the server has ended"
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(0.01)
                yield process
                if not ends:
                    process.terminate()
                code = process.wait(TIMEOUT)
                assert ends or code == 0, f"exit code {code}"
        except BaseException as error:
            error.add_note(f"The server's log:\n{log.read_text()}")
            raise


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
    """Threads that ask until each request is answered, while they kill workers.

    ``verb`` says what is asked for a number: ``/verb/number``. A verb with a second one after a
    comma kills its worker; when it has, the second one is asked. The answer is the worker's PID;
    that of a number of ``kills`` is killed after it.
    """

    def __init__(
        self,
        path: Path,
        server: int,
        numbers: range,
        verb: Callable[[int], str],
        kills: Container[int] = (),
    ) -> None:
        self.path, self.server, self.verb, self.kills = path, server, verb, kills
        self.numbers = iter(numbers)
        self.asked = self.answered = self.killed = 0
        self.lock = threading.Lock()
        self.errors: list[BaseException] = []

    def request(self, number: int) -> None:
        verb, _, then = self.verb(number).partition(",")
        while True:
            with self.lock:
                self.asked += 1
            answer = ask(self.path, f"/{verb}/{number}")
            if answer is not None:
                assert not then or verb == then, "a killed worker answered"
                break
            verb = then or verb
        with self.lock:
            self.answered += 1
        if number in self.kills and kill_worker(self.server, int(answer)):
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
