"""What `inspect` shows of names: holders and waiters, and what is in them."""

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import courtyard as cy
from courtyard import _report
from tests.cli.command import SHOP, TWO_SPACES, command, program
from tests.support.children import run_script

WAITER = """
import signal, threading
import courtyard as cy
threading.current_thread().name = "the shopper"
till = cy.Space("shop")["till"]
print("ready", flush=True)
till.acquire()
signal.pause()
"""
PICKLED = """
import courtyard as cy
class Bomb:
    def __reduce__(self):
        return print, ("it was loaded",)
cy.Dict.named("trap")["k"] = Bomb()
cy.Dict.named("trap")["plain"] = 5
"""


def test_holders_and_waiters_are_seen(folder: Path) -> None:
    with program(SHOP, folder) as shop, program(WAITER, folder) as waiter:

        def till() -> Any:
            said = command("inspect", "till", "--space", "shop", "--json", folder=folder)
            return json.loads(said.stdout)[0]["object"]

        while not (found := till())["waiters"]:  # it shows after a tenth of a second
            assert waiter.poll() is None
        assert found["holder"]["pid"] == shop.pid and found["holder"]["alive"]
        assert found["waiters"][0]["pid"] == waiter.pid
        assert found["contention"] >= 1
        said = command("inspect", "till", "--space", "shop", folder=folder).stdout
        assert re.search(r"^ *memory +\S+ bytes in 1 block *$", said, re.M), said
        assert re.search(rf"^holder +pid {shop.pid}, for [\d.]+ s at least *$", said, re.M)
        assert re.search(rf"^waiter +pid {waiter.pid}, the shopper, for ", said, re.M)
        assert re.search(r"^contention +\d+ waits? so far *$", said, re.M)
        assert (
            "contention" not in command("inspect", "stock", "--space", "shop", folder=folder).stdout
        )
        jobs = command("inspect", "jobs*", "--space", "shop", "--peek", "3", folder=folder).stdout
        assert jobs.splitlines()[-1].startswith("  "), "the first item"
        seen = command("ps", folder=folder).stdout
        assert re.search(rf"^ *{shop.pid}  shop .*till.*gate \(1 permit\)", seen, re.M)
        assert re.search(rf"^ *{waiter.pid}  shop .* - +till \(the shopper, [\d.]+ s\)", seen, re.M)
        assert f"{sys.executable} -c" in seen


def test_a_dead_holder_is_told_of(folder: Path) -> None:
    with program(SHOP, folder) as shop:
        os.kill(shop.pid, signal.SIGKILL)
        shop.wait()
        said = command("inspect", "till", "--space", "shop", folder=folder).stdout
        assert "it died; the next one to come gets the lock" in said or "holder      nobody" in said
        again = run_script(
            "import courtyard as cy; lock = cy.Space('shop')['till']; "
            "print(lock.acquire(timeout=10), lock.recovered)",
            env={"COURTYARD_DIR": str(folder)},
        )
        assert again.stdout == "True True\n"


def test_peek_never_unpickles_unless_told(folder: Path) -> None:
    run_script(PICKLED, env={"COURTYARD_DIR": str(folder)})
    said = command("inspect", "trap", "--peek", "5", folder=folder).stdout
    assert "'plain': 5" in said and re.search(r"'k': <pickle, \d+ bytes>", said)
    assert "it was loaded" not in said
    one = command("inspect", "trap", "--peek", "1", "--json", folder=folder).stdout
    assert len(json.loads(one)[0]["entries"]) == 1
    told = command("inspect", "trap", "--peek", "5", "--unpickle", folder=folder).stdout
    assert "it was loaded" in told


UNLOADABLE = """
import ctypes, sys, types, courtyard as cy
gone = sys.modules["gone"] = types.ModuleType("gone")
exec("class Job: pass", vars(gone))
cy.Queue.named("line").put_many([1, 2, gone.Job()])
cy.Dict.named("table").update({"job": gone.Job(), "number": 5})
cy.List.named("row").extend([gone.Job(), 6])
cy.Namespace.named("names", a=1, job=gone.Job(), c=[2])
gone.Frame = type("Frame", (ctypes.Structure,), {"_fields_": [("x", ctypes.c_int)]})
gone.Frame.__module__ = "gone"
cy.Dict.named("keys").update({gone.Job(): 1, "number": 5})
cy.Set.named("set").add(gone.Job())
cy.Counter.named("counts").update([gone.Job()])
cy.Value.named("value", object, gone.Job())
cy.Value.named("frame", gone.Frame)
cy.Event.named("event")
"""


def test_unpickle_shows_what_can_be_loaded(folder: Path) -> None:
    run_script(UNLOADABLE, env={"COURTYARD_DIR": str(folder)})

    def entries(name: str) -> list[str]:
        said = command("inspect", name, "--peek", "5", "--unpickle", "--json", folder=folder)
        found: list[str] = json.loads(said.stdout)[0]["entries"]
        return found

    # To load an item of a queue, it has to be taken.
    line = entries("line")
    assert line[:2] == ["1", "2"] and re.fullmatch(r"<pickle, \d+ bytes>", line[2])
    assert entries("table") == ["('job', <cannot load: gone.Job>)", "('number', 5)"]
    assert entries("row") == ["<cannot load: gone.Job>", "6"]
    assert entries("names") == ["('a', 1)", "('job', <cannot load: gone.Job>)", "('c', [2])"]
    assert entries("keys") == ["(<cannot load: gone.Job>, 1)", "('number', 5)"]
    assert entries("set") == entries("value") == ["<cannot load: gone.Job>"]
    assert entries("counts") == ["(<cannot load: gone.Job>, 1)"]
    assert entries("frame") == ["<cannot load: gone.Frame>"]
    assert entries("event") == []


def test_unpickle_goes_on_after_what_cannot_be_loaded(folder: Path) -> None:
    run_script(UNLOADABLE, env={"COURTYARD_DIR": str(folder)})
    said = command("inspect", "*", "--peek", "2", "--unpickle", folder=folder).stdout
    shown = re.findall(r"^name +(\S+)", said, re.M)
    assert shown == sorted(shown) and len(shown) == 10
    assert "  'a': 1\n  'job': <cannot load: gone.Job>\n" in said
    assert "'c': [2]" not in said


def test_inspect_of_what_is_not_there(folder: Path) -> None:
    assert command("inspect", "x", folder=folder, status=1).stderr == (
        "courtyard: no name matches 'x' in any space: `courtyard ls` shows what there is\n"
    )
    run_script("import courtyard as cy; cy.Lock.named('a')", env={"COURTYARD_DIR": str(folder)})
    refused = command("inspect", "x*", folder=folder, status=1)
    assert "no name matches 'x*'" in refused.stderr and "courtyard ls" in refused.stderr


def test_inspect_looks_into_all_spaces(folder: Path) -> None:
    run_script(TWO_SPACES, env={"COURTYARD_DIR": str(folder)})
    said = command("inspect", "one", folder=folder).stdout
    assert re.search(r"^name +one *\nspace +depot *\ntype +Deque\(4\) *\n", said), said
    assert (
        json.loads(command("inspect", "one", "--json", folder=folder).stdout)[0]["space"] == "depot"
    )
    assert re.search(r"^name +gate\* ", command("inspect", "gate*", folder=folder).stdout)
    said = command("inspect", "both", folder=folder).stdout
    assert re.findall(r"^space +(\w+) *$", said, re.M) == ["depot", "shop"]
    said = command("inspect", "both", "--space", "shop", folder=folder).stdout
    assert "Queue(9)" in said
    run_script("import courtyard as cy; cy.Event.named('both')", env={"COURTYARD_DIR": str(folder)})
    assert re.search(r"space +default", command("inspect", "both", folder=folder).stdout)
    refused = command("inspect", "one", "--space", "default", folder=folder, status=1)
    assert "no name matches 'one' in the space 'default'" in refused.stderr


def test_inspect_takes_several_names(folder: Path) -> None:
    run_script(TWO_SPACES, env={"COURTYARD_DIR": str(folder)})

    def seen(*args: str, status: int = 0) -> list[tuple[str, str]]:
        said = command("inspect", "--json", *args, folder=folder, status=status)
        return [(found["space"], found["object"]["name"]) for found in json.loads(said.stdout)]

    assert seen("one", "both") == [("depot", "one"), ("depot", "both"), ("shop", "both")]
    assert seen("one", "o*", "both", "--space", "depot") == [("depot", "one"), ("depot", "both")]
    assert seen("none", "one", status=1) == [("depot", "one")]
    told = command("inspect", "none", "one", "nor", folder=folder, status=1)
    assert re.findall(r"^name +(\S+)", told.stdout, re.M) == ["one"]
    assert "no name matches 'none' or 'nor' in any space" in told.stderr


NESTED = """
import collections
import courtyard as cy
class Own(cy.NestedDict):
    pass
with cy.Space("shop") as space:
    tree = cy.NestedDict.named("tree", space=space)
    tree["limits"] = {"jobs": 9, "hosts": [{"up": True}, 2]}
    tree["me"] = tree
    tree["pair"] = (tree["limits"], 1)
    tree["count"] = collections.Counter("a")
    tree["queue"] = space.Queue()
"""


def test_peek_shows_what_is_in_a_nested_dict(folder: Path) -> None:
    """Dicts and lists as such; what has to be unpickled as the pickle that it is."""
    run_script(NESTED, env={"COURTYARD_DIR": str(folder)})
    said = command("inspect", "tree", "--peek", "9", folder=folder).stdout
    assert "  'limits': {'jobs': 9, 'hosts': [{'up': True}, 2]}\n" in said
    assert "  'pair': ({'jobs': 9, 'hosts': [{'up': True}, 2]}, 1)\n" in said
    assert re.search(r"'me': \{'limits': .* 'me': Ellipsis", said)
    assert re.search(r"'count': <pickle, \d+ bytes>", said)
    assert re.search(r"'queue': <pickle, \d+ bytes>", said)
    with cy.Space() as space:
        made = space.named("tree", cy.NestedDict, a={"b": [1]})
        assert _report.peek(space, "tree") == [("a", {"b": [1]})]
        references = cy._native.references(made["a"])
        _report.peek(space, "tree")
        assert cy._native.references(made["a"]) == references


def test_tasks_are_named(folder: Path) -> None:
    script = """
import asyncio, courtyard as cy
stock = cy.Dict.named("stock")
async def sell():
    async with stock.aio.get_lock():
        await asyncio.sleep(60)
async def main():
    selling = asyncio.create_task(sell(), name="the seller")
    buying = asyncio.create_task(stock.aio.setitem("apples", 1), name="the\\x1b[31m buyer")
    print("ready", flush=True)
    await selling
asyncio.run(main())
"""
    with program(script, folder) as shop:
        row = r"(?m)^waiter +pid \d+, the\\x1b\[31m buyer, for [\d.]+ s *$"
        while not re.search(row, said := command("inspect", "stock", folder=folder).stdout):
            assert shop.poll() is None, said
        assert re.search(rf"(?m)^holder +pid {shop.pid}, the seller, for [\d.]+ s at least", said)
        seen = command("ps", folder=folder).stdout
        assert re.search(r"stock \(the seller\) +stock \(the\\x1b\[31m buyer, [\d.]+ s\)", seen)
        (said,) = json.loads(command("inspect", "stock", "--json", folder=folder).stdout)
        holder, (waiter,) = said["object"]["holder"], said["object"]["waiters"]
        assert (holder["name"], holder["is_task"], waiter["is_task"]) == ("the seller", True, True)
