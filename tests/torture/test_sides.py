"""The attacks from the sides in their long form: COURTYARD_TORTURE_SIZE says how long."""

from tests.test_sides import test_callbacks as test_callbacks
from tests.test_sides import test_crowds as test_crowds
from tests.test_sides import test_exits as test_exits
from tests.test_sides import test_forks as test_forks
from tests.test_sides import test_limits as test_limits
from tests.test_sides import test_privileges as test_privileges
from tests.test_sides import test_stopped_peers as test_stopped_peers
