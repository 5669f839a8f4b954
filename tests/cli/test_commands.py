"""The commands that look and remove: what they say is so, and what they refuse stays."""

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import COMMAND, SHOP, TWO_SPACES, command, program
from tests.support.children import run_command, run_script
from tests.support.stopped import STATES


def listed(folder: Path, *args: str) -> dict[str, dict[str, Any]]:
    """Return what `ls --json` lists, by name."""
    spaces = json.loads(command("ls", "--json", *args, folder=folder).stdout)
    return {obj["name"]: obj for space in spaces for obj in space["objects"]}


def test_ls_lists_names_and_users(folder: Path) -> None:
    with program(SHOP, folder) as shop:
        said = command("ls", folder=folder).stdout
        assert re.search(r"^named space shop \(.*, in use\)$", said, re.M)
        assert re.search(rf"^cells +Array\(d, 5\) +5 +\d+ bytes +{shop.pid} *$", said, re.M)
        assert re.search(rf"^jobs \[all\] +Queue\(10\) +1 +\S+ kB +{shop.pid} *$", said, re.M)
        assert re.search(r"^stock +Dict +2 ", said, re.M)
        assert "private" not in said
        everything = command("ls", "--all", folder=folder).stdout
        assert "private space" in everything and re.search(r"^#0 +Dict +1 ", everything, re.M)
        found = listed(folder)
        assert set(found) == {"till", "stock", "jobs [all]", "cells", "gate"}
        assert found["stock"]["entries"] == 2 and found["stock"]["participants"] == [shop.pid]
        assert set(listed(folder, "[st]t*", "gate")) == {"stock", "gate"}
        refused = command("ls", "x*", folder=folder, status=1)
        assert refused.stderr == "courtyard: no name matches 'x*'\n"
    assert listed(folder)["stock"]["participants"] == []


def test_ls_does_not_count_itself(folder: Path, tmp_path: Path) -> None:
    for url in ("default", (tmp_path / "shop.cy").as_uri()):
        user = f"""
import time, courtyard as cy
gate = cy.Lock.named("gate", space=cy.Space({url!r}))
print("ready", flush=True)
time.sleep(60)
"""
        with program(user, folder):
            assert "in use)" in command("ls", "--space", url, folder=folder).stdout
        assert "nobody uses it)" in command("ls", "--space", url, folder=folder).stdout


@pytest.mark.parametrize("name", ["ls", "inspect", "ps", "doctor", "rm"])
def test_a_url_that_is_none_is_refused(folder: Path, name: str) -> None:
    args = [name, "x"] if name in ("inspect", "rm") else [name]
    for url in ("redis://host", "http://host", "", "/tmp/x", "file://host/x", f"file://{folder}"):
        refused = command(*args, "--space", url, folder=folder, status=1)
        assert refused.stderr.startswith("courtyard: "), url


def test_ls_of_nothing(folder: Path) -> None:
    assert command("ls", folder=folder).stdout == f"There are no spaces in {folder}.\n"
    assert command("ls", "--json", folder=folder).stdout == "[]\n"
    refused = command("ls", "--space", "none", folder=folder, status=1)
    assert refused.stderr == (
        "courtyard: there is no space 'none': `courtyard ls` shows what there is\n"
    )


@pytest.mark.parametrize("in_a_file", [False, True])
def test_who_looks_leaves_to_the_dead_what_they_hold(
    folder: Path, tmp_path: Path, in_a_file: bool
) -> None:
    path = tmp_path / "shop.cy" if in_a_file else folder / "shop.cy1"
    url = path.as_uri() if in_a_file else "shop"
    with program(SHOP.replace('"shop"', repr(url)), folder) as shop:
        os.kill(shop.pid, signal.SIGKILL)
        shop.wait()

    def first_slot() -> bytes:
        """Return the state of the first slot, as it is in the file."""
        with path.open("rb") as file:
            file.seek(STATES)
            return file.read(8)

    before = first_slot()
    assert before[0] == 1, "alive, as far as it knew"
    for args in (["ls"], ["ls", "cells", "--json"], ["inspect", "till"], ["inspect", "c*", "gate"]):
        command(*args, "--space", url, folder=folder)
    if not in_a_file:
        command("ls", "--all", folder=folder)
        command("inspect", "till", "stock", "--peek", "2", folder=folder)
    said = command("ps", "--space", url, folder=folder).stdout
    assert re.search(rf"^ *{shop.pid} +\S+ +dead .*till.*gate \(1 permit\)", said, re.M), said
    said = command("inspect", "till", "--space", url, folder=folder).stdout
    assert "it died; the next one to come gets the lock" in said
    assert re.search(r"^users +nobody", said, re.M)
    assert first_slot() == before
    said = command("doctor", "--space", url, folder=folder, status=None).stdout
    assert re.search(rf"dead holders +till in \S+ \(pid {shop.pid}\): given back now", said)
    assert first_slot() != before


def test_rm_says_in_which_space_a_name_is_and_does_not_guess(folder: Path) -> None:
    run_script(TWO_SPACES, env={"COURTYARD_DIR": str(folder)})
    for default in (False, True):
        if default:
            run_script(
                "import courtyard as cy; cy.Lock.named('a')", env={"COURTYARD_DIR": str(folder)}
            )
        refused = command("rm", "one", folder=folder, status=1)
        assert refused.stderr == (
            "courtyard: no name matches 'one' in the space 'default': nothing was removed; "
            "it is in 'depot': say which, with --space\n"
        )
        assert "it is in 'depot' and 'shop'" in command("rm", "b*", folder=folder, status=1).stderr
        refused = command("rm", "nothing", folder=folder, status=1)
        assert refused.stderr == (
            "courtyard: no name matches 'nothing' in the space 'default': nothing was removed\n"
        )
    assert {"both", "one", "gate*"} <= set(listed(folder))
    assert (
        "it is in 'depot'"
        in command("rm", "one", "--space", "shop", folder=folder, status=1).stderr
    )


def test_a_space_given_as_a_name_is_told_of(folder: Path) -> None:
    run_script(TWO_SPACES, env={"COURTYARD_DIR": str(folder)})
    for args in (["ls"], ["inspect"], ["rm"]):
        refused = command(*args, "depot", folder=folder, status=1)
        assert refused.stderr.endswith("; 'depot' is a space: courtyard ls --space depot\n")


WAITS_FOR_A_NAME = """
import courtyard as cy
space = cy.Space({url!r})
here = space.named("here", cy.Semaphore, 3)
here.acquire(); here.acquire()
print("ready", flush=True)
space.wait_for("later")
"""


def test_ps_shows_who_waits_for_a_name(folder: Path, tmp_path: Path) -> None:
    for url in ("shop", (tmp_path / "shop.cy").as_uri()):
        with program(WAITS_FOR_A_NAME.format(url=url), folder) as waiter:
            row = rf"^ *{waiter.pid}  {url} .* here \(2 permits\) +space\.wait_for\(\) \(thread 1, "
            while not re.search(row, command("ps", "--space", url, folder=folder).stdout, re.M):
                assert waiter.poll() is None  # it shows after a tenth of a second
            found = json.loads(command("ps", "--json", "--space", url, folder=folder).stdout)
            (process,) = [p for p in found[0]["processes"] if p["pid"] == waiter.pid]
            assert [awaited["object"] for awaited in process["awaits"]] == ["space.wait_for()"]


def test_all_commands_take_a_space_in_a_file(folder: Path, tmp_path: Path) -> None:
    url = (tmp_path / "shop.cy").as_uri()
    script = """
import courtyard as cy, sys, os
lock = cy.Lock.named("till", space=cy.Space(sys.argv[1]))
cy.Queue.named("jobs", space=cy.Space(sys.argv[1])).put(5)
lock.acquire()
os.kill(os.getpid(), 9)
"""
    run_script(script, url, check=False, env={"COURTYARD_DIR": str(folder)})
    assert re.search(r"^till +Lock ", command("ls", "--space", url, folder=folder).stdout, re.M)
    said = command("inspect", "jobs", "--peek", "1", "--space", url, folder=folder).stdout
    assert re.search(rf"^space +{url} *$", said, re.M) and said.endswith("  5\n")
    sick = command("doctor", "--space", url, folder=folder).stdout
    taken = re.search(
        r"^ok +taken by spaces +(\S+) kB, (\S+) kB used, (\S+) kB free *$", sick, re.M
    )
    assert taken, sick
    missing = command("doctor", "--space", "none", folder=folder, status=1)
    assert "there is no space 'none'" in missing.stderr and missing.stdout == ""
    assert command("rm", "jobs", "--space", url, folder=folder).stdout == "removed Queue jobs\n"
    command("rm", "--whole-space", "--space", url, folder=folder)
    assert not (tmp_path / "shop.cy").exists()


def test_figures_of_memory_mean_what_statistics_means(folder: Path) -> None:
    script = """
import courtyard as cy, signal
space = cy.Space("shop")
d = space.named("d", cy.Dict)
for n in range(3000): d[n] = bytes(1000)
d.clear()
found = space.statistics()
print("ready", flush=True)
print(found.used, found.free, found.size, found.taken, flush=True)
signal.pause()
"""
    with program(script, folder) as shop:
        assert shop.stdout
        used, free, size, taken = map(int, shop.stdout.readline().split())
        (said,) = json.loads(command("ls", "--json", folder=folder).stdout)
        memory = said["memory"]
        assert memory["used"] + memory["free"] == memory["size"] == size == used + free
        assert abs(memory["used"] - used) < 20_000, "the command is a participant itself"
        assert abs(memory["taken"] - taken) < 200_000
        line = command("ls", folder=folder).stdout.splitlines()[0]
        assert re.fullmatch(
            r"named space shop \(\S+ MB taken, \S+ kB used, \S+ MB free, in use\)", line
        ), line


def test_rm_refuses_what_is_used(folder: Path) -> None:
    with program(SHOP, folder) as shop:
        refused = command("rm", "cells", "till", "--space", "shop", folder=folder, status=1)
        assert f"is used by {shop.pid}: nothing was removed" in refused.stderr
        assert len(listed(folder)) == 5
        dry = command("rm", "t*", "-n", "--force", "--space", "shop", folder=folder)
        assert dry.stdout == "would remove Lock till\n" and len(listed(folder)) == 5
        forced = command("rm", "t*", "--force", "--space", "shop", folder=folder)
        assert forced.stdout == "removed Lock till\n" and "till" not in listed(folder)
        whole = command("rm", "--whole-space", "--space", "shop", folder=folder, status=1)
        assert "is used by others" in whole.stderr


def test_rm_takes_what_nobody_uses(folder: Path) -> None:
    with program(SHOP, folder):
        pass
    assert command("rm", "jobs [all]", "--space", "shop", folder=folder).stdout == (
        "removed Queue jobs [all]\n"
    )
    missing = command("rm", "gate", "nothing", "--space", "shop", folder=folder, status=1)
    assert "no name matches 'nothing'" in missing.stderr and "gate" in listed(folder)
    command("rm", "--whole-space", "--space", "shop", folder=folder)
    assert not list(folder.iterdir())
    again = command("rm", "--whole-space", "--space", "shop", folder=folder, status=1)
    assert "there is no space 'shop'" in again.stderr


def test_rm_takes_what_killed_programs_left(folder: Path) -> None:
    with program(
        "import courtyard as cy, signal; d = cy.Dict(a=1); print('ready', flush=True); "
        "signal.pause()",
        folder,
    ) as killed:
        assert command("rm", "--orphans", folder=folder).stdout == "nothing to remove\n"
        assert len(list(folder.glob("*.cy1"))) == 1
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    sick = command("doctor", folder=folder, status=None)
    if list(folder.glob("*.cy1")):  # whoever looks may have taken it already
        assert "courtyard rm --orphans" in sick.stdout
    dry = command("rm", "--orphans", "--dry-run", folder=folder).stdout
    assert "would remove private space" in dry or dry == "nothing to remove\n"
    command("rm", "--orphans", folder=folder)
    assert not list(folder.glob("*.cy1"))


@pytest.mark.parametrize(
    "args",
    [
        ["rm"],
        ["rm", "x", "--orphans"],
        ["rm", "--nonsense"],
        ["inspect"],
        ["inspect", "x", "--peek", "-1"],
        ["nonsense"],
    ],
)
def test_wrong_usage(args: list[str], folder: Path) -> None:
    said = command(*args, folder=folder, status=2)
    assert "Error" in said.stderr


def test_doctor_says_what_to_do(folder: Path) -> None:
    well = command("doctor", folder=folder)
    assert re.search(r"^ok +permissions +.* mode 0700", well.stdout, re.M)
    folder.chmod(0o755)
    sick = command("doctor", folder=folder, status=1)
    assert "!!" in sick.stdout and "0700" in sick.stdout
    findings = json.loads(command("doctor", "--json", folder=folder, status=1).stdout)
    assert any(not finding["well"] and finding["advice"] for finding in findings)
    folder.chmod(0o700)


def test_hostile_names_are_shown_plainly(folder: Path) -> None:
    run_script(
        r"import courtyard as cy; cy.Lock.named('[red]x\x1b[31m\n')",
        env={"COURTYARD_DIR": str(folder)},
    )
    said = command("ls", folder=folder).stdout
    assert r"[red]x\x1b[31m\n" in said and "\x1b" not in said


@pytest.mark.parametrize("name", ["", "demo", "ls", "inspect", "ps", "doctor", "rm"])
def test_each_help_has_an_example(name: str, folder: Path) -> None:
    said = command(*name.split(), "--help", folder=folder).stdout
    assert "Usage: courtyard" in said and "Example" in said
    assert not list(folder.iterdir())


def test_names_are_completed(folder: Path) -> None:
    run_script(
        "import courtyard as cy; cy.Lock.named('alpha'), cy.Lock.named('beta')",
        env={"COURTYARD_DIR": str(folder)},
    )
    said = run_script(
        f"import sys; sys.argv = ['courtyard']; {COMMAND}",
        check=False,
        env={
            "COURTYARD_DIR": str(folder),
            "_COURTYARD_COMPLETE": "complete_bash",
            "COMP_WORDS": "courtyard inspect al",
            "COMP_CWORD": "2",
        },
    )
    assert said.stdout.split() == ["alpha"]


def test_python_m_courtyard_is_the_command(folder: Path) -> None:
    said = run_command([sys.executable, "-m", "courtyard", "--version"])
    assert re.fullmatch(r"courtyard \d+\.\d+\.\d+\n", said.stdout)


def test_ls_says_no_maximum_where_there_is_none(folder: Path) -> None:
    script = "import courtyard as cy; s = cy.Space('shop'); s.named('jobs', cy.Queue)"
    run_script(script, env={"COURTYARD_DIR": str(folder)})
    (line,) = [line for line in command("ls", folder=folder).stdout.splitlines() if "jobs" in line]
    assert line.split()[:2] == ["jobs", "Queue"]


MAKER = """
import courtyard as cy
with cy.Space("shop") as space:
    cy.Dict.named("stock", {"apples": 3}, space=space)
"""
USER = """
import multiprocessing, signal, sys
import courtyard as cy
space = cy.Space("shop")
stock = space["stock"]
def work():
    stock["pears"] = 1
work()
if "child" in sys.argv:
    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join()
print("ready", flush=True)
if "stays" in sys.argv:
    signal.pause()
"""


def slot_states(path: Path) -> list[int]:
    """Return the states of the first slots, as they are in the file: 1 is a process's."""
    with path.open("rb") as file:
        file.seek(STATES)
        return [byte & 3 for byte in file.read(128)[::8]]


def test_looking_takes_no_memory_for_good(folder: Path) -> None:
    env, path = {"COURTYARD_DIR": str(folder)}, folder / "shop.cy1"
    run_script(MAKER, env=env)
    command("ls", folder=folder)
    taken, states = path.stat().st_blocks, slot_states(path)
    assert not any(states)
    for args in (
        ["ls"],
        ["ps"],
        ["inspect", "stock", "--space", "shop", "--peek", "3"],
        ["ls", "--all"],
    ):
        command(*args, folder=folder)
        assert (path.stat().st_blocks, slot_states(path)) == (taken, states), args


def test_who_ended_normally_is_not_dead(folder: Path) -> None:
    env, path = {"COURTYARD_DIR": str(folder)}, folder / "shop.cy1"
    run_script(MAKER, env=env)
    assert not any(slot_states(path))
    with program(
        USER.replace('"child" in sys.argv', "True").replace('"stays" in sys.argv', "True"), folder
    ):
        run_script(USER, env=env)
        said = command("ps", "--space", "shop", folder=folder).stdout
        assert not re.search("dead|ended", said), said
        assert sum(slot_states(path)) <= 2, (
            "this program, and its child, which ran no functions at exit"
        )
    said = command("ps", "--space", "shop", folder=folder).stdout
    assert len(re.findall("dead", said)) == 1, said
