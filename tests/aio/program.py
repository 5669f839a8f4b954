"""Programs with a loop, each in an interpreter of its own."""

import sys

from tests.support.children import run_command

# What a script has before its own text: `run` is that of tests.support.loop, `main` is to be run.
BEGIN = """
import gc, logging, os, signal, sys, threading, time
# A step of the loop that takes long on a busy machine is nothing that the loop need say.
logging.getLogger("asyncio").addFilter(lambda record: "Executing" not in record.msg)
import anyio, courtyard as cy
from courtyard import _native
from tests.support.loop import assert_no_waits, blocked, run, tasks
backend = sys.argv[1]
def descriptors():
    return len(os.listdir("/proc/self/fd"))
def threads():
    return len(os.listdir("/proc/self/task"))
"""


def script(backend: str, text: str, *, code: int = 0, limit: float = 60) -> str:
    """Run a script in a fresh interpreter that says nothing on standard error, and ends so."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", BEGIN + text, backend]
    result = run_command(command, limit=limit, check=False)
    assert (result.returncode, result.stderr) == (code, ""), result.stderr + result.stdout
    return result.stdout
