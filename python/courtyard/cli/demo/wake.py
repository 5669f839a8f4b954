"""One process waits for a value that another sets."""

from __future__ import annotations

import time

import courtyard as cy
from courtyard.cli.demo.crew import Crew, own_space


def wait(shared: cy.Value[bytes], ready: cy.Event, woken_at: cy.Value[int]) -> None:
    """Sleep until the value is there, and note when that was."""
    ready.set()
    shared.wait_for(b"my_data")
    woken_at.value = time.monotonic_ns()


def wake() -> tuple[bytes, float]:
    """Set a value that another process waits for; return what it was, and its delay in seconds."""
    with own_space() as space:
        shared, ready, woken_at = space.Value(object, b""), space.Event(), space.Value(int, 0)
        with Crew(wait, shared, ready, woken_at) as crew:
            crew.hire()
            while not ready.wait(0.1):
                crew.is_working()
            time.sleep(0.2)  # it has long been asleep by then
            set_at = time.monotonic_ns()
            shared.value = b"my_data"
            while not woken_at.wait_for(lambda at: at > 0, 0.1):
                crew.is_working()
        return shared.value, (woken_at.value - set_at) / 1e9
