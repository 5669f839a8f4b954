"""Writes THIRD-PARTY-NOTICES.md: the licences of the Rust crates that are linked into the wheel.

With ``--check``, writes nothing and fails when the file is out of date.
"""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
NOTICES = ROOT / "THIRD-PARTY-NOTICES.md"
ROOT_CRATE = "courtyard-python"
# One platform for all, so that the file does not depend on who writes it.
PLATFORM = "x86_64-unknown-linux-gnu"
LICENCE_NAMES = ("licen", "copying", "copyright", "notice", "unlicense")

HEADER = """\
# Third-party notices

Courtyard's wheels contain compiled code of the Rust crates below and of the Rust standard library.
Where a crate offers a choice of licences that includes MIT, it is used under MIT.

This file is written by `make notices`.

"""
STANDARD_LIBRARY = """\
| the Rust standard library | | MIT OR Apache-2.0 | Copyright (c) The Rust Project Contributors; \
the text is that of LICENSE-MIT |
"""


def metadata() -> dict[str, Any]:
    command = ["cargo", "metadata", "-q", "--format-version=1", "--filter-platform", PLATFORM]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def linked(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the packages whose code is in the wheel: no build or test tools, no macros."""
    packages = {package["id"]: package for package in data["packages"]}
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    todo = [key for key, package in packages.items() if package["name"] == ROOT_CRATE]
    found = set(todo)
    while todo:
        for dependency in nodes[todo.pop()]["deps"]:
            key = dependency["pkg"]
            normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            targets = packages[key]["targets"]
            macro = any("proc-macro" in target["kind"] for target in targets)
            if normal and not macro and key not in found:
                found.add(key)
                todo.append(key)
    foreign = [packages[key] for key in found if packages[key]["source"]]
    return sorted(foreign, key=lambda package: (package["name"], package["version"]))


def licence_files(package: dict[str, Any]) -> list[Path]:
    folder = Path(package["manifest_path"]).parent
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name.lower().startswith(LICENCE_NAMES)
    ]
    if "MIT" in (package["license"] or "").replace("/", " OR ").split(" OR "):
        # The choice is MIT: the other licences' texts are of no use to the reader.
        files = [path for path in files if "apache" not in path.name.lower()] or files
    if not files:
        sys.exit(f"notices: {package['name']} comes without the text of its licence")
    return files


def notices() -> str:
    packages = linked(metadata())
    texts: dict[str, list[str]] = defaultdict(list)
    lines = [HEADER, "| crate | version | licence | where |\n", "| --- | --- | --- | --- |\n"]
    for package in packages:
        name, version = package["name"], package["version"]
        where = package["repository"] or package["homepage"] or ""
        lines.append(f"| {name} | {version} | {package['license']} | {where} |\n")
        for path in licence_files(package):
            text = path.read_text("utf-8").replace("\r\n", "\n").strip("\n")
            texts[text].append(f"{name} ({path.name})")
    lines.append(STANDARD_LIBRARY)
    for text, users in texts.items():
        body = "\n".join(line.rstrip() for line in text.splitlines())
        lines.append(f"\n## {', '.join(users)}\n\n```text\n{body}\n```\n")
    return "".join(lines)


if __name__ == "__main__":
    text = notices()
    if "--check" not in sys.argv[1:]:
        NOTICES.write_text(text, "utf-8")
    elif not NOTICES.exists() or NOTICES.read_text("utf-8") != text:
        sys.exit("notices: THIRD-PARTY-NOTICES.md is out of date: run `make notices`")
