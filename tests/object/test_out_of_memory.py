"""A process that runs out of memory gets MemoryError: it does not end, and nothing is lost."""

import sys
from pathlib import Path

import pytest

from tests.object.scarce_subject import SUBJECTS
from tests.support.children import run_command

#: With this the C library takes large blocks from the system, and gives them back at once; and it
#: takes no addresses for another heap.
ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": str(1 << 16), "MALLOC_ARENA_MAX": "1"}


@pytest.mark.limit(200)
@pytest.mark.parametrize("subject", SUBJECTS)
def test_each_operation_with_less_and_less_memory(subject: str) -> None:
    command = [sys.executable, "-m", "tests.object.scarce_subject", subject]
    root = Path(__file__).parents[2]
    done = run_command(command, limit=180, env=ENVIRONMENT, cwd=root)
    assert done.stdout.endswith("all done\n")
    assert "MemoryError" in done.stdout
    assert not done.stderr
