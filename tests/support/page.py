"""The code in a page of the documentation, and how it is run.

A page's ``python`` blocks are its session: run in order, in one namespace, those with ``>>>`` as
doctests. Three kinds of blocks stand apart:

- one that begins with ``# name.py`` is a file of that name, for the page's commands;
- one with ``if __name__ == "__main__":`` and no name is a program of its own;
- a ``console`` block is commands, ``$ command``, each with what it prints.

What a session block or a program prints is in the ``text`` block right after it. ``<!-- not run:
REASON -->`` before a block exempts it.

``python tests/support/page.py PAGE`` runs the session of a page.
"""

import contextlib
import doctest
import faulthandler
import io
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(
    r"""
    (?: ^\ *<!--\ not\ run:\ (?P<exemption>[^>]+?)\ --> \n+ )?
    ^(?P<indent>\ *)```(?P<kind>[^\n]*)\n (?P<text>.*?) ^(?P=indent)```$
    (?: \n* ^(?P=indent)```text\n (?P<shown>.*?) ^(?P=indent)```$ )?
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
NAME = re.compile(r"# ([\w-]+\.py)$")
COMMAND = re.compile(r"^\$ ", re.MULTILINE)
MAIN = 'if __name__ == "__main__":'
# Spaces and line breaks are laid out for the reader; `...` stands for anything.
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block: what it is, where it stands, and what the page says that it prints."""

    kind: str
    text: str
    line: int  # of the page, from 1, where the text begins
    shown: str
    exemption: str | None

    @property
    def name(self) -> str | None:
        """The file that it is, if it is one."""
        match = NAME.match(self.text.split("\n", 1)[0])
        return match[1] if match else None

    @property
    def role(self) -> str:
        """How it is run."""
        if self.exemption:
            return "exempt"
        if self.kind == "console":
            return "commands"
        if self.kind != "python":
            return "shown"
        if self.name:
            return "file"
        return "program" if MAIN in self.text else "session"

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield each command with what the page says that it prints."""
        before, *commands = COMMAND.split(self.text)
        assert not before.strip(), f"line {self.line}: a console block begins with '$ '"
        for command in commands:
            line, _, shown = command.partition("\n")
            yield line, shown


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page."""
    page_text = page.read_text("utf-8")
    found = []
    for match in BLOCK.finditer(page_text):
        text, indent = match["text"], match["indent"]
        found.append(
            Block(
                kind=match["kind"].strip(),
                text=re.sub(f"^{indent}", "", text, flags=re.MULTILINE),
                line=page_text.count("\n", 0, match.start("text")) + 1,
                shown=re.sub(f"^{indent}", "", match["shown"] or "", flags=re.MULTILINE),
                exemption=match["exemption"],
            )
        )
    return found


def compare(place: str, shown: str, printed: str) -> None:
    """Fail if something else was printed than the page says."""
    if not doctest.OutputChecker().check_output(shown, printed, FLAGS):
        raise AssertionError(f"{place}: the page shows\n{shown}\nbut it prints\n{printed}")


def run_session(page: Path) -> None:
    """Run the session of a page; raise AssertionError where it does not what the page says."""
    main = types.ModuleType("__main__")  # by which pickle finds what the page defines
    sys.modules["__main__"] = main
    runner = doctest.DebugRunner(optionflags=FLAGS)
    for block in blocks(page):
        place = f"{page}:{block.line}"
        if block.role != "session":
            continue
        if ">>> " in block.text:
            parser = doctest.DocTestParser()
            test = parser.get_doctest(block.text, {}, page.name, str(page), block.line - 1)
            test.globs = main.__dict__
            try:
                runner.run(test, clear_globs=False)
            except doctest.DocTestFailure as failure:
                line = block.line + failure.example.lineno
                compare(f"{page}:{line}", failure.example.want, failure.got)
            except doctest.UnexpectedException as failure:
                raise failure.exc_info[1] from None
        else:
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(code, main.__dict__)
            compare(place, block.shown, output.getvalue())


if __name__ == "__main__":
    faulthandler.dump_traceback_later(25, exit=True)  # where it hangs, before it is killed
    run_session(Path(sys.argv[1]))
