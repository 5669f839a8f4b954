"""``courtyard demo``: a value that two processes share, and a job on real files."""

from __future__ import annotations

import json
import os
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from courtyard.cli.demo.wake import wake
from courtyard.cli.demo.words import Index, alone, by_manager, files_of, together

MANAGER_SECONDS = 60

NEXT = """\
[bold]What to try next[/]
  courtyard demo ~/my/project   the same on files of your own
  courtyard doctor              is this machine ready for it?
  docs/tutorial.md              ten minutes, from the first value to a queue"""


def demo(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Whose files are read; Python's standard library if not given.",
            exists=True,
            file_okay=False,
            readable=True,
            show_default=False,
        ),
    ] = None,
    pattern: Annotated[str, typer.Option(help="Which files.")] = "*.py",
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="How many processes work.", show_default="CPUs")
    ] = max(2, len(os.sched_getaffinity(0))),
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Show what courtyard does: a wake-up, and a job that survives the death of a worker.

    Two processes share a value: one waits, the other sets it. Then several count the words of all
    files in a folder, in shared objects; one is killed half way, and the result is compared with
    that of a single process. Last, the same through a multiprocessing.Manager.

    Example: courtyard demo ~/my/project --pattern '*.md' --workers 4
    """
    console = Console(stderr=as_json, highlight=False)
    folder = folder or Path(sysconfig.get_path("stdlib"))
    paths = files_of(folder, pattern)
    if not paths:
        raise typer.BadParameter(f"no file in {folder} matches {pattern!r}", param_hint="FOLDER")

    console.print("[bold]1. Two processes share a value[/]")
    value, delay = wake()
    console.print(
        f"   One slept in wait_for(b'my_data'); it got {value!r} "
        f"[bold]{delay * 1e6:,.0f} µs[/] after the set.\n"
    )

    console.print(f"[bold]2. {workers} processes count the words of {len(paths):,} files[/]")
    console.print(f"   Files of {folder}.")
    console.print("   Shared: a Queue of paths, a Counter of words, a Value of progress, a Lock.")

    def killed(pid: int, done: int) -> None:
        console.print(
            f"   [red]kill -9 {pid}[/]: a worker, after {done:,} files. Its file goes back in line."
        )

    with bar(console, "one process alone", len(paths)) as told:
        single = alone(paths, told)
    with bar(console, "courtyard", len(paths)) as told:
        ours = together(paths, workers, told, killed)
    same = ours.words == single.words and ours.longest == single.longest
    console.print(
        f"   {len(ours.words):,} different words, {ours.words.total():,} in all; the longest file "
        f"has {ours.longest[0]:,} lines."
    )
    if not same:
        console.print("   [bold red]It is not what a single process counts.[/]")
        raise typer.Exit(1)
    console.print("   [bold green]It is exactly what a single process counts.[/]\n")

    console.print("[bold]3. The same through multiprocessing.Manager[/]")
    with bar(console, "Manager", len(paths)) as told:
        theirs = by_manager(paths, workers, told, MANAGER_SECONDS)
    console.print(f"   {times(ours, theirs, single)}\n")
    console.print(NEXT)
    if as_json:
        typer.echo(json.dumps(figures(delay, workers, single, ours, theirs), indent=2))


def times(ours: Index, theirs: Index, single: Index) -> str:
    """Say how long each took; what was cut short is compared by the files that it did."""
    said = f"courtyard {ours.seconds:.1f} s, one process alone {single.seconds:.1f} s, Manager "
    if theirs.files == ours.files:
        said += f"{theirs.seconds:.1f} s"
    else:
        said += f"{theirs.seconds:.0f} s for {theirs.files:,} of {ours.files:,} files"
    ratio = (theirs.seconds / max(theirs.files, 1)) / (ours.seconds / ours.files)
    return f"{said}: [bold]{ratio:.1f} times as long[/] a file."


def figures(
    delay: float, workers: int, single: Index, ours: Index, theirs: Index
) -> dict[str, Any]:
    """Return what `--json` prints; times in seconds."""
    return {
        "wake_up_seconds": delay,
        "workers": workers,
        "files": ours.files,
        "words": len(ours.words),
        "total": ours.words.total(),
        "alone_seconds": single.seconds,
        "courtyard_seconds": ours.seconds,
        "manager_seconds": theirs.seconds,
        "manager_files": theirs.files,
    }


@contextmanager
def bar(console: Console, title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar; yield what is told how many files are done."""
    columns = (
        TextColumn("   {task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)
