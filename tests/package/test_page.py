"""What the pages of the documentation show is so: each block of code is run, or says why not."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.children import run_command, run_script
from tests.support.page import Block, blocks, compare

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PATH = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"


@pytest.fixture
def reader() -> Iterator[dict[str, str]]:
    """Return a reader's environment: a PATH with Python, and a shared memory of their own."""
    with TemporaryDirectory(dir=os.environ["COURTYARD_DIR"]) as memory:
        yield {"PATH": PATH, "COURTYARD_DIR": memory, "PYTHONDONTWRITEBYTECODE": "1"}


def code_of(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.role not in ("shown", "exempt")]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if code_of(page)], ids=lambda page: page.stem
)
def test_page(page: Path, reader: dict[str, str], tmp_path: Path) -> None:
    code = code_of(page)
    if any(block.role == "session" for block in code):
        session = ROOT / "tests" / "support" / "page.py"
        assert run_script(session, str(page), env=reader, cwd=tmp_path).stderr == ""
    commands = [line for block in code if block.role == "commands" for line, _ in block.commands()]
    for block in code:
        place = f"{page.relative_to(ROOT)}:{block.line}"
        if block.role == "file":
            assert block.name is not None
            assert any(block.name in line for line in commands), f"{place}: no command runs it"
            (tmp_path / block.name).write_text(block.text, "utf-8")
        elif block.role == "program":
            program = tmp_path / "program.py"
            program.write_text(block.text, "utf-8")
            result = run_script(program, env=reader, cwd=tmp_path)
            assert result.stderr == "", place
            compare(place, block.shown, result.stdout)
        elif block.role == "commands":
            for line, shown in block.commands():
                # As on a terminal, errors and all.
                shell = ["sh", "-c", f"exec 2>&1\n{line}"]
                result = run_command(shell, env=reader, cwd=tmp_path, check=False)
                compare(f"{place}: {line}", shown, result.stdout)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_are_of_a_kind_that_is_run(page: Path) -> None:
    for block in blocks(page):
        place = f"{page.relative_to(ROOT)}:{block.line}"
        assert block.kind in ("python", "console", "text") or block.kind.startswith("{"), place
        # What would be read by nobody.
        assert not block.shown or block.role in ("session", "program", "shown"), place
        assert not block.shown or ">>> " not in block.text, place


def test_what_a_page_shows_is_compared(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    run = ROOT / "tests" / "support" / "page.py"
    good = "```python\nn = 1\nprint(n)\n```\n\n```text\n1\n```\n\n```python\n>>> n + 1\n2\n```\n"
    page.write_text(good, "utf-8")
    run_script(run, str(page))
    for wrong, line in [("text\n1", 2), (">>> n + 1\n2", 11)]:
        page.write_text(good.replace(wrong, f"{wrong}3"), "utf-8")
        result = run_script(run, str(page), check=False)
        assert result.returncode != 0
        assert f"page.md:{line}: the page shows" in result.stderr
    page.write_text(good.replace("n = 1\n", "n = x\n"), "utf-8")
    assert f'"{page}", line 2' in run_script(run, str(page), check=False).stderr
    page.write_text(good.replace("print(n)", "print(n, file=__import__('sys').stderr)"), "utf-8")
    assert run_script(run, str(page), check=False).returncode != 0


def test_kinds_of_blocks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- not run: it needs a printer -->\n```console\n$ lpr x\n```\n"
        "- an item\n  ```python\n  # name.py\n  import os\n  ```\n"
        '```python\nif __name__ == "__main__":\n    print(1)\n```\n```text\n1\n```\n'
        "```console\n$ a\none\ntwo\n$ b\n```\n",
        "utf-8",
    )
    found = blocks(page)
    assert [block.role for block in found] == ["exempt", "file", "program", "commands"]
    assert found[1].name == "name.py" and found[1].text == "# name.py\nimport os\n"
    assert found[2].shown == "1\n"
    assert list(found[3].commands()) == [("a", "one\ntwo\n"), ("b", "")]
