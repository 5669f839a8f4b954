"""The attacks from the sides in their long form: COURTYARD_TORTURE_SIZE says how long."""

import os

from tests.sides.test_sides import test_callbacks as test_callbacks
from tests.sides.test_sides import test_crowds as test_crowds
from tests.sides.test_sides import test_exits as test_exits
from tests.sides.test_sides import test_forks as test_forks
from tests.sides.test_sides import test_limits as test_limits
from tests.sides.test_sides import test_privileges as test_privileges
from tests.sides.test_sides import test_stopped_peers as test_stopped_peers

if os.geteuid() == 0:  # else nobody can become the other user
    from tests.space.test_another_user import shared as shared
    from tests.space.test_another_user import (
        test_a_gate_that_is_held_for_ever as test_a_gate_that_is_held_for_ever,
    )
    from tests.space.test_another_user import test_a_lease_on_the_file as test_a_lease_on_the_file
    from tests.space.test_another_user import test_files_beside_ours as test_files_beside_ours
    from tests.space.test_another_user import test_folders_of_others as test_folders_of_others
    from tests.space.test_another_user import test_hard_links as test_hard_links
