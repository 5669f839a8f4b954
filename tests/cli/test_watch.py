"""`courtyard watch`: the changes of an object as lines."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, TWO_SPACES, command
from tests.support.children import run_script, running

CHANGES = """
import courtyard as cy
class Point:
    x = 1
space = cy.Space("shop")
d, s, v = space["stock"], space["seen"], space["level"]
d["apples"] = 3
d[7] = ("a", [1])
d["point"] = Point()
del d["pears"]
s.add("x")
s.discard("y")
v.value = 5
d["not a number"] = float("inf")
ns = space["config"]
ns.stage = "on"
x = space["line"]
x.append(2)
"""
OBJECTS = """
import courtyard as cy
space = cy.Space("shop")
space.named("stock", cy.Dict, {"pears": 2, 7: 0})
space.named("seen", cy.Set, "y")
space.named("level", cy.Value, "i")
space.named("config", cy.Namespace)
space.named("line", cy.List, [1])
space.named("till", cy.Lock)
"""


@contextmanager
def watching(folder: Path, *args: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the command; it is at work when the block begins."""
    env = {"COURTYARD_DIR": str(folder), "PYTHONUNBUFFERED": "1"}
    words = [sys.executable, "-c", COMMAND, "watch", *args]
    with running(words, env=env, stderr=subprocess.PIPE) as process:
        assert process.stderr
        assert process.stderr.readline().startswith("watching ")
        yield process


def lines(process: "subprocess.Popen[str]", count: int) -> list[str]:
    assert process.stdout
    return [process.stdout.readline().rstrip("\n") for _ in range(count)]


@pytest.fixture
def shop(folder: Path) -> Path:
    run_script(OBJECTS, env={"COURTYARD_DIR": str(folder)})
    return folder


def change(folder: Path) -> None:
    run_script(CHANGES, env={"COURTYARD_DIR": str(folder)})


def test_changes_come_as_lines(shop: Path) -> None:
    with (
        watching(shop, "stock") as stock,
        watching(shop, "seen", "--space", "shop") as seen,
        watching(shop, "level") as level,
        watching(shop, "line") as line,
        watching(shop, "config", "--key", "stage", "--key", "other") as config,
    ):
        change(shop)
        said = lines(stock, 4)
        assert all(re.match(r"\d\d:\d\d:\d\d\.\d{3}  ", text) for text in said)
        found = [text[14:] for text in said]
        assert found[0] == "'apples': 3" and found[1] == "7: ('a', [1])"
        assert re.fullmatch(r"'point': <pickle, \d+ bytes>", found[2]), found
        assert found[3] == "'pears' deleted"
        assert [text[14:] for text in lines(seen, 2)] == ["'x': True", "'y' deleted"]
        assert lines(level, 1)[0].endswith("  5")
        assert lines(line, 1)[0].endswith("  [1, 2]")
        assert lines(config, 1)[0].endswith("  'stage': 'on'")
        for process in (stock, seen, level, line, config):
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
            assert process.stderr and "Traceback" not in process.stderr.read()
    left = json.loads(command("ps", "--json", folder=shop).stdout)
    assert not [found["processes"] for found in left if found["processes"]], left
    assert command("doctor", folder=shop)


def test_lines_for_programs(shop: Path) -> None:
    with (
        watching(shop, "stock", "--json", "-k", "pears", "-k", "7", "-k", "not a number") as stock,
        watching(shop, "level", "--json") as level,
        watching(shop, "stock", "--json", "--unpickle", "-k", "point") as point,
    ):
        change(shop)
        said = [json.loads(text) for text in lines(stock, 3)]
        assert all(abs(each.pop("time") - 1.7e9) < 3e9 for each in said)
        assert said == [
            {"key": 7, "value": ["a", [1]]},
            {"key": "pears", "deleted": True},
            {"key": "'not a number'", "value": "inf"},
        ]
        assert json.loads(lines(level, 1)[0])["value"] == 5
        # It has no class of that name.
        assert "Point" in json.loads(lines(point, 1)[0])["value"]
        os.kill(level.pid, signal.SIGKILL)
        assert level.wait(30) == -signal.SIGKILL


def test_what_is_refused(shop: Path) -> None:
    said = command("watch", "nothing", folder=shop, status=1).stderr
    assert "there is no 'nothing' in any space: `courtyard ls`" in said
    said = command("watch", "till", folder=shop, status=1).stderr
    assert "a courtyard.Lock has no watch()" in said
    said = command("watch", "nothing", "--space", "shop", folder=shop, status=1).stderr
    assert "there is no 'nothing' in" in said
    said = command("watch", "stock", "--space", "nowhere", folder=shop, status=1).stderr
    assert "there is no space 'nowhere'" in said
    said = command("watch", "level", "--key", "a", folder=shop, status=1).stderr
    assert "a courtyard.Value has no keys: watch() follows all of it" in said
    run_script(TWO_SPACES, env={"COURTYARD_DIR": str(shop)})
    said = command("watch", "both", folder=shop, status=1).stderr
    assert "several spaces have 'both': depot, shop; say which one with --space" in said


def test_its_reader_ends(shop: Path) -> None:
    with watching(shop, "level") as level:
        assert level.stdout
        level.stdout.close()
        change(shop)
        assert level.wait(30) == 0
        assert level.stderr and level.stderr.read() == ""
