"""The kills of who waits and notifies in their long form: COURTYARD_TORTURE_SIZE says how long."""

from tests.sync.test_waiter_kill import test_kills_at_random as test_kills_at_random
