"""What tests of stopped peers begin with."""

from collections.abc import Iterator

import pytest

from tests.support.stopped import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()
