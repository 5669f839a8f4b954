"""What this process does at forks, at start and at exit."""

from __future__ import annotations

import atexit
import os

from courtyard import _native

# A child gets a place of its own before it exists, so that `p.start(); del v` is safe.
os.register_at_fork(
    before=_native.before_fork,
    after_in_parent=_native.after_fork_in_parent,
    after_in_child=_native.after_fork_in_child,
)
# The last process of a private space removes it, after all other functions that run at exit; those
# that were killed are cleaned up after by whichever starts next.
if not _native.leave_at_exit():  # too many libraries have functions there: earlier then
    atexit.register(_native.leave)
# Daemon threads come out of calls that run code of theirs before the interpreter ends.
atexit.register(_native.end)
_native.clean()
