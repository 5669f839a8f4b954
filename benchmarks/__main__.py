"""The command line: ``python -m benchmarks run``, or ``make bench``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from types import FrameType

from benchmarks import workload
from benchmarks.operation import PINNINGS, Setting

QUICK = {"rounds": 3, "seconds": 0.05, "limit": 10.0, "minutes": 4.0, "pinnings": 1}


def key(text: str) -> str:
    """Return the name of an operation that there is, such as ``value/read``."""
    for name in workload.NAMES:
        if text in (f"{name}/{operation.name}" for operation in workload.operations(name)):
            return text
    raise argparse.ArgumentTypeError(f"there is no operation {text!r}")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure, then write JSON, Markdown and SVG")
    run.add_argument("--out", type=Path, default=Path("build/benchmarks"), help="the folder")
    run.add_argument(
        "--quick", action="store_true", help="fewer, shorter rounds: 5 minutes at most"
    )
    run.add_argument("--install", action="store_true", help="first install the missing peers")
    run.add_argument("--rounds", type=int, help="interleaved rounds")
    run.add_argument("--seconds", type=float, help="about how long a figure is measured for")
    run.add_argument("--limit", type=float, help="seconds after which a cell hangs")
    run.add_argument("--minutes", type=float, help="after which no round is begun")
    run.add_argument("--pinnings", type=int, choices=(1, 2), help="1: the first one only")
    run.add_argument("--workload", action="append", choices=workload.NAMES, help="this one only")
    run.add_argument("--peer", action="append", help="this one only; a dotted name is a module")
    run.add_argument("--operation", action="append", type=key, help="such as value/read; only it")
    report = commands.add_parser("report", help="write Markdown and SVG anew from the JSON")
    report.add_argument("--out", type=Path, default=Path("docs/benchmarks"), help="the folder")
    common = commands.add_parser("common", help="print a line a peer of what was measured")
    common.add_argument("--out", type=Path, default=Path("docs/benchmarks"), help="the folder")
    cell = commands.add_parser("cell", help="measure one cell in this process")
    cell.add_argument("operation", help="such as value/read")
    cell.add_argument("peer")
    cell.add_argument("variant", help="of the peer's offer; empty for the main one")
    cell.add_argument("pinning", choices=PINNINGS)
    cell.add_argument("seconds", type=float)
    probe = commands.add_parser("probe", help="say what a peer offers")
    probe.add_argument("peer")
    return parser


def write(folder: Path) -> None:
    """Write the table and the pictures from the folder's JSON."""
    from benchmarks import chart, plot, table

    report = json.loads((folder / "results.json").read_text("utf-8"))
    (folder / "table.md").write_text(table.page(report), "utf-8")
    if chart.can_draw(report):
        (folder / chart.FILE).write_text(chart.draw(report), "utf-8")
    plot.write(report, folder)


def run(arguments: argparse.Namespace) -> None:
    """Measure and write."""
    from benchmarks import install, machine, report, table
    from benchmarks.run import Plan
    from benchmarks.run import run as run_all

    def end(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)  # what is under way is ended on the way out

    signal.signal(signal.SIGTERM, end)
    options = {name: getattr(arguments, name) for name in QUICK}
    given = {name: value for name, value in options.items() if value is not None}
    operations = tuple(arguments.operation or ())
    named = dict.fromkeys(name.partition("/")[0] for name in operations)
    plan = Plan(
        **((QUICK if arguments.quick else {}) | given),
        workloads=tuple(arguments.workload or named or workload.NAMES),
        operations=operations,
        peers=tuple(arguments.peer or ()),
        quick=arguments.quick,
    )
    reasons = install.install_all(plan.names()) if arguments.install else {}
    found = machine.describe()  # before we make the machine busy
    results = report.sum_up(plan, found, *run_all(plan, reasons))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.json").write_text(report.dump(results), "utf-8")
    write(arguments.out)
    print(table.goals(results))
    print(f"\n{arguments.out}: results.json, table.md, *.svg")


def main() -> None:
    """Do what the command line says. The exit status says whether the harness ran, no more."""
    arguments = parser().parse_args()
    if arguments.command == "run":
        run(arguments)
    elif arguments.command == "report":
        write(arguments.out)
    elif arguments.command == "common":
        from benchmarks import table

        print(table.common(json.loads((arguments.out / "results.json").read_text("utf-8"))))
    else:
        from benchmarks import cell

        if arguments.command == "probe":
            cell.probe(arguments.peer)
        else:
            cell.measure(
                arguments.operation,
                arguments.peer,
                arguments.variant,
                Setting(arguments.pinning == "pinned", arguments.seconds),
            )


if __name__ == "__main__":
    main()
