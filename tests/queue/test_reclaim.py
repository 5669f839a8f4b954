"""What a killed process leaves is freed beside calls that wait, not before them."""

import os
import queue
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import courtyard as cy
from tests.support.children import fork, kill

LIMIT = 32 << 20
LARGE = bytes(20 << 20)


@pytest.fixture
def space() -> Iterator[cy.Space]:
    """Make a space that a process has filled which was killed then."""
    with cy.Space(size_limit=LIMIT) as space:
        reader, writer = os.pipe()
        child = fork(fill, space, writer)
        os.close(writer)
        assert os.read(reader, 1) == b"!"
        os.close(reader)
        kill(child)
        yield space
        space.check()
        space.destroy()


def fill(space: cy.Space, writer: int) -> None:
    kept: Any = space.dict()
    with suppress(cy.SpaceFull):
        for start in range(0, 1 << 30, 1000):
            kept.update((number, b"ten bytes!") for number in range(start, start + 1000))
    os.write(writer, b"!")
    time.sleep(600)


def test_a_put_with_a_timeout_does_not_free_all_of_it(space: cy.Space) -> None:
    jobs: Any = cy.Queue.named("jobs", space=space)
    refused = 0
    while True:
        try:
            jobs.put(LARGE, timeout=0.001)
            break
        except queue.Full:
            refused += 1
    assert 0 < refused < 1000
    assert jobs.get() == LARGE


def test_what_takes_no_timeout_has_the_room(space: cy.Space) -> None:
    """However long that takes: no SpaceFull while memory of the dead could be freed."""
    kept: Any = cy.Dict.named("kept", space=space)
    kept["large"] = LARGE
    assert kept["large"] == LARGE


def test_who_only_stores_gets_the_memory_of_the_dead() -> None:
    """It has opened the space before, waits for nothing and asks for no statistics."""
    with cy.Space(size_limit=4 << 20) as space:
        kept: Any = cy.Dict.named("kept", space=space)
        for _ in range(5):
            reader, writer = os.pipe()
            child = fork(fill, space, writer)
            os.close(writer)
            assert os.read(reader, 1) == b"!"
            os.close(reader)
            with pytest.raises(cy.SpaceFull):
                kept["large"] = bytes(2 << 20)
            kill(child)
            kept["large"] = bytes(2 << 20)
            del kept["large"]
        space.check()
        space.destroy()
