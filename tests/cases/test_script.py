"""Programs that a shell starts, and that know nothing of each other but a name."""

import os
import sys
from pathlib import Path

from tests.object.test_memory import folder
from tests.support.children import run_command

ROUNDS = 200

# The file is read and written: what another writes in between is lost.
COUNT = """
import os, sys
import courtyard as cy

lock, ready = cy.Lock.named("turnstile"), cy.Value.named("ready", "i")
path, rounds, programs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
ready.increment()
assert ready.wait_for(lambda number: number >= programs, 30)
for _ in range(rounds):
    with lock:
        with open(path) as file:
            number = int(file.read())
        with open(path, "w") as file:
            file.write(str(number + 1))
"""
# Dies with the lock in hand, when it has said so; the next one is told.
DIE = """
import os, signal
import courtyard as cy

lock = cy.Lock.named("turnstile")
assert lock.acquire(timeout=30)
print("held", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
NEXT = """
import courtyard as cy

lock = cy.Lock.named("turnstile")
assert lock.acquire(timeout=30)
print("recovered" if lock.recovered else "free")
lock.release()
"""


def shell(command: str, **env: str) -> str:
    """Run a shell's command; return what it printed."""
    return run_command(["sh", "-c", command], env=env, limit=50).stdout


def test_two_programs_exclude_each_other(tmp_path: Path) -> None:
    made, count = folder(tmp_path), tmp_path / "count"
    for name, text in (("count", COUNT), ("die", DIE), ("next", NEXT)):
        (tmp_path / f"{name}.py").write_text(text, "utf-8")
    count.write_text("0")
    python, where = sys.executable, {"COURTYARD_DIR": str(made)}
    one = f"{python} {tmp_path}/count.py {count} {ROUNDS} 2"
    shell(f"{one} & first=$!; {one} || exit 1; wait $first", **where)
    assert count.read_text() == str(2 * ROUNDS)
    after = f"{python} {tmp_path}/next.py"
    assert shell(after, **where) == "free\n"
    assert shell(f"{python} {tmp_path}/die.py; {after}", **where) == "held\nrecovered\n"
    shell(f"{python} -c 'import courtyard as cy; cy.Space(\"default\").destroy()'", **where)
    assert os.listdir(made) == []
