"""What this process does at forks, at start and at exit."""

from __future__ import annotations

import atexit
import os
import sys
from importlib import import_module

from courtyard import _native

_arranged = False  # whether children of multiprocessing's say when they end


def _before_fork() -> None:
    # Another thread may be importing it: a child would wait for that thread, which it does not
    # have.
    if "courtyard.aio" in sys.modules:
        import_module("courtyard.aio")
    _arrange()
    _native.before_fork()


def _arrange() -> None:
    """Have children of multiprocessing's say when they end: they run no functions at exit."""
    global _arranged
    util = sys.modules.get("multiprocessing.util")
    if util is None or _arranged:
        return

    def say_the_end(_: object = None) -> None:
        util.Finalize(None, _native.end_by_itself, exitpriority=-1000)

    util.register_after_fork(util, say_the_end)
    if sys.modules["multiprocessing.process"].parent_process() is not None:
        say_the_end()
    _arranged = True


# A child gets a place of its own before it exists, so that `p.start(); del v` is safe.
os.register_at_fork(
    before=_before_fork,
    after_in_parent=_native.after_fork_in_parent,
    after_in_child=_native.after_fork_in_child,
)
_arrange()  # this may be such a child
# This process gives its places back, and the last process of a private space removes it, after all
# other functions that run at exit. After those that were killed, whichever starts next cleans up.
if not _native.leave_at_exit():  # too many libraries have functions there: earlier then
    atexit.register(_native.leave)
# Daemon threads come out of calls that run code of theirs before the interpreter ends.
atexit.register(_native.end)
_native.clean()
