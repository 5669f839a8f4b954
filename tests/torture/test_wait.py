"""The kills of crowds of tasks in their long form: COURTYARD_TORTURE_SIZE says how long."""

from tests.aio.test_kill import test_crowds_of_tasks_are_killed as test_crowds_of_tasks_are_killed
