"""What ``make`` says where something is missing: one line, with what to do."""

import shutil
import sys
from pathlib import Path

import pytest

from tests.support.children import run_command

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "python3": f'exec {sys.executable} "$@"',
    "cargo": "exit 0",
    "cc": "exit 0",
}


@pytest.mark.parametrize(
    "changed, said",
    [
        ({}, None),
        ({"python3": None}, "courtyard: Python 3.11 or newer is needed, and 'python3' is not"),
        ({"python3": "exit 1"}, "courtyard: Python 3.11 or newer is needed, and 'python3' is not"),
        ({"cargo": None}, "courtyard: Rust is missing (no working 'cargo' on PATH)"),
        ({"cargo": "exit 1"}, "courtyard: Rust is missing (no working 'cargo' on PATH)"),
        ({"cc": None}, "courtyard: a C linker is missing (no 'cc' on PATH)"),
    ],
)
def test_what_is_missing(changed: dict[str, str | None], said: str | None, tmp_path: Path) -> None:
    make = shutil.which("make")
    assert make is not None, "the tests are run by make"
    for tool in ("sh", "sed", "find"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "")
    for name, script in (COMMANDS | changed).items():
        if script is not None:
            command = tmp_path / name
            command.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
            command.chmod(0o755)
    for target in ("demo", "test") if said else ("require",):
        result = run_command(
            [make, target, f"VENV={tmp_path}/venv"],
            cwd=ROOT,
            env={"PATH": str(tmp_path), "MAKEFLAGS": "", "MAKELEVEL": "0"},
            check=False,
        )
        if said is None:
            assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
            continue
        line, failed = result.stderr.splitlines()
        assert line.startswith(said) and " run make " in line
        assert "require" in failed and result.returncode == 2
        assert not (tmp_path / "venv").exists()
