"""The cancels of tasks in their long form: COURTYARD_TORTURE_SIZE says how long."""

from tests.aio.test_cancel import (
    test_nothing_is_lost_by_cancels as test_nothing_is_lost_by_cancels,
)
