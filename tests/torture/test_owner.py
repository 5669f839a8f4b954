"""The tests of odd owners in their long form: COURTYARD_TORTURE_SIZE says how long."""

from tests.process.test_owner import (
    test_a_pid_that_is_used_again as test_a_pid_that_is_used_again,
)
from tests.process.test_owner import (
    test_a_stopped_owner_is_never_reaped as test_a_stopped_owner_is_never_reaped,
)
from tests.process.test_owner import test_an_owner_of_a_gibibyte as test_an_owner_of_a_gibibyte
from tests.process.test_owner import (
    test_kills_among_colliding_pids as test_kills_among_colliding_pids,
)
from tests.process.test_owner import (
    test_reapers_that_hold_other_locks as test_reapers_that_hold_other_locks,
)
from tests.process.test_owner import (
    test_the_end_of_an_odd_owner_is_seen as test_the_end_of_an_odd_owner_is_seen,
)
