"""The report as SVG: a picture for each workload, and one with an operation of each."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from benchmarks.chart import STYLE
from benchmarks.operation import PINNINGS
from benchmarks.report import FLOOR, OURS, Report, Summary, sound
from benchmarks.table import figure, remark

OVERVIEW = "overview.svg"
# What the overview shows of each workload, and of how many peers: the fastest that did what they
# were asked to, and those that everybody knows.
HEADLINES = (
    *("value/increment", "array/get", "dict/get-int", "list/get", "queue/int", "lock/contended"),
    *("wake/sleeper", "start/import"),
)
KNOWN = ("multiprocessing", "manager", "redis")
FASTEST = 3

WIDTH, LABEL, SCALE = 440, 156, 176  # of the picture, of a name, of the scale, in pixels
TITLE, ROW, FOOT, GAP = 20, 16, 16, 10


def speed(cell: Summary) -> float:
    """Return by what the rows of a panel are sorted: what failed comes last."""
    return math.inf if cell["median"] is None else float(cell["median"])


def chosen(report: Report, operation: str) -> list[Summary]:
    """Return a cell for each way of each peer: the pinned one, if there is one."""
    ways: dict[tuple[str, str], Summary] = {}
    for cell in report["cells"]:
        if cell["operation"] == operation:
            key = cell["peer"], cell["variant"]
            first = min(
                ways.get(key, cell), cell, key=lambda found: PINNINGS.index(found["pinning"])
            )
            ways[key] = first
    return sorted(ways.values(), key=speed)


def headline(report: Report, operation: str) -> list[Summary]:
    """Return the cells that stand for an operation: one a peer, of the peers that matter most."""
    cells: dict[str, Summary] = {}
    for cell in chosen(report, operation):
        if sound(cell) and cell["peer"] != FLOOR:
            cells.setdefault(cell["peer"], cell)
    others = [peer for peer in cells if peer != OURS]
    shown = {OURS, *KNOWN, *others[:FASTEST]}
    return [cell for peer, cell in cells.items() if peer in shown]


def scale(cells: list[Summary], unit: str) -> tuple[float, int]:
    """Return where a logarithmic scale begins, and how many decades it has."""
    positive = [cell["median"] for cell in cells if cell["median"]]
    step = 0.01 if unit == "share" else 1.0
    if not positive:
        return step, 1
    low = math.floor(math.log10(min(positive) / step))
    if math.log10(min(positive) / step) - low < 0.1:
        low -= 1  # the shortest bar is seen, too
    return step * 10.0**low, max(1, math.ceil(math.log10(max(positive) / step)) - low)


def named(report: Report, cell: Summary) -> str:
    """Return what a row is called."""
    title = str(report["peers"][cell["peer"]]["title"])
    return f"{title} ({cell['variant']})" if cell["variant"] else title


def told(cell: Summary, unit: str) -> str:
    """Return what stands at the end of a bar: the figure, and in a word what is wrong with it."""
    if cell["median"] is None:
        return "left out" if cell["skipped"] else "failed"
    wrong = ", loses updates" if cell["unsafe"] else ", fails at times" if cell["failures"] else ""
    return figure(cell["median"], unit) + wrong


def tick(number: float, unit: str) -> str:
    """Return what stands at a tick of the scale."""
    return re.sub(r"\.0+ ", " ", figure(number, unit))


def panel(report: Report, title: str, unit: str, cells: list[Summary], top: float) -> Iterator[str]:
    """Draw one operation: its title, a bar for each row, and a scale below."""
    low, decades = scale(cells, unit)
    start, end = top + TITLE, top + TITLE + ROW * len(cells)
    yield f'<text class="title" x="12" y="{top + 14}">{escape(title)}</text>'
    for decade in range(0, decades + 1, math.ceil(decades / 4)):
        x = LABEL + decade * SCALE / decades
        yield f'<path class="grid" d="M{x:.1f} {start}V{end}"/>'
        label = tick(low * 10.0**decade, unit)
        yield f'<text class="tick" x="{x:.1f}" y="{end + 12}" text-anchor="middle">{label}</text>'
    for row, cell in enumerate(cells):
        y = start + row * ROW
        name = escape(named(report, cell))
        squeezed = f' textLength="{LABEL - 14}"' if len(name) > 21 else ""
        fitted = f'{squeezed} lengthAdjust="spacingAndGlyphs"' if squeezed else ""
        yield f'<text x="{LABEL - 6}" y="{y + 12}" text-anchor="end"{fitted}>{name}</text>'
        length = 0.0
        if cell["median"]:
            length = max(2.0, math.log10(cell["median"] / low) * SCALE / decades)
            kind = {OURS: "bar ours", FLOOR: "bar floor"}.get(cell["peer"], "bar")
            yield (
                f'<rect class="{kind}" x="{LABEL}" y="{y + 2}" width="{length:.1f}"'
                f' height="{ROW - 4}"><title>{escape(remark(cell))}</title></rect>'
            )
        at = f'x="{LABEL + length + 5:.1f}" y="{y + 12}"'
        # A remark that finds no room beside its bar begins within it.
        text = told(cell, unit)
        if LABEL + length + 5 + 6.5 * len(text) > WIDTH:
            at = f'class="inside" x="{LABEL + length - 4:.1f}" y="{y + 12}" text-anchor="end"'
        if cell["median"] is None:
            text = f"{text}<title>{escape(remark(cell))}</title>"
        yield f"<text {at}>{text}</text>"


def picture(report: Report, title: str, panels: list[tuple[str, str, list[Summary]]]) -> str:
    """Return the picture of some panels, one below the other."""
    lines: list[str] = []
    top = 8
    for heading, unit, cells in panels:
        lines += panel(report, heading, unit, cells, top)
        top += TITLE + ROW * len(cells) + FOOT + GAP
    begin = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}"'
        f' width="{WIDTH}" height="{top}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        '<rect class="card" width="100%" height="100%" rx="8"/>',
    ]
    return "\n".join([*begin, *lines, "</svg>\n"])


def draw(report: Report) -> dict[str, str]:
    """Return the pictures by the names of their files. They need no package beyond Python."""
    operations = report["operations"]
    found: dict[str, str] = {}
    for workload, title in report["workloads"].items():
        panels = [
            (operation["title"], operation["unit"], chosen(report, key))
            for key, operation in operations.items()
            if operation["workload"] == workload
        ]
        panels = [panel for panel in panels if panel[2]]
        if panels:
            found[f"{workload}.svg"] = picture(report, title, panels)
    headlines = [
        (
            f"{report['workloads'][operations[key]['workload']]}: {operations[key]['title']}",
            operations[key]["unit"],
            headline(report, key),
        )
        for key in HEADLINES
        if key in operations
    ]
    headlines = [panel for panel in headlines if panel[2]]
    if headlines:
        found[OVERVIEW] = picture(report, "An operation of each workload", headlines)
    return found


def write(report: Report, folder: Path) -> None:
    """Write all pictures into the folder."""
    for name, drawn in draw(report).items():
        (folder / name).write_text(drawn, "utf-8")
