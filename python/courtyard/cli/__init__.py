"""The ``courtyard`` command: what is shared here, who uses it, and a demonstration.

It needs the extra ``cli``: ``pip install 'courtyard[cli]'``.
"""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run the command line; exit with 0, 1 (refused or failed), 2 (usage) or 130 (Ctrl-C)."""
    try:
        from courtyard.cli.app import app
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("typer", "rich"):
            raise
        sys.exit(f"courtyard: the command needs {missing}: pip install 'courtyard[cli]'")
    try:
        app(prog_name="courtyard")
    finally:
        # The command is done: where the interpreter ends, Ctrl-C would only write a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
