"""A report as SVG: a picture for each workload, a panel for each operation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from benchmarks.operation import PINNINGS
from benchmarks.report import FLOOR, OURS, Report, Summary
from benchmarks.table import figure, remark, scale

COLUMNS = 2
COLOURS = {OURS: ("#0b6e4f", "#7fc8a9"), FLOOR: ("#777777", "#c4c4c4")}
OTHERS = ("#3b6ea5", "#a9c4e4")
THICK = 0.38  # of a bar; two of them make a row


def panel(axes: Any, operation: dict[str, str], cells: list[Summary], report: Report) -> None:
    """Draw one operation: a row for each peer, in it a bar for each pinning."""
    names = list(dict.fromkeys((cell["peer"], cell["variant"]) for cell in cells))
    measured = [cell for cell in cells if cell["median"] is not None and cell["median"] > 0]
    axes.set_title(operation["title"], loc="left", fontsize=9, fontweight="bold")
    axes.set_yticks(range(len(names)), [label(report, *name) for name in names], fontsize=7)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if measured:
        edges = [edge for cell in measured for edge in (cell["median"], *cell["quartiles"])]
        low, high = min(edge for edge in edges if edge > 0), max(edges)
        axes.set_xscale("log")
        axes.set_xlim(low / 2, high * 10 ** (0.45 * max(1.0, math.log10(high / low))))
        axes.xaxis.set_major_formatter(lambda number, _: tick(number, operation["unit"]))
        axes.minorticks_off()
        axes.tick_params(axis="x", labelsize=7)
    else:
        axes.set_xticks([])
    for cell in cells:
        row = names.index((cell["peer"], cell["variant"]))
        single = len({c["pinning"] for c in cells}) == 1
        shift = 0 if single else (-THICK / 2, THICK / 2)[PINNINGS.index(cell["pinning"])]
        bar(axes, row + shift, cell, operation["unit"])


def bar(axes: Any, place: float, cell: Summary, unit: str) -> None:
    """Draw a cell: its median, its quartiles and what went wrong."""
    text, end = remark(cell), axes.get_xlim()[0]
    if cell["median"] is not None:
        text = figure(cell["median"], unit) + (f": {text}" if text else "")
    if cell["median"] is not None and cell["median"] > 0:
        low, high = cell["quartiles"]
        end = max(high, cell["median"])
        colour = COLOURS.get(cell["peer"], OTHERS)[PINNINGS.index(cell["pinning"])]
        axes.barh(
            place,
            cell["median"],
            THICK,
            color=colour,
            xerr=[[max(0, cell["median"] - low)], [max(0, high - cell["median"])]],
            error_kw={"elinewidth": 0.8, "ecolor": "#333333"},
        )
    axes.annotate(text, (end, place), (3, 0), textcoords="offset points", va="center", fontsize=6)


def tick(number: float, unit: str) -> str:
    """Return what stands at a tick of the axis."""
    name, size = scale(number, unit)
    return f"{number / size:g} {name}"


def label(report: Report, peer: str, variant: str) -> str:
    """Return what a row is called."""
    title = str(report["peers"][peer]["title"])
    return f"{title} ({variant})" if variant else title


def draw(report: Report, folder: Path) -> None:
    """Write a picture of each workload into the folder."""
    # Text stays text, and the same report gives the same bytes.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "courtyard"}
    for workload, title in report["workloads"].items():
        panels = []
        for key, operation in report["operations"].items():
            cells = [cell for cell in report["cells"] if cell["operation"] == key]
            if operation["workload"] == workload and cells:
                panels.append((operation, cells))
        if not panels:
            continue
        lines = math.ceil(len(panels) / COLUMNS)
        picture = Figure(figsize=(11, 0.7 + 2.3 * lines), layout="constrained")
        picture.suptitle(
            f"{title}: less is better (a logarithmic scale); the lighter bars are not pinned",
            fontsize=10,
        )
        grid = picture.subplots(lines, COLUMNS, squeeze=False).flatten()
        for axes, (operation, cells) in zip(grid, panels, strict=False):
            panel(axes, operation, cells, report)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        picture.savefig(folder / f"{workload}.svg", metadata={"Date": None})
