"""The examples run as they stand, and the README shows them."""

from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

from tests.support.children import run_script
from tests.support.page import blocks

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PROGRAMS = [block.text for block in blocks(ROOT / "README.md") if block.role == "program"]

# Runs a file as the main program under a start method; children of spawn find it again as such.
RUN = """
import multiprocessing, runpy, sys
multiprocessing.set_start_method(sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_readme_shows_the_examples() -> None:
    shown = {path.read_text("utf-8") for path in EXAMPLES}
    assert len(shown & set(PROGRAMS)) == 2


@pytest.mark.parametrize("name", ["shared_value", "wait_for"])
def test_example(name: str, ctx: BaseContext) -> None:
    path = ROOT / "examples" / f"{name}.py"
    result = run_script(RUN, ctx.get_start_method(), str(path))
    assert sorted(result.stdout.splitlines()) == [
        "process-1 got the value. exit.",
        "process-2 set the value. exit.",
    ]
    assert result.stderr == ""
