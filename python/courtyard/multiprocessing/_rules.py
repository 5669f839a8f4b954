"""What makes a class of courtyard one of the drop-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


class MultiprocessingRules:
    """Follows multiprocessing where threading has it otherwise, and may be given a context.

    Beside a class of courtyard it adds nothing to a call: the engine looks for
    ``_multiprocessing`` where it checks arguments.
    """

    _multiprocessing = True

    if not TYPE_CHECKING:  # checkers see courtyard's own

        def __new__(cls, *args: Any, ctx: Any = None, **kwargs: Any) -> Any:
            """Make the object; every context makes the same."""
            return super().__new__(cls, *args, **kwargs)
