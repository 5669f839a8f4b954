"""The attacks from the sides in their long form: COURTYARD_TORTURE_SIZE says how long."""

from tests.test_sides import test_callbacks as test_callbacks
from tests.test_sides import test_forks as test_forks
