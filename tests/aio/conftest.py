"""The kinds of event loops that the tests run in."""

from functools import partial

import pytest

from tests.support import loop


@pytest.fixture(params=loop.KINDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Name each kind of loop in turn."""
    name: str = request.param
    return name


@pytest.fixture
def run(backend: str) -> loop.Run:
    """Give what runs a coroutine function in a loop of each kind."""
    return partial(loop.run, backend)
