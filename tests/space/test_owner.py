"""Whose a space is: what is not this user's, or not this layout's, is refused."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import courtyard as cy
from tests.space.test_space import MAKE
from tests.support.children import run_script


def test_permissions_whatever_the_umask(tmp_path: Path) -> None:
    script = """
import courtyard as cy, os, stat, sys
os.umask(int(sys.argv[1], 8))
where = os.environ["COURTYARD_DIR"]
made = [cy.Space("a"), cy.Space("file://" + sys.argv[2]), cy.Space()]
made[0].named("x", cy.Lock)
for path in [where, *(m._here.path for m in made)]:
    print(oct(stat.S_IMODE(os.stat(path).st_mode)))
cy.Space("a").destroy()
"""
    for mask in ("000", "022", "077", "0777"):
        folder, file = tmp_path / f"folder-{mask}", tmp_path / f"file-{mask}"
        done = run_script(script, mask, str(file), env={"COURTYARD_DIR": str(folder)})
        assert done.stdout.split() == ["0o700", "0o600", "0o600", "0o600"], mask


def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    env = {"COURTYARD_DIR": str(folder)}
    done = run_script("import courtyard as cy; cy.Space('x')", check=False, env=env)
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    assert "CourtyardError" in done.stderr
    assert "owned by user 65534; expected a folder of user 0" in done.stderr


def test_another_users_file_is_refused(tmp_path: Path, url: str) -> None:
    path = tmp_path / "space.cy"
    cy.Space(url)
    run_script("import courtyard as cy, sys; cy.Space(sys.argv[1])", url)
    path.chmod(0o644)
    script = "import courtyard as cy, sys; cy.Space(sys.argv[1])"
    done = run_script(script, url, check=False)
    assert "mode 0644" in done.stderr and "chmod 600" in done.stderr
    path.chmod(0o600)
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 65534, 65534)
    done = run_script(script, url, check=False)
    assert "owned by user 65534, and this is user 0" in done.stderr


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", cy.LayoutMismatch),
        (b"hello" * 100_000, cy.LayoutMismatch),
        (b"COURTYRD" + bytes(100_000), cy.LayoutMismatch),
    ],
    ids=["empty", "foreign", "half"],
)
def test_foreign_files(tmp_path: Path, content: bytes, error: Any) -> None:
    path = tmp_path / "space.cy"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(error, match=str(path)):
        cy.Space(path.as_uri())
    assert path.read_bytes() == content
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError, match="link"):
        cy.Space(link.as_uri())
    with pytest.raises(IsADirectoryError):
        cy.Space(tmp_path.as_uri())
    with pytest.raises(FileNotFoundError):
        cy.Space((tmp_path / "missing" / "space.cy").as_uri())


def test_a_newer_layout_is_refused(tmp_path: Path, title: str, url: str) -> None:
    for where in (title, url):
        path = Path(run_script(MAKE, where).stdout.strip())
        data = bytearray(path.read_bytes()[:4096])
        data[8:16] = (2).to_bytes(8, sys.byteorder)
        with path.open("r+b") as file:
            file.write(data)
        with pytest.raises(cy.LayoutMismatch, match=r"layout 2/.*this courtyard reads 1/"):
            cy.Space(where)
        path.unlink()


def test_another_name_in_the_file_is_refused(title: str) -> None:
    """Two names could lead to one file only by a hash that collides: it is told, not mixed up."""
    path = Path(run_script(MAKE, title).stdout.strip())
    other = cy.Space(title + " 2")
    target = other._here.path
    other.destroy()
    shutil.copy(path, target)
    with pytest.raises(cy.CourtyardError, match="this file is the space"):
        cy.Space(title + " 2")
    target.unlink()
