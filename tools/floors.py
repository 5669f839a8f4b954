"""Draws the floors of the three code bases for the page on design, from tests/layers.toml."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LAYERS = ROOT / "tests" / "layers.toml"
PICTURE = ROOT / "docs" / "explanation" / "floors.svg"

TITLES = {
    "package": "The package, python/courtyard",
    "binding": "The binding, crates/python",
    "core": "The engine, crates/core",
}
NOTES = (
    "Imports go down only. Dashed: one folder for each",
    "kind of object; these do not import each other.",
)
WIDTH, MARGIN, SIDE = 440, 12, 26  # the side is the arrow's
FLOOR, GAP, TITLE = 24, 4, 26
LETTER, PADDING = 6.2, 10  # about how wide a letter is, and what is beside a name

# The colours follow the reader's system. The picture has a background of its own, so that it can
# be read on a page of either kind.
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; }
.card { fill: #f6f8fa; }
.core { fill: #d3e9df; }
.binding { fill: #d6e4f5; }
.package { fill: #f3e3c3; }
.apart { fill: none; stroke: #57606a; stroke-dasharray: 4 3; }
.arrow { fill: none; stroke: #57606a; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .card { fill: #1c2128; }
  .core { fill: #1f4d3c; }
  .binding { fill: #24446a; }
  .package { fill: #574217; }
  .apart, .arrow { stroke: #9da7b1; }
}
"""


def floor(crate: str, names: list[str], rooms: list[str], y: int) -> Iterator[str]:
    """Draw a floor: a box for each of its modules, as wide as its name asks for."""
    x = float(MARGIN + SIDE)
    whole = WIDTH - x - MARGIN - GAP * (len(names) - 1)
    wishes = [len(name) * LETTER + PADDING for name in names]
    for name, wish in zip(names, wishes, strict=True):
        wide = whole * wish / sum(wishes)
        box = f'x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{FLOOR}" rx="3"'
        yield f'<rect class="{crate}" {box}/>'
        if name in rooms:
            yield f'<rect class="apart" {box}/>'
        middle = f'x="{x + wide / 2:.1f}" y="{y + 16}" text-anchor="middle"'
        yield f"<text {middle}>{name}</text>"
        x += wide + GAP


def draw(layers: dict[str, Any]) -> str:
    """Return the picture: the package, the binding, the engine; the ground at the bottom."""
    y, lines = MARGIN, []
    for crate in reversed(layers):
        lines.append(f'<text class="title" x="{MARGIN + SIDE}" y="{y + 14}">{TITLES[crate]}</text>')
        y += TITLE
        for names in reversed(layers[crate]["floors"]):
            lines += floor(crate, names, layers[crate]["rooms"], y)
            y += FLOOR + GAP
        y += MARGIN
    bottom, x = y - MARGIN - GAP, MARGIN + 8
    lines += [
        f'<path class="arrow" d="M{x} {MARGIN + TITLE}V{bottom}m-5 -7l5 7l5 -7"/>',
    ]
    for number, note in enumerate(NOTES):
        lines.append(f'<text x="{MARGIN + SIDE}" y="{y + 6 + 16 * number}">{note}</text>')
    size = f'viewBox="0 0 {WIDTH} {y + 34}" width="{WIDTH}" height="{y + 34}"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        "<title>The floors of the package, of the binding and of the engine</title>",
        f"<style>{STYLE}</style>",
        '<rect class="card" width="100%" height="100%" rx="8"/>',
    ]
    return "\n".join([*head, *lines, "</svg>\n"])


if __name__ == "__main__":
    PICTURE.write_text(draw(tomllib.loads(LAYERS.read_text("utf-8"))), "utf-8")
