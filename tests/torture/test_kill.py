"""The kill tests in their long form: COURTYARD_TORTURE_SIZE says how long."""

from tests.process.test_kill import test_kills_at_random as test_kills_at_random
from tests.process.test_kill import test_the_oracle_has_teeth as test_the_oracle_has_teeth
from tests.process.test_kill import (
    test_what_the_killed_held_is_free as test_what_the_killed_held_is_free,
)
