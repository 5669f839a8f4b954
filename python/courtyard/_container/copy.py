"""Copies of containers: plain data of their own.

``copy.copy(x)`` is ``x.copy()``, a builtin. ``copy.deepcopy(x)`` is that builtin with copies of
what is in it, where containers become builtins too.
"""

from __future__ import annotations

from courtyard._object.function import version

TYPE_CHECKING = False  # typing is for checkers: importing it costs more than all of this
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_MAX_ATTEMPTS = 30
# Under this key a memo of deepcopy() has the containers that were read, and their versions before.
_READ = "courtyard: containers read"


def deep(
    obj: Any, memo: dict[Any, Any], made: Any, fill: Callable[[Any, Any], object], read: Any
) -> Any:
    """Return ``made``, filled with deep copies of what ``read()`` returns.

    The memo has it before it is filled, by which object it is, whatever the handle: so an object
    that contains itself ends, and one that is in two places is copied once.
    """
    from copy import deepcopy

    identity = obj._identity()
    if identity not in memo:
        memo[identity] = made
        memo.setdefault(_READ, []).append((obj, version(obj)))
        fill(made, deepcopy(read(), memo))
    return memo[identity]


def at_one_moment(root: Any) -> Any:
    """Return a deep copy of a container and of all in it, as they were at one moment.

    All are read, then asked for their versions again: if none has changed, there was a moment at
    which all of them were so. Otherwise they are read again; after 30 times with the locks of all
    that were found, in one order, so that two who do so never wait for each other.

    Raises RuntimeError if there is no such moment, as what copies the values changes containers.
    """
    from contextlib import ExitStack
    from copy import deepcopy

    known: dict[Any, Any] = {}
    for attempt in range(2 * _MAX_ATTEMPTS):
        with ExitStack() as locks:
            for identity in sorted(known) if attempt >= _MAX_ATTEMPTS else ():
                obj = known[identity]
                locks.enter_context(type(obj).get_lock(obj))
            memo: dict[Any, Any] = {}
            found = deepcopy(root, memo)
            if all(version(obj) == before for obj, before in memo[_READ]):
                return found
        known = {obj._identity(): obj for obj, _ in memo[_READ]}
    raise RuntimeError(
        "a container changed each time while it was copied: what copies the values in it "
        "(__deepcopy__, __reduce__) must not change it"
    )
