"""Spaces in files: kept, copied, moved, and written by programs that are killed."""

import pickle
import shutil
import sys
import time
from pathlib import Path

import pytest

import courtyard as cy
from tests.space.test_space import MAKE
from tests.support.children import run_script, running


def test_a_file_keeps_its_objects(url: str, tmp_path: Path) -> None:
    script = f"""
import courtyard as cy, os, signal
space = cy.Space({url!r})
d = space.named("d", cy.Dict)
for n in range(1000):
    d[n] = "x" * n
space.named("q", cy.Queue).put_many(range(10))
space.named("lock", cy.Lock).acquire()
os.kill(os.getpid(), signal.SIGKILL)
"""
    run_script(script, check=False)
    space = cy.Space(url, create=False)
    assert (space.name, space.url, repr(space)) == (None, url, f"courtyard.Space({url!r})")
    assert dict(space["d"]) == {n: "x" * n for n in range(1000)}
    assert space["q"].get_many(20) == list(range(10))
    assert space["lock"].acquire(timeout=10) and space["lock"].recovered
    space.check()
    assert [path.name for path in tmp_path.iterdir()] == ["space.cy"]


WRITER = """
import courtyard as cy, sys
space = cy.Space(sys.argv[1])
d, n = space.named("d", cy.Dict), space.named("n", cy.Value, "q", lock=False)
print("ready", flush=True)
while True:
    turn = n.value + 1
    d["a"] = d["b"] = (turn, "x" * (turn * 7919 % 50_000))
    d.pop(turn - 20, None)
    d[turn] = [turn] * (turn % 300)
    n.value = turn
"""


def test_a_file_whose_writers_are_killed(url: str) -> None:
    """All processes die in the middle of writes, again and again: nothing stored is lost."""
    reached = 0
    for turn in range(8):
        with running([sys.executable, "-c", WRITER, url]) as writer:
            assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
            time.sleep(0.02 + turn * 0.013)  # some moment in its work
        script = """
import courtyard as cy, sys
space = cy.Space(sys.argv[1], create=False)
space.check()
d, n = space["d"], space["n"].value
a, b = d.get("a", (0, "")), d.get("b", (0, ""))
assert n <= b[0] <= a[0] <= n + 1, (n, a[0], b[0])
for turn in range(max(1, n - 18), n + 1):
    assert d[turn] == [turn] * (turn % 300), turn
print(n)
"""
        n = int(run_script(script, url).stdout)
        assert n >= reached
        reached = n
    assert reached > 0


def test_a_copied_file_is_a_space_of_its_own(url: str, tmp_path: Path) -> None:
    run_script(MAKE, url)
    shutil.copy(tmp_path / "space.cy", tmp_path / "copy.cy")
    first, copy = cy.Space(url), cy.Space((tmp_path / "copy.cy").as_uri())
    assert first != copy
    first["d"]["a"] = 2
    assert (first["d"]["a"], copy["d"]["a"]) == (2, 1)
    for space, value in ((first, 2), (copy, 1)):
        assert pickle.loads(pickle.dumps(space["d"]))["a"] == value
        space.check()


def test_a_copy_made_while_in_use_is_checked(url: str, tmp_path: Path) -> None:
    """What contradicts itself is refused, by all who come, and never used half."""
    path = tmp_path / "space.cy"
    run_script(MAKE, url)
    copy = tmp_path / "copy.cy"
    shutil.copy(path, copy)
    script = """
import sys
page = bytearray(open(sys.argv[1], "rb").read(4096))
page[0x318:0x320] = (99).to_bytes(8, "little")  # how many objects live: nothing depends on it
page[0x340:0x348] = bytes(8)  # the table of objects
with open(sys.argv[1], "r+b") as file:
    file.write(page)
"""
    run_script(script, str(copy))
    for _ in range(2):
        with pytest.raises(cy.CorruptError, match=r"machine went down or the file was copied"):
            cy.Space(copy.as_uri())


def test_a_moved_file(url: str, tmp_path: Path) -> None:
    run_script(MAKE, url)
    (tmp_path / "space.cy").rename(tmp_path / "moved 2%.cy")
    moved = cy.Space((tmp_path / "moved 2%.cy").as_uri())
    assert dict(moved["d"]) == {"a": 1}
    with pytest.raises(cy.NotFound):
        cy.Space(url, create=False)


def test_a_symbolic_link_is_named_with_what_it_leads_to(url: str, tmp_path: Path) -> None:
    space = cy.Space(url)
    link = tmp_path / "link.cy"
    link.symlink_to(tmp_path / "space.cy")
    with pytest.raises(OSError, match="symbolic link") as raised:
        cy.Space(link.as_uri())
    assert f"use Space({url!r})" in str(raised.value) and str(link) in str(raised.value)
    assert cy.Space(url) == space
    space.destroy()


def test_a_path_that_can_be_no_file_is_named_as_it_was_given(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    wrong: list[tuple[Path, type[OSError], str]] = [
        (tmp_path, IsADirectoryError, "this is a folder, and a space is a file: use Space..file:"),
        (tmp_path / "no" / "such" / "x.cy", FileNotFoundError, "there is no folder '.*/no/such'"),
        (file / "x.cy", NotADirectoryError, "there is no folder '.*/file'"),
    ]
    for path, error, said in wrong:
        with pytest.raises(error, match=said) as raised:
            cy.Space(path.as_uri())
        assert raised.value.filename == str(path)
    assert sorted(tmp_path.iterdir()) == [file]


def test_a_path_in_place_of_a_url_is_told_the_url(tmp_path: Path) -> None:
    for path, told in (
        (str(tmp_path / "a b.cy"), (tmp_path / "a b.cy").as_uri()),
        ("data/x.cy", Path("data/x.cy").absolute().as_uri()),
    ):
        with pytest.raises(ValueError, match=f"contains '/'.*by a URL: Space\\('{told}'\\)$"):
            cy.Space(path)


def test_a_file_that_others_may_read_says_what_to_do(url: str, tmp_path: Path) -> None:
    path = tmp_path / "space.cy"
    path.touch(0o640)
    path.chmod(0o640)
    said = rf"{path}: this file has mode 0640, so other users .* run chmod 600 {path}$"
    with pytest.raises(cy.CourtyardError, match=said):
        cy.Space(url)
