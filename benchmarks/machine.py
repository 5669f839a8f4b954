"""What it was measured on: the machine, the system and the versions."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

# Of what pyperf finds out. The names of the host, of its folders and its kernel are left out.
KEPT = (
    "aslr",
    "cpu_config",
    "cpu_freq",
    "cpu_model_name",
    "date",
    "load_avg_1min",
    "python_compiler",
    "python_implementation",
)


def commit() -> str:
    """Return the commit that is checked out, and whether anything else was measured."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        name = subprocess.run(
            [*git, "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return name.stdout.strip()


def hypervisor() -> bool:
    """Say whether the CPU is a guest's."""
    try:
        return "hypervisor" in Path("/proc/cpuinfo").read_text("utf-8").split()
    except OSError:
        return False


def describe() -> dict[str, Any]:
    """Return the facts by name."""
    facts: dict[str, Any] = {
        "architecture": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "virtual": hypervisor(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "linux": platform.release().partition("-")[0],
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "commit": commit(),
    }
    try:
        import pyperf
    except ImportError:  # without the extra `bench`
        return facts
    found = pyperf.Run([1.0], collect_metadata=True).get_metadata()
    facts |= {name: found[name] for name in KEPT if name in found}
    return facts
