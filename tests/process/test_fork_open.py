"""A fork while another thread opens a space: the child keeps none of the kernel's locks of it."""

import fcntl
import os
import signal
import struct
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import courtyard as cy
from tests.object.test_sharing import eventually
from tests.support.children import run_script, running

GATE, LIVENESS = 1 << 41, 1 << 40


def lock(file: int, kind: int, byte: int) -> None:
    asked = struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0)
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, asked)


def is_locked(path: Path, byte: int) -> bool:
    """Say whether any process holds a lock on that byte."""
    with path.open("r+b") as file:
        asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
        found = fcntl.fcntl(file.fileno(), fcntl.F_OFD_GETLK, asked)
    return bool(struct.unpack_from("h", found)[0] != fcntl.F_UNLCK)


def run(script: str, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """Run a program; its children end when its input ends, not with it."""
    return running([sys.executable, "-c", script, *arguments], stdin=subprocess.PIPE)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


AT_THE_GATE = """
import os, sys, threading
import courtyard as cy
opener = threading.Thread(target=cy.Space, args=(sys.argv[1],))
opener.start()
print("opening", flush=True)
sys.stdin.readline()
child = os.fork() if sys.argv[2] == "python" else __import__("ctypes").CDLL(None).fork()
if child == 0:
    os.read(0, 1)
    os._exit(0)
print("forked", flush=True)
opener.join()
print("opened", cy.Space(sys.argv[1])._here.slot, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("forker", ["python", "c"])
def test_a_fork_at_the_gate(url: str, forker: str) -> None:
    """The child's copy of the descriptor would get the gate's lock when the opener gets it."""
    run_script("import courtyard as cy, sys; cy.Space(sys.argv[1])", url)
    path = Path(url.removeprefix("file://"))
    waiting = f":{path.stat().st_ino} {GATE} {GATE}"
    with path.open("r+b") as gate, run(AT_THE_GATE, url, forker) as process:
        lock(gate.fileno(), fcntl.F_WRLCK, GATE)
        assert line(process) == "opening"

        def waits() -> bool:
            found = [text for text in Path("/proc/locks").read_text().splitlines() if "->" in text]
            return any(waiting in text for text in found)

        assert eventually(waits)
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        assert line(process) == "forked"
        lock(gate.fileno(), fcntl.F_UNLCK, GATE)
        slot = int(line(process).removeprefix("opened "))
        assert not is_locked(path, GATE)
        assert is_locked(path, LIVENESS + slot)
        process.kill()
        process.wait()
        assert eventually(lambda: not is_locked(path, LIVENESS + slot))
        cy.Space(url).destroy()
        process.stdin.close()


BUSY = """
import os, sys, threading
import courtyard as cy
sys.setswitchinterval(1e-5)
spaces = []
def opens():
    for number in range(60):
        spaces.append(cy.Space(f"{sys.argv[1]} {number}"))
opener = threading.Thread(target=opens)
opener.start()
forks = 0
while opener.is_alive() and forks < 150:
    if os.fork() == 0:
        os.read(0, 1)
        os._exit(0)
    forks += 1
opener.join()
for space in spaces:
    print(space._here.path, space._here.slot, sep="|", flush=True)
print(forks, flush=True)
sys.stdin.read()
"""


def test_forks_beside_a_thread_that_opens(title: str) -> None:
    """Its slots are free when it is killed, though its children live; and nobody is kept out."""
    others = [cy.Space(f"{title} {number}") for number in range(60)]
    held = [space.named("lock", cy.Lock) for space in others]
    with run(BUSY, title) as process:
        found = [line(process).split("|") for _ in others]
        assert int(line(process)) > 0
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path, slot in found:
            # A child that was forked last may not have run yet.
            for byte in (GATE, LIVENESS + int(slot)):
                assert eventually(lambda: not is_locked(Path(path), byte)), path  # noqa: B023
        assert process.stdin is not None
        process.stdin.close()
    del held
    for space in others:
        space.destroy(force=True)
