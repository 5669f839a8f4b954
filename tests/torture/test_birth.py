"""The tests of births cut short in their long form: COURTYARD_TORTURE_SIZE says how long."""

from tests.space.test_birth import (
    test_a_parent_killed_while_it_starts_children as test_a_parent_killed_while_it_starts_children,
)
from tests.space.test_birth import (
    test_killed_while_a_space_comes_and_goes as test_killed_while_a_space_comes_and_goes,
)
