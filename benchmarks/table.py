"""A report as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from benchmarks.operation import PINNINGS
from benchmarks.report import BEST, OURS, Report, Summary, sound

HEAD = "Less is better. [Benchmarks](index.md) says how to read this, and how it is measured."
BEGIN = "<!-- the goals, written by `python -m benchmarks` -->"
END = "<!-- the end of the goals -->"

UNITS = {"ns": (("s", 1e9), ("ms", 1e6), ("µs", 1e3), ("ns", 1.0)), "bytes": (("B", 1.0),)}


def digits(number: float) -> str:
    """Return a number in three digits or so."""
    if number != 0 and abs(number) < 0.0995:
        return f"{number:.2g}"
    return f"{number:,.{2 if abs(number) < 9.95 else 1 if abs(number) < 99.5 else 0}f}"


def scale(number: float, unit: str) -> tuple[str, float]:
    """Return the name and the size of the unit that suits a figure."""
    if unit == "share":
        return "%", 0.01
    sizes = UNITS[unit]
    return next((named for named in sizes if abs(number) >= named[1]), sizes[-1])


def figure(number: float, unit: str) -> str:
    """Return a figure in the unit that suits it."""
    name, size = scale(number, unit)
    return f"{digits(number / size)} {name}"


def spread(cell: Summary, unit: str) -> str:
    """Return a median and, in the same unit, the quartiles around it."""
    if cell["median"] is None:
        return "-"
    name, size = scale(cell["median"], unit)
    median = f"{digits(cell['median'] / size)} {name}"
    if len(cell["rounds"]) == 1:
        return median
    low, high = (digits(number / size) for number in cell["quartiles"])
    return f"{median} ({low} .. {high})"


def remark(cell: Summary) -> str:
    """Say what went wrong in a cell."""
    told = []
    if cell["lost"]:
        told.append(f"lost {digits(100 * cell['lost'])} % of the updates")
    elif cell["unsafe"]:
        told.append("loses updates where there is more than one process")
    tried = len(cell["failures"]) + len(cell["rounds"])
    for text, found in groupby(sorted(cell["failures"])):
        count = len(list(found))
        told.append(text if count == tried else f"{text}, {count} of {tried} times")
    if cell["skipped"]:
        told.append(f"left out: {cell['skipped']}")
    shares = [round["details"]["least"] for round in cell["rounds"] if "least" in round["details"]]
    if shares and min(shares) < 0.05:
        told.append(f"one process got {digits(100 * min(shares))} % of the turns at worst")
    return "; ".join(told)


def rows(header: Iterable[str], lines: Iterable[Iterable[str]]) -> Iterator[str]:
    """Return the lines of a Markdown table."""
    header = list(header)
    for line in (header, ["---"] * len(header), *lines):
        yield f"| {' | '.join(text.replace('|', '¦') for text in line)} |"


def verdict(goal: dict[str, Any] | None, unit: str) -> str:
    """Return the figure beside a goal and whether it was met."""
    if goal is None:
        return ""
    if goal["figure"] is None:
        return "not measured"
    number = figure(goal["figure"], unit) if goal["beside"] is None else digits(goal["figure"])
    return f"{number} {'met' if goal['met'] else '**missed**'}"


def beside(goal: dict[str, Any], report: Report) -> str:
    """Say what a goal compares with."""
    if goal["beside"] == BEST:
        return "the best peer"  # perhaps another one where it is not pinned
    if goal["own"]:
        return f"courtyard, {report['operations'][goal['own']]['title']}"
    name = goal["beside"].partition(":")[0]
    title = str(report["peers"].get(name, {"title": name})["title"])
    return title + (f", `{goal['what']}`" if goal["what"] else "")


def goals(report: Report) -> str:
    """Return the goals as a table: our figure by theirs, met or missed."""

    def line(found: list[dict[str, Any]]) -> Iterator[str]:
        goal, operation = found[0], report["operations"][found[0]["operation"]]
        yield f"{report['workloads'][operation['workload']]}: {operation['title']}"
        if goal["beside"] is None:
            yield from ("", figure(goal["limit"], operation["unit"]))
        else:
            yield beside(goal, report)
            yield digits(goal["limit"])
        for pinning in PINNINGS:
            judged = next((g for g in found if g["pinning"] == pinning), None)
            yield verdict(judged, operation["unit"])

    # Those of one operation stand together, its pinnings in turn.
    ordered = sorted(
        enumerate(report["goals"]),
        key=lambda pair: (
            list(report["operations"]).index(pair[1]["operation"]),
            str(pair[1]["beside"]),
            pair[0],
        ),
    )
    what = ("operation", "beside", "own", "limit")
    found = groupby((g for _, g in ordered), lambda g: [g[name] for name in what])
    lines = (line(list(group)) for _, group in found)
    return "\n".join(rows(("operation", "compared with", "at most", *PINNINGS), lines))


def cells(report: Report, workload: str) -> str:
    """Return a workload's cells as a table, the fastest of each operation first."""

    def lines() -> Iterator[Iterator[str]]:
        for key, operation in report["operations"].items():
            if operation["workload"] != workload:
                continue
            table: dict[tuple[str, str], dict[str, Summary]] = {}
            for cell in report["cells"]:
                if cell["operation"] == key:
                    table.setdefault((cell["peer"], cell["variant"]), {})[cell["pinning"]] = cell
            yield from (line(operation, row) for row in sorted(table.values(), key=speed))

    def speed(row: dict[str, Summary]) -> float:
        return min((c["median"] for c in row.values() if c["median"] is not None), default=1e99)

    def line(operation: dict[str, str], row: dict[str, Summary]) -> Iterator[str]:
        cell = next(iter(row.values()))
        name = report["peers"][cell["peer"]]["title"]
        yield operation["title"]
        yield f"**{name}**" if cell["peer"] == OURS else name
        yield next((f"`{c['what']}`" for c in row.values() if c["what"]), "")
        for pinning in PINNINGS:
            if pinning not in row:
                yield from ("", "", "")
                continue
            yield spread(row[pinning], operation["unit"])
            for base in ("best", "floor"):
                ratio = row[pinning][base]
                yield "" if ratio is None else digits(ratio)
        remarks = {pinning: remark(cell) for pinning, cell in row.items() if remark(cell)}
        yield "; ".join(f"{pinning}: {text}" for pinning, text in remarks.items())

    measured = [text for pinning in PINNINGS for text in (pinning, "by best", "by floor")]
    return "\n".join(rows(("operation", "peer", "what ran", *measured, "remarks"), lines()))


def facts(report: Report) -> Iterator[str]:
    """Return what was measured where, as a list."""
    for name, fact in report["machine"].items():
        yield f"- {name.replace('_', ' ')}: {fact}"
    plan = report["plan"]
    taken = max((len(cell["rounds"]) for cell in report["cells"]), default=0)
    yield (
        f"- rounds: {taken} of {plan['rounds']}, figures measured for about {plan['seconds']:g} s,"
        f" limit of a cell {plan['limit']:g} s"
    )
    for peer in report["peers"].values():
        if "reason" in peer:
            yield f"- {peer['title']}: left out: {peer['reason']}"
        elif peer["version"]:
            yield f"- {peer['title']} {peer['version']}"


def page(report: Report) -> str:
    """Return all of it as a page; another page includes what is between the markers."""
    parts = ["# All benchmark figures", HEAD, "## Goals", BEGIN, goals(report), END]
    for workload, title in report["workloads"].items():
        parts += [f"## {title}", f"![Chart: {title}]({workload}.svg)", cells(report, workload)]
        parts.append("\n".join(hows(report, workload)))
    parts += ["## Machine", "\n".join(facts(report))]
    return "\n\n".join(parts) + "\n"


def hows(report: Report, workload: str) -> Iterator[str]:
    """Return how each operation was measured, as a list."""
    operations = (o for o in report["operations"].values() if o["workload"] == workload)
    by_how: dict[str, list[str]] = {}
    for operation in operations:
        by_how.setdefault(operation["how"], []).append(operation["title"])
    for how, titles in by_how.items():
        yield f"- {'; '.join(titles)}: {how}."


# What a program does most, and the operations that are it: the first one that a peer offers.
COMMON = {
    "read a value": ("value/read", "value/read-raw"),
    "add 1, exactly": ("value/increment", "value/increment-raw"),
    "read from a dict": ("dict/get-int",),
    "store in a dict": ("dict/set-int",),
    "send an item to another process": ("queue/int",),
}


def common(report: Report) -> str:
    """Return a row a peer: the fastest of its ways that did what it was asked to, or a dash.

    The best round counts, for a machine that others use as well: what they do only ever adds.
    """

    def fastest(peer: str, key: str) -> float | None:
        cells = (c for c in report["cells"] if (c["peer"], c["operation"]) == (peer, key))
        values = [round["value"] for cell in cells if sound(cell) for round in cell["rounds"]]
        return min(values, default=None)

    def figures(peer: str) -> Iterator[str]:
        yield report["peers"][peer]["title"]
        for keys in COMMON.values():
            found = next(filter(None, (fastest(peer, key) for key in keys)), None)
            yield "—" if found is None else figure(found, "ns")

    peers = [name for name in report["peers"] if "reason" not in report["peers"][name]]
    return "\n".join(rows(("", *COMMON), map(figures, peers)))


def pinned(report: Report, peer: str, keys: tuple[str, ...]) -> float | None:
    """Return the median of the fastest pinned way of a peer to do the first that it offers."""
    for key in keys:
        wanted = (peer, key, "pinned")
        medians = [
            cell["median"]
            for cell in report["cells"]
            if (cell["peer"], cell["operation"], cell["pinning"]) == wanted and sound(cell)
        ]
        if medians:
            return float(min(medians))
    return None
