"""Print the CPythons from 3.11 on of this machine, one a line: its minor version and its path.

They are looked for as ``python3.N`` on PATH and among pyenv's; the first of each version counts.
"""

import os
import subprocess
from pathlib import Path

OLDEST = 11
NEWEST = 30
PROBE = """
import sys, sysconfig, venv, ensurepip
assert sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
print(sys.version_info.minor)
"""


def folders() -> list[Path]:
    """Return where Pythons may be."""
    path = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [*path, *sorted(pyenv.glob("versions/*/bin"), reverse=True)]


def works(program: Path, minor: int) -> bool:
    """Return whether it is that Python, and can make environments: a pyenv shim may be none."""
    command = [str(program), "-c", PROBE]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found.stdout.strip() == str(minor)


def main() -> None:
    for minor in range(OLDEST, NEWEST):
        programs = [folder / f"python3.{minor}" for folder in folders()]
        for program in programs:
            if program.exists() and works(program, minor):
                print(minor, program)
                break


if __name__ == "__main__":
    main()
