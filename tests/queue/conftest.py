"""What tests of queues begin and end with."""

from typing import Any

import pytest

from tests.support.lease import broken


@pytest.fixture(autouse=True)
def _whole() -> Any:
    broken.clear()
    yield
    broken.clear()
