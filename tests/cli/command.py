"""Runs the command as a shell would, on a folder of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.children import run_script, running

COMMAND = "from courtyard.cli import main; main()"
SHOP = """
import signal
import courtyard as cy
space = cy.Space("shop")
till = space.named("till", cy.Lock)
till.acquire()
stock = space.named("stock", cy.Dict, {"apples": 3, "pears": {"green": 2}})
jobs = space.named("jobs [all]", cy.Queue, maxsize=10)
jobs.put(1)
cells = space.named("cells", cy.Array, "d", 5)
gate = space.named("gate", cy.Semaphore, 3)
gate.acquire()
private = cy.Dict(a=1)
print("ready", flush=True)
signal.pause()
"""
TWO_SPACES = """
import courtyard as cy
for name in ("shop", "depot"):
    cy.Space(name).named("both", cy.Queue, maxsize=7).maxsize = 9
cy.Space("depot").named("one", cy.Deque, "abc", maxlen=5).maxlen = 4
cy.Space("depot").named("gate*", cy.Lock)
"""


def command(
    *args: str, folder: Path | None = None, status: int | None = 0, limit: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `courtyard` with arguments; see that its exit status is this, unless None."""
    env = {"COLUMNS": "200"} | ({} if folder is None else {"COURTYARD_DIR": str(folder)})
    said = run_script(COMMAND, *args, check=False, limit=limit, env=env)
    assert "Traceback" not in said.stderr, said.stderr
    if status is not None:
        assert said.returncode == status, (said.returncode, said.stdout, said.stderr)
    return said


@contextmanager
def program(script: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Have a program run that has said "ready", until it is killed in the end."""
    env = {"COURTYARD_DIR": str(folder)}
    with running([sys.executable, "-c", script], env=env) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
