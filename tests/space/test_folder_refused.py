"""Folders that spaces are not put into, and what the error says."""

import os
import tempfile
from pathlib import Path

import pytest

from tests.object.test_memory import MAKE_ONE, folder
from tests.support.children import run_script


def refusal(path: Path) -> str:
    result = run_script(MAKE_ONE, env={"COURTYARD_DIR": str(path)}, check=False)
    assert result.returncode == 1
    last = result.stderr.rstrip().splitlines()[-1]
    assert str(path) in last
    assert "COURTYARD_DIR" in last or "No such" in last
    return last


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    for mode in (0o755, 0o701, 0o770):
        made = tmp_path / f"{mode:o}"
        made.mkdir()
        made.chmod(mode)
        said = refusal(made)
        assert f"mode {mode:04o}; expected a folder of user {os.geteuid()} with mode 0700" in said
        assert f"run chmod 700 {made}, or set COURTYARD_DIR to another" in said
        assert os.listdir(made) == []


def test_a_folder_that_we_may_not_write_to_is_refused(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    made.chmod(0o500)
    assert f"mode 0500; expected a folder of user {os.geteuid()}" in (said := refusal(made))
    assert f"run chmod 700 {made}" in said


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("text")
    assert "not a folder" in refusal(file)
    link.symlink_to(folder(tmp_path))
    assert "not a folder" in refusal(link)
    for path in (file, link):
        assert "move it away, or set COURTYARD_DIR" in (said := refusal(path))
        assert "chmod" not in said
    said = refusal(tmp_path / "missing" / "folder")
    assert said.startswith("FileNotFoundError")
    assert "mkdir in a folder that does not exist (make that one, or set COURTYARD_DIR" in said
    said = refusal(file / "folder")
    assert said.startswith("NotADirectoryError")
    assert "mkdir in what is not a folder (set COURTYARD_DIR" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    made = folder(tmp_path)
    os.chown(made, 12345, 12345)
    said = refusal(made)
    assert f"owned by user 12345; expected a folder of user {os.geteuid()}" in said
    assert "run as that user, or set COURTYARD_DIR" in said and "chmod" not in said


AS_NOBODY = """
import courtyard, ctypes, os, sys  # nobody may read the modules
os.environ["COURTYARD_DIR"] = sys.argv[1]
os.setresuid(65534, 65534, 65534)
try:
    courtyard.Lock()
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_user_without_permissions_is_told_which() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        parent = Path(place)
        parent.chmod(0o755)
        said = run_script(AS_NOBODY, str(parent / "new")).stdout
        assert said.startswith("PermissionError")
        assert "mkdir where this user may not write (make it with mode 0700, or set" in said
        (parent / "ours").mkdir(mode=0o700)
        said = run_script(AS_NOBODY, str(parent / "ours")).stdout
        assert "owned by user 0; expected a folder of user 65534 with mode 0700" in said
        (parent / "theirs").mkdir()
        os.chown(parent / "theirs", 65534, 65534)
        (parent / "theirs").chmod(0o300)
        said = run_script(AS_NOBODY, str(parent / "theirs")).stdout
        assert "mode 0300; expected a folder of user 65534 with mode 0700: run chmod 700" in said


def test_a_folder_is_made_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "new"
    program = f"import courtyard, os; courtyard.Value('i'); print(os.stat({str(path)!r}).st_mode)"
    result = run_script(program, env={"COURTYARD_DIR": str(path)})
    assert int(result.stdout) & 0o7777 == 0o700
