"""The benchmarks: what goes wrong in a cell is a result, and all results are written."""

import json
import mmap
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import chart, install, peer, plot, report, run, table, workload
from benchmarks.__main__ import parser, write
from benchmarks.offer import Signal
from benchmarks.operation import Goal, Setting
from benchmarks.workload import wake
from tests.support.children import run_command

FAKES = {
    "hangs": """
import os, time
from benchmarks.offer import Statement
TITLE = "hangs"
def hang():
    if os.fork() == 0:
        open(os.environ["FAKE_CHILD"], "w").write(str(os.getpid()))
        time.sleep(60)
    return Statement("time.sleep(60)", {"time": time})
OFFERS = {"with": hang}
""",
    "loses": """
from benchmarks.offer import Statement
TITLE = "loses"
def own():
    view = memoryview(bytearray(8)).cast("q")  # each process has its own
    return Statement("view[0] += 1", {"view": view}, lambda: view[0])
OFFERS = {"increment-raw": own}
""",
    "fails": """
import signal
from benchmarks.offer import Statement, Unsupported
TITLE = "fails"
def refuse():
    raise Unsupported("not on a Tuesday")
OFFERS = {
    "read": lambda: Statement("1 / 0"),
    "write": lambda: Statement("os.kill(os.getpid(), 9)", {"os": __import__("os")}),
    "create": refuse,
}
""",
    "missing": """
import no_such_package
""",
    "slow": """
from benchmarks.offer import Statement, name
TITLE = "slow"
START = 7.5
def leave():
    open(f"/dev/shm/{name()}", "w").close()
    return Statement("pass")
OFFERS = {"read": leave}
""",
}


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make adapters of peers that go wrong: ``fakes.hangs`` and so on."""
    folder = tmp_path_factory.mktemp("peers")
    (folder / "fakes").mkdir()
    for name, source in FAKES.items():
        (folder / "fakes" / f"{name}.py").write_text(source, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("FAKE_CHILD", str(folder / "child"))
        patch.syspath_prepend(folder)
        yield folder


@pytest.fixture(scope="module")
def results(fakes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the command line once; return the folder with what it wrote."""
    folder = tmp_path_factory.mktemp("out")
    command = [sys.executable, "-m", "benchmarks", "run", "--out", str(folder), "--workload=value"]
    options = ["--rounds=1", "--seconds=0.005", "--limit=30"]
    peers = [f"--peer=fakes.{name}" for name in ("loses", "fails", "missing")]
    run_command([*command, *options, *peers], limit=50, cwd=run.ROOT)
    return folder


def cells(results: Path, **wanted: str) -> list[dict[str, Any]]:
    found = json.loads((results / "results.json").read_text("utf-8"))["cells"]
    return [cell for cell in found if wanted.items() <= cell.items()]


def lines(results: Path, *words: str) -> list[str]:
    page = (results / "table.md").read_text("utf-8").splitlines()
    return [line for line in page if all(word in line for word in words)]


def test_a_cell_is_measured() -> None:
    facts, failure = run.call("cell", ["value/increment-2", "courtyard", "", "pinned", "0.01"], 30)
    assert failure == ""
    assert facts["what"] == "v.increment()"
    assert facts["value"] > 1
    assert facts["lost"] == 0


@pytest.mark.parametrize("name", [o.name for o in workload.operations("queue")])
def test_what_goes_through_a_queue(name: str) -> None:
    if name == "array":
        pytest.importorskip("numpy")
    facts, failure = run.call("cell", [f"queue/{name}", "courtyard", "", "unpinned", "0.01"], 30)
    assert failure == ""
    assert facts["value"] >= 0


def test_a_hang_is_a_result(fakes: Path) -> None:
    operation = workload.operation("lock/with")
    cell = run.Cell("lock/with", operation, "fakes.hangs", "", "unpinned")
    (fakes / "child").write_text("")
    limit = 1
    while not (fakes / "child").read_text():  # what hangs has to be reached: Python starts first
        limit *= 2
        cell.failures.clear()
        plan = run.Plan(seconds=0.01, limit=limit, workloads=("lock",))
        cell.measure(plan)
    assert cell.failures == [f"hung after {limit} s"]
    assert cell.due(1)
    found = report.sum_up(plan, {}, {"fakes.hangs": {"title": "hangs", "version": ""}}, [cell])
    assert "| hangs | `time.sleep(60)` |" in table.page(found)
    assert f"hung after {limit} s" in table.page(found)
    # What it started is gone too.
    child = int((fakes / "child").read_text("utf-8"))
    until = time.monotonic() + 10
    while os.path.exists(f"/proc/{child}") and time.monotonic() < until:
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{child}")
    cell.failures *= run.MOST_HANGS
    assert not cell.due(2)


def test_lost_updates_are_a_result(results: Path) -> None:
    both = cells(results, operation="value/increment-raw-2")
    assert [(cell["pinning"], cell["lost"]) for cell in both] == [("pinned", 1), ("unpinned", 1)]
    assert "pinned: lost 100 % of the updates" in lines(results, "two processes", "loses")[0]
    # It is not what others are measured by, even where one process is alone with it.
    alone = cells(results, operation="value/increment-raw", pinning="pinned")
    assert alone[0]["lost"] == 0
    assert alone[0]["best"] is None


def test_failures_are_results(results: Path) -> None:
    reasons = {
        "read": "failed: ZeroDivisionError: division by zero",
        "write": "crashed: SIGKILL",
        "create": "left out: not on a Tuesday",
    }
    for name, reason in reasons.items():
        found = lines(results, f"| {workload.operation(f'value/{name}').title} | fails |")
        assert [reason in line for line in found] == [True], found


def test_a_peer_that_is_not_installed_is_left_out(results: Path) -> None:
    (line,) = lines(results, "fakes.missing")
    assert "left out: ModuleNotFoundError: No module named 'no_such_package'" in line


def test_one_that_starts_slowly(fakes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[str] = []
    make = tempfile.mkdtemp

    def note(**options: Any) -> str:
        folders.append(make(**options))
        return folders[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", note)
    cell = run.Cell("value/read", workload.operation("value/read"), "fakes.slow", "", "unpinned")
    assert (cell.due(0), cell.due(1)) == (True, False)
    everyone = set(run.Plan().names())
    assert everyone - set(run.Plan(quick=True).names()) == {"ray"}
    assert run.Plan(quick=True, peers=("fakes.slow",)).names() == ["fakes.slow"]
    cell.measure(run.Plan(seconds=0.005, limit=20))
    assert (len(cell.figures), cell.failures) == (1, [])
    # Of this cell; other tests measure cells of their own meanwhile.
    [name] = [Path(folder).name for folder in folders]
    assert not list(Path(run.SHARED_MEMORY).glob(f"{name}*"))


def test_a_line_for_each_peer(results: Path) -> None:
    lines = table.common(json.loads((results / "results.json").read_text("utf-8"))).splitlines()
    assert lines[0].startswith("|  | read a value | add 1, exactly |")
    # What loses updates does not add exactly, though it is fast where it is alone.
    assert lines[2:] == ["| loses | — | — | — | — | — |", "| fails | — | — | — | — | — |"]
    sound = {"peer": "p", "operation": "value/read-raw", "failures": [], "unsafe": False}
    rounds = {"median": 1600.0, "rounds": [{"value": value} for value in (1600.0, 1700.0, 1500.0)]}
    found = {"peers": {"p": {"title": "P"}}, "cells": [sound | rounds]}
    assert table.common(found).splitlines()[2] == "| P | 1.50 µs | — | — | — | — |"


def test_single_operations_are_chosen() -> None:
    plan = run.Plan(workloads=("value", "dict"), operations=("value/read", "dict/get-int"))
    assert [key for key, _ in plan.wanted()] == ["value/read", "dict/get-int"]
    assert len(run.Plan().wanted()) > 40
    with pytest.raises(SystemExit):
        parser().parse_args(["run", "--operation", "value/no-such"])


def test_the_tables_can_be_written_anew(results: Path) -> None:
    before = (results / "table.md").read_text("utf-8")
    assert "| read | fails | `1 / 0` |" in before
    (results / "table.md").unlink()
    write(results)
    assert (results / "table.md").read_text("utf-8") == before


def test_the_chart_shows_the_figures_of_the_tables(results: Path) -> None:
    folder = run.ROOT / "docs" / "benchmarks"
    found = json.loads((folder / "results.json").read_text("utf-8"))
    drawn = (folder / chart.FILE).read_text("utf-8")
    assert drawn == chart.draw(found), "python -m benchmarks report draws it anew"
    page = (folder / "table.md").read_text("utf-8")
    figures = re.findall(r">([\d.,]+ (?:ns|µs|ms))</text>\n", drawn)
    bars = drawn.count('class="bar')
    assert bars == len(re.findall(r'class="bar.*\n<text', drawn)) > 6
    assert all(f"| {figure} |" in page for figure in figures[-bars:])
    # A run that lacks what it shows draws none.
    assert not (results / chart.FILE).exists()


def test_what_loses_updates_has_no_bar() -> None:
    cells: list[dict[str, Any]] = summaries(manager=30.0, redis=20.0, courtyard=10.0)
    cells[1]["unsafe"] = True
    cells += [cells[0] | {"median": 25.0, "variant": "faster"}]
    cells += [cells[0] | {"median": 1.0, "pinning": "unpinned"}]
    found = {"cells": cells}
    assert table.pinned(found, "manager", ("value/read", "value/read-raw")) == 25
    assert table.pinned(found, "redis", ("value/read", "value/read-raw")) is None
    cells += [cells[0] | {"peer": "redis", "operation": "value/read-raw", "median": 40.0}]
    assert table.pinned(found, "redis", ("value/read", "value/read-raw")) == 40


def test_the_pictures_are_drawn(results: Path) -> None:
    picture = (results / "value.svg").read_text("utf-8")
    assert "lost 100 % of the updates" in picture and ", loses updates<" in picture
    assert "crashed: SIGKILL" in picture and ">failed<" in picture


def test_the_pictures_are_of_the_stored_figures() -> None:
    folder = Path(run.ROOT) / "docs" / "benchmarks"
    found = json.loads((folder / "results.json").read_text("utf-8"))
    drawn = plot.draw(found)
    assert set(drawn) == {plot.OVERVIEW, *(f"{name}.svg" for name in workload.NAMES)}
    for name, picture in drawn.items():
        stored = (folder / name).read_text("utf-8")
        assert stored == picture, "python -m benchmarks report draws it anew"
    # A bar is as long as its figure, by the logarithm.
    cells = summaries(courtyard=20.0, redis=2000.0) + summaries(floor=200.0)
    for cell in cells:
        cell |= {"skipped": None, "lost": 0, "rounds": []}
    peers = {"peers": {cell["peer"]: {"title": cell["peer"]} for cell in cells}}
    lines = "".join(plot.panel(peers, "read", "ns", cells, 0))
    widths = [float(width) for width in re.findall(r'width="([\d.]+)"', lines)]
    decade = plot.SCALE / 3
    assert widths == pytest.approx([decade * n for n in (0.301, 2.301, 1.301)], abs=0.1)


def test_the_overview_has_the_fastest_and_the_best_known() -> None:
    medians = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "courtyard": 5.0, "redis": 90.0}
    cells = summaries(**medians)
    cells[0]["unsafe"] = True
    shown = [cell["peer"] for cell in plot.headline({"cells": cells}, "value/read")]
    assert shown == ["b", "c", "d", "courtyard", "redis"]


def summaries(**medians: float) -> list[dict[str, Any]]:
    nothing = {"failures": [], "unsafe": False, "variant": "", "pinning": "pinned", "what": ""}
    return [
        nothing | {"operation": "value/read", "peer": name, "median": median}
        for name, median in medians.items()
    ]


@pytest.mark.parametrize(("ours", "met"), [(24.0, True), (26.0, False), (-1.0, None)])
def test_goals(ours: float, met: bool | None) -> None:
    found = summaries(courtyard=ours, other=100.0)
    goal = report.judge("value/read", Goal(0.25, "other"), "pinned", found)
    assert goal["met"] is met
    absent = report.judge("value/read", Goal(0.25, "absent"), "pinned", found)
    assert absent["met"] is None
    share = report.judge("value/read", Goal(25.0), "pinned", found)
    assert share["met"] is (ours <= 25)
    best = report.judge("value/read", Goal(0.25, "best"), "pinned", found)
    assert best["met"] is met
    found += [found[-1] | {"variant": "another", "median": 1.0}]
    variant = report.judge("value/read", Goal(0.25, "other:another"), "pinned", found)
    assert variant["met"] is (None if met is None else False)
    own = report.judge("value/write", Goal(1.0, own="value/read"), "pinned", found)
    assert own["met"] is None
    found += [found[0] | {"operation": "value/write", "median": 30.0}]
    own = report.judge("value/write", Goal(1.0, own="value/read"), "pinned", found)
    assert own["figure"] == (None if met is None else 30 / ours)


def test_ratios() -> None:
    found = summaries(floor=10.0, courtyard=20.0, quick=30.0, wrong=15.0)
    found[-1]["unsafe"] = True
    report.compare(found)
    assert [cell["best"] for cell in found] == [1 / 3, 2 / 3, 1, 1 / 2]
    assert [cell["floor"] for cell in found] == [1, 2, 3, 1.5]


def test_the_cpu_of_a_waiter_is_seen() -> None:
    flag = mmap.mmap(-1, mmap.PAGESIZE)

    def spin(_: int) -> None:
        while not flag[0]:
            pass

    def sleep(_: int) -> None:
        while not flag[0]:
            time.sleep(0.1)

    def tell(number: int) -> None:
        flag[0] = number

    setting = Setting(seconds=0.03)
    spinning = wake.idle(Signal("spin", spin, tell), setting).value
    flag[0] = 0
    sleeping = wake.idle(Signal("sleep", sleep, tell), setting).value
    assert sleeping < 0.05 < spinning


@pytest.mark.parametrize("name", peer.names())
def test_what_is_offered_is_wanted(name: str) -> None:
    facts, failure = run.call("probe", [name], 50)
    missing = ("ImportError", "ModuleNotFoundError", "PackageNotFoundError")
    if any(error in failure for error in missing):
        pytest.skip(f"{name} is a peer that is not installed: {failure}")
    assert failure == ""
    wanted = {o.offer for found in workload.NAMES for o in workload.operations(found)}
    offered = {offer.partition(":")[0] for offer in facts["offers"]}
    assert offered <= wanted


def test_a_reason_for_what_can_not_be_installed() -> None:
    assert "no/such/folder" in install.install("./no/such/folder")
    assert peer.distribution("subetha") == "subetha-ipc"
    assert peer.distribution("floor") == ""
