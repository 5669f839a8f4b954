"""Runs the command as a shell would, on a folder of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.children import run_script, running

COMMAND = "from courtyard.cli import main; main()"


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
