"""The limits of spaces: their size, the memory there is, and namespaces of processes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import courtyard as cy
from tests.object.test_sharing import eventually
from tests.support.children import run_command, running


def test_a_size_limit(title: str) -> None:
    space = cy.Space(title, size_limit=4 << 20)
    assert space.size_limit == 4 << 20
    d = space.named("d", cy.Dict)
    with pytest.raises(cy.SpaceFull, match=rf"size_limit of .* is {4 << 20}"):
        for n in range(1000):
            d[n] = "x" * 10_000
    stored = len(d)
    assert 200 < stored < 450
    assert all(d[n] == "x" * 10_000 for n in range(stored))
    space.check()
    d.clear()
    for n in range(stored):
        d[n] = "y" * 10_000
    larger = cy.Space(title, size_limit=8 << 20)
    assert space.size_limit == 8 << 20 == larger.size_limit
    d["more"] = "x" * ((4 << 20) - (64 << 10))  # what stays free for making room
    assert cy.Space(title).size_limit == 8 << 20, "it stays as it is"
    private = cy.Space(size_limit=1 << 20)
    with pytest.raises(cy.SpaceFull, match=rf"size_limit of .* is {1 << 20}"):
        private.Value(object).value = b"x" * (2 << 20)
    says = r"size_limit is in bytes, at least 262144, .* and at most 4611686018427387903; found {}$"
    for wrong in (0, -1, 1, (256 << 10) - 1, 1 << 62, 1 << 63, 1 << 70):
        with pytest.raises(ValueError, match=says.format(wrong)):
            cy.Space(size_limit=wrong)
    with pytest.raises(TypeError):
        cy.Space(size_limit="1 GB")  # type: ignore[arg-type]


def unshared(commands: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a mount namespace of its own, prepared by shell commands."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare(1) is not here")
    shell = f'set -e; {commands}; exec {sys.executable} -c "$0"'
    for flags in ("-m", "-Urm"):
        tried = subprocess.run(
            [unshare, flags, "sh", "-ec", f"{commands}; true"], capture_output=True, check=False
        )
        if tried.returncode == 0:
            break
    else:
        pytest.skip(f"no mount namespace is to be had here: {tried.stderr.decode().strip()}")
    command = ["env", "-u", "COURTYARD_DIR", unshare, flags, "sh", "-ec", shell, script]
    return run_command(command, limit=50, check=False)


FILL = """
import courtyard as cy, os
space = cy.Space("full")
d = space.named("d", cy.Dict)
full = 0
for turn in range(3):
    try:
        for n in range(10_000):
            d[n] = "x" * 100_000
    except cy.SpaceFull as error:
        full += 1
        assert "--shm-size" in str(error) and "COURTYARD_DIR" in str(error), error
    assert len(d) > 400, len(d)
    assert all(value == "x" * 100_000 for value in d.values())
    d.clear()
assert full == 3
space.check()
d["again"] = b"x" * 5_000_000
print(space._here.path, space.statistics().size >> 20)
"""


def test_a_small_shared_memory_filled_to_the_brim() -> None:
    """Docker's 64 MB: an error that says what to do, and room again after clear()."""
    done = unshared("mount -t tmpfs -o size=64m tmpfs /dev/shm", FILL)
    assert done.returncode == 0, done.stderr
    path, size = done.stdout.rsplit(maxsplit=1)
    assert path == f"/dev/shm/courtyard-{os.geteuid()}/full.cy1" and 50 < int(size) < 64


def test_without_shared_memory_it_says_so(tmp_path: Path) -> None:
    script = f"""
import os, warnings
os.environ["XDG_RUNTIME_DIR"] = {str(tmp_path)!r}
import courtyard as cy
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    cy.Value("i"); cy.Space("fallen-back").named("x", cy.Lock); cy.Space()
print(len(said), said[0].category.__name__, said[0].message)
print(cy.Space("fallen-back")._here.path)
cy.Space("fallen-back").destroy()
"""
    done = unshared("mount -t tmpfs -o ro tmpfs /dev/shm", script)
    assert done.returncode == 0, done.stderr
    said, path = done.stdout.splitlines()
    assert said.startswith("1 RuntimeWarning courtyard found no /dev/shm to write to")
    assert "COURTYARD_DIR" in said
    assert path == f"{tmp_path}/courtyard-{os.geteuid()}/fallen-back.cy1"


def test_containers_with_colliding_pids(title: str) -> None:
    """Who lives is asked of the kernel's locks: a PID means nothing in another namespace."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("unshare(1) is not here")
    tried = subprocess.run([unshare, "-pf", "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no PID namespace is to be had here: {tried.stderr.decode().strip()}")
    script = f"""
import courtyard as cy, os, sys, time
space = cy.Space({title!r})
with space.named("lock", cy.Lock):
    space.named("pids", cy.Dict)[sys.argv[1]] = os.getpid()
    space.named("held", cy.Event).set()
    time.sleep(60)
"""
    space = cy.Space(title)
    lock, held = space.named("lock", cy.Lock), space.named("held", cy.Event)
    command = [unshare, "-pf", "--kill-child", sys.executable, "-c", script]
    with running([*command, "first"]) as first:
        assert held.wait(30)
        with running([*command, "second"]):
            assert not lock.acquire(timeout=0.3), "its holder lives, in another namespace"
            first.kill()
            first.wait()
            assert eventually(lambda: len(space["pids"]) == 2, 30)
    assert lock.acquire(timeout=10)
    assert set(space["pids"].values()) == {1}, "both were process 1"
