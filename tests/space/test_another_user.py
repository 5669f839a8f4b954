"""What another user puts where a space is expected: it is refused at once, and never believed.

The other user is a process of root's that has become user 65534.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import courtyard as cy
from tests.support.children import run_script, running

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

NOBODY = 65534

# What the other user's program has: a space whose object, when it is loaded, makes a folder.
PREPARE = """
import fcntl, os, signal, struct, sys, time, zlib
import courtyard as cy
path, marker = sys.argv[1:3]

class Evil:
    def __reduce__(self):
        return os.mkdir, (marker,)

if os.fork() == 0:
    made = cy.Space("file://" + path)
    made.named("x", cy.Value, object, Evil())
    print(f"{made._here.uuid:032x}", flush=True)
    os._exit(0)
os.wait()
os.chown(path, 65534, 65534)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
file = os.open(path, os.O_RDWR)

def become(kind):
    page = bytearray(os.pread(file, 4096, 0))
    page[0x28:0x30] = kind.to_bytes(8, sys.byteorder)
    page[0x78:0x80] = zlib.crc32(page[:0x78]).to_bytes(8, sys.byteorder)
    os.pwrite(file, page[:0x80], 0)

def gate(kind):
    asked = struct.pack("hhqqi4x", kind, os.SEEK_SET, 1 << 41, 1, 0)
    fcntl.fcntl(file, fcntl.F_OFD_SETLK, asked)
"""
READY = """
print("ready", flush=True)
"""

HOLD = """
become(KIND)
gate(fcntl.F_WRLCK)
print("ready", flush=True)
signal.pause()
"""

SWAP = """
become(1)
gate(fcntl.F_WRLCK)
print("ready", flush=True)
time.sleep(2)
become(3)
gate(fcntl.F_UNLCK)
signal.pause()
"""

LEASE = """
signal.signal(signal.SIGIO, signal.SIG_IGN)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("ready", flush=True)
signal.pause()
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """Give a folder like /tmp: everybody may put files there."""
    folder = Path(tempfile.mkdtemp(prefix="courtyard-shared-", dir="/tmp"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def other_user(script: str, path: Path) -> Iterator[int]:
    """Run the other user's program; give the UUID of the space that it made."""
    command = [sys.executable, "-c", PREPARE + script, str(path), str(path.parent / "marker")]
    with running(command) as process:
        assert process.stdout is not None
        uuid = int(process.stdout.readline(), 16)
        assert process.stdout.readline() == "ready\n"
        yield uuid


OPENERS = {
    "open": "cy.Space(url)['x'].value",
    "open-untrusting": "cy.Space(url, pickle=False)['x']",
    "pickle": "cy._space._rebuild(cy.Space, url[7:], uuid)['x'].value",
    "remove": "cy._report.remove(url, force=True)",
}


def refused(opener: str, url: str, uuid: int) -> None:
    script = f"import courtyard as cy, courtyard._report; url, uuid = {url!r}, {uuid}\n"
    done = run_script(script + OPENERS[opener], check=False, limit=20)
    assert "owned by user 65534, and this is user 0" in done.stderr, done


@pytest.mark.parametrize("opener", ["open", "pickle"])
def test_a_kind_that_changes_while_we_look(shared: Path, opener: str) -> None:
    """It says "private", is locked, and is a file with another's pickles once that ends."""
    path = shared / "space.cy"
    with other_user(SWAP, path) as uuid:
        refused(opener, path.as_uri(), uuid)
    assert not (shared / "marker").exists()


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_a_gate_that_is_held_for_ever(shared: Path, kind: int) -> None:
    path = shared / "space.cy"
    with other_user(HOLD.replace("KIND", str(kind)), path) as uuid:
        for opener in OPENERS if kind == 3 else ("open", "pickle"):
            refused(opener, path.as_uri(), uuid)
    assert not (shared / "marker").exists()


def test_a_lease_on_the_file(shared: Path) -> None:
    """Opening it would wait until the kernel takes the lease away, after 45 s."""
    path = shared / "space.cy"
    with other_user(LEASE, path):
        script = f"import courtyard as cy; cy.Space({path.as_uri()!r})"
        done = run_script(script, check=False, limit=20)
    assert "BlockingIOError" in done.stderr and str(path) in done.stderr


def test_files_beside_ours(shared: Path) -> None:
    """Drafts of the dead are looked for by name: what another user gives such a name stays."""
    path = shared / "space.cy"
    keep = shared / "keep"
    keep.write_text("ours")
    beside = [shared / f".space.cy.{number:032x}.new" for number in range(4)]
    beside[0].write_bytes(b"x")
    os.mkfifo(beside[1])
    beside[2].symlink_to(keep)
    beside[3].mkdir()
    for made in beside:
        os.chown(made, NOBODY, NOBODY, follow_symlinks=False)
    with cy.Space(path.as_uri()) as space:
        space.named("x", cy.Value, "i", 5)
    assert keep.read_text() == "ours"
    assert sorted(shared.glob(".space.cy.*")) == beside
    cy.Space(path.as_uri()).destroy()


def test_no_files(shared: Path) -> None:
    path = shared / "space.cy"
    os.mkfifo(path)
    for owner in (0, NOBODY):
        os.chown(path, owner, owner)
        with pytest.raises(cy.CourtyardError, match="not a regular file"):
            cy.Space(path.as_uri())
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match=str(path)):
        cy.Space(path.as_uri())
    assert path.is_symlink()


def test_hard_links(shared: Path) -> None:
    """A space of ours under another name, put there by another user or left by a dead maker."""
    path, other = shared / "space.cy", shared / "other.cy"
    run_script("import courtyard as cy, sys; cy.Space(sys.argv[1])", path.as_uri())
    os.link(path, other)
    for name in (path, other):
        with pytest.raises(cy.CourtyardError, match="2 names"):
            cy.Space(name.as_uri())
    other.unlink()
    with cy.Space(path.as_uri()) as space:
        uuid = space._here.uuid
    draft = shared / f".space.cy.{uuid:032x}.new"
    os.link(path, draft)
    script = "import courtyard as cy, sys; cy.Space(sys.argv[1]).named('x', cy.Lock)"
    run_script(script, path.as_uri())
    assert not draft.exists()
    space.__class__(path.as_uri()).destroy()
    assert list(shared.iterdir()) == []


def test_folders_of_others(shared: Path) -> None:
    """The folder of a user's spaces, where everybody may put another, or a link to one."""
    mine, link, script = shared / "mine", shared / "link", "import courtyard as cy; cy.Space('x')"
    mine.mkdir(mode=0o755)
    link.symlink_to(mine)
    theirs = shared / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, NOBODY, NOBODY)
    said = {mine: "mode 0755", link: "not a folder", theirs: "owned by user 65534"}
    for folder, text in said.items():
        done = run_script(script, check=False, env={"COURTYARD_DIR": str(folder)})
        assert "CourtyardError" in done.stderr and text in done.stderr
    assert (list(mine.iterdir()), list(theirs.iterdir())) == ([], [])
