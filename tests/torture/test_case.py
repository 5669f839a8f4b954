"""Users' cases in their long form: COURTYARD_TORTURE_SIZE says how long."""

from tests.cases.test_gunicorn import (
    test_objects_found_by_name as test_objects_found_by_name,
)
from tests.cases.test_gunicorn import (
    test_objects_made_before_the_fork as test_objects_made_before_the_fork,
)
from tests.cases.test_recycling import test_many_that_come_and_go as test_many_that_come_and_go
