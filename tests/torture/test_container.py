"""The tests of containers in their long form: COURTYARD_TORTURE_SIZE says how long."""

from tests.container.test_atomicity import test_many_elements_at_once as test_many_elements_at_once
from tests.container.test_history import (
    test_histories_are_linearizable as test_histories_are_linearizable,
)
from tests.container.test_kill import test_a_soak as test_a_soak
from tests.container.test_kill import (
    test_writers_killed_among_readers as test_writers_killed_among_readers,
)
