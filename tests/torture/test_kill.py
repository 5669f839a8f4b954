"""The kill tests in their long form: COURTYARD_TORTURE_SIZE says how long."""

from tests.test_kill import (
    test_no_acknowledged_change_is_lost as test_no_acknowledged_change_is_lost,
)
from tests.test_kill import test_what_the_killed_held_is_free as test_what_the_killed_held_is_free
