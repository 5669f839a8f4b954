"""The chart of the home page: what a program does most, courtyard beside the best-known ways."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from benchmarks.report import OURS, Report
from benchmarks.table import COMMON, figure, pinned

FILE = "common.svg"
OPERATIONS = ("add 1, exactly", "read from a dict", "send an item to another process")
PEERS = (OURS, "multiprocessing", "manager", "redis")
LOW, DECADES = 10.0, 4.5  # the scale: 10 ns to some 300 µs
WIDTH, LABEL, SCALE = 440, 114, 252  # of the picture, of a name, of the scale, in pixels
TITLE, ROW, GAP = 20, 16, 8

# The colours follow the reader's system. The picture has a background of its own, so that it can
# be read on a page of either kind.
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; }
.tick { font-size: 11px; fill: #57606a; }
.card { fill: #f6f8fa; }
.grid { stroke: #d0d7de; }
.bar { fill: #8c959f; }
.ours { fill: #1a7f5a; }
.floor { fill: #c8ced6; }
.inside { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .tick { fill: #9da7b1; }
  .card { fill: #1c2128; }
  .grid { stroke: #3d444d; }
  .bar { fill: #7d8590; }
  .ours { fill: #3fb68b; }
  .floor { fill: #4d5560; }
  .inside { fill: #0d1117; }
}
"""


def length(nanoseconds: float) -> float:
    """Return how long a bar is, in pixels, on a logarithmic scale."""
    decades = math.log10(max(nanoseconds, LOW) / LOW)
    return max(2.0, min(decades, DECADES) * SCALE / DECADES)


def panel(report: Report, title: str, keys: tuple[str, ...], top: int) -> Iterator[str]:
    """Draw one operation: its title, and a bar for each peer that offers it."""
    yield f'<text class="title" x="12" y="{top + 14}">{escape(title.capitalize())}</text>'
    for row, peer in enumerate(PEERS):
        y = top + TITLE + row * ROW
        name = escape(report["peers"][peer]["title"])
        yield f'<text x="{LABEL - 6}" y="{y + 12}" text-anchor="end">{name}</text>'
        found = pinned(report, peer, keys)
        if found is None:
            yield f'<text class="tick" x="{LABEL + 5}" y="{y + 12}">—</text>'
            continue
        kind = "bar ours" if peer == OURS else "bar"
        end = length(found)
        yield (
            f'<rect class="{kind}" x="{LABEL}" y="{y + 2}" width="{end:.1f}" height="{ROW - 4}"/>'
        )
        yield f'<text x="{LABEL + end + 5:.1f}" y="{y + 12}">{escape(figure(found, "ns"))}</text>'


def can_draw(report: Report) -> bool:
    """Say whether the run had all that the chart shows."""
    return all(peer in report["peers"] for peer in PEERS) and all(
        pinned(report, OURS, keys) is not None for keys in map(COMMON.__getitem__, OPERATIONS)
    )


def draw(report: Report) -> str:
    """Return the chart as SVG. It needs no package, so that the tests can draw it anew."""
    height = TITLE + ROW * len(PEERS) + GAP
    bottom = 8 + height * len(OPERATIONS)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 22}"'
        f' width="{WIDTH}" height="{bottom + 22}" role="img">',
        "<title>What an operation takes, in courtyard, multiprocessing, Manager and Redis</title>",
        f"<style>{STYLE}</style>",
        '<rect class="card" width="100%" height="100%" rx="8"/>',
    ]
    for decade in range(math.ceil(DECADES)):
        x = LABEL + decade * SCALE / DECADES
        label = figure(LOW * 10**decade, "ns").replace(".00", "").replace(".0", "")
        lines += [
            f'<path class="grid" d="M{x:.1f} 8V{bottom}"/>',
            f'<text class="tick" x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{label}</text>',
        ]
    for number, title in enumerate(OPERATIONS):
        lines += panel(report, title, COMMON[title], 8 + number * height)
    return "\n".join([*lines, "</svg>\n"])
