"""The peers, installed one by one: what can't be installed here is left out, with its reason."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from benchmarks import peer

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
LIMIT = 120.0  # seconds for one of them


def requirements() -> list[str]:
    """Return what the extra ``peers`` names."""
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    found: list[str] = project["optional-dependencies"]["peers"]
    return found


def install(requirement: str) -> str:
    """Install one distribution; return why that failed, or nothing."""
    command = [sys.executable, "-m", "pip", "install", "--retries", "1", "--timeout", "15"]
    try:
        done = subprocess.run(
            [*command, requirement], capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return f"pip took longer than {LIMIT:g} s"
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return (lines or [f"pip failed with exit code {done.returncode}"])[-1]


def install_all(peers: Iterable[str]) -> dict[str, str]:
    """Install what can be of what these need; return the reasons for the rest, by distribution."""
    reasons, left_out = (
        {},
        {peer.distribution(n) for n in peer.names()} - {peer.distribution(n) for n in peers},
    )
    for requirement in requirements():
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if name in left_out:
            continue
        if reason := install(requirement):
            print(f"{requirement} was not installed: {reason}", file=sys.stderr)
            reasons[name] = reason
    return reasons
