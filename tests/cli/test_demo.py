"""`courtyard demo`: what it shows is true, and Ctrl-C ends all of it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, command
from tests.support.children import run_script, running


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Make some files, one of which is long."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(60):
        words = [f"word{number % 7}", "all", f"only{number}"] * (number + 1)
        (folder / f"{number}.txt").write_text("\n".join(words) + "\n", "utf-8")
    (folder / "one-line.txt").write_text("long " * 50_000, "utf-8")
    (folder / "no-text.txt").write_bytes(bytes(range(256)) * 50)
    (folder / "other.md").write_text("not counted", "utf-8")
    return folder


def test_it_counts_exactly_past_a_killed_worker(files: Path) -> None:
    said = command("demo", str(files), "--pattern", "*.txt", "--workers", "3")
    assert re.search(r"it got b.my_data. +[\d,]+ µs after the set", said.stdout)
    assert "3 processes count the words of 62 files" in said.stdout
    assert re.search(r"kill -9 \d+: a worker, after (3[1-9]|[456]\d) files", said.stdout)
    assert "It is exactly what a single process counts." in said.stdout
    assert "the longest file has 180 lines" in said.stdout
    assert re.search(r"Manager [\d.]+ s: [\d.]+ times as long a file", said.stdout)
    assert said.stdout.rstrip().splitlines()[-4].startswith("What to try next")
    assert said.stderr == ""


def test_its_figures_as_json(files: Path) -> None:
    said = command("demo", str(files), "--pattern", "*.txt", "--json")
    figures = json.loads(said.stdout)
    assert figures["files"] == figures["manager_files"] == 62
    counted: dict[str, int] = {}
    for path in files.glob("*.txt"):
        for word in re.findall(r"\w+", path.read_text("utf-8", "replace")):
            counted[word] = counted.get(word, 0) + 1
    assert (figures["words"], figures["total"]) == (len(counted), sum(counted.values()))
    assert 0 < figures["wake_up_seconds"] < 5


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["/does/not/exist"], "does not exist"),
        (["--pattern", "*.nothing"], "no file in"),
        (["--workers", "0"], "Invalid value for '--workers'"),
        (["--nonsense"], "No such option"),
    ],
)
def test_wrong_usage(args: list[str], text: str, tmp_path: Path) -> None:
    place = [] if args[0].startswith("/") else [str(tmp_path)]
    said = command("demo", *args, *place, status=2)
    assert text in said.stderr


def members(group: int) -> list[str]:
    """Return what processes of a group there are."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


@pytest.mark.parametrize("delay", [0.0, 0.3, 0.6, 1.0, 1.5, 2.5])
def test_ctrl_c_leaves_nothing(delay: float, files: Path, folder: Path) -> None:
    """The whole group hears of it, as at a terminal, at some moment after the first line."""
    command = [sys.executable, "-u", "-c", COMMAND, "demo", str(files)]
    command += ["--pattern", "*", "--workers", "2"]
    env = {"COURTYARD_DIR": str(folder)}
    with running(command, stderr=subprocess.PIPE, env=env) as process:
        assert process.stdout
        assert "1. Two processes share a value" in process.stdout.readline()
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=30)
        # multiprocessing's own tracker of resources notices a moment later.
        deadline = time.monotonic() + 10
        while (left := members(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert process.returncode == 130 or "What to try next" in output, (output, errors)
    assert "Traceback" not in errors, errors
    assert not left, left
    assert not list(folder.glob("*.cy1"))


SIGNALLED = """
import signal, threading, time
from courtyard.cli.demo.crew import undisturbed

done = threading.Event()
other = threading.Thread(target=done.wait, daemon=True)
other.start()
started = False
try:
    with undisturbed():
        signal.pthread_kill(other.ident, signal.SIGINT)
        time.sleep(0.1)  # where the handler runs
        started = True
except KeyboardInterrupt:
    assert started
else:
    raise AssertionError("Ctrl-C was lost")
"""


def test_ctrl_c_waits_until_a_child_has_started() -> None:
    """Also where another thread takes the signal, which the main thread masks."""
    run_script(SIGNALLED)


def test_without_its_extra_it_says_what_to_install() -> None:
    for missing in ("typer", "rich"):
        script = f"import sys; sys.modules[{missing!r}] = None\n{COMMAND}"
        said = run_script(script, check=False)
        assert said.returncode == 1
        assert said.stderr == (
            f"courtyard: the command needs {missing}: pip install 'courtyard[cli]'\n"
        )
