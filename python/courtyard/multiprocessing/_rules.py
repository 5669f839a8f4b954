"""What makes a class of courtyard one of the drop-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


class MultiprocessingRules:
    """Follows multiprocessing where threading has it otherwise, and may be given a context.

    Beside a class of courtyard it adds nothing to a call: the engine looks for
    ``_multiprocessing`` where it checks arguments.
    """

    _multiprocessing = True

    # As tuples, as multiprocessing has them: subclasses append to what super() returns.

    def __getstate__(self) -> tuple[Any, ...]:
        """Return what a subclass adds, in a tuple."""
        return (super().__getstate__(),)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take what ``__getstate__`` returned."""
        super().__setstate__(*state)  # type: ignore[misc]

    if not TYPE_CHECKING:  # checkers see courtyard's own

        def __new__(cls, *args: Any, ctx: Any = None, **kwargs: Any) -> Any:
            """Make the object; every context makes the same."""
            return super().__new__(cls, *args, **kwargs)
