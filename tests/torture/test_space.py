"""Spaces and names beside kills, in the long form: COURTYARD_TORTURE_SIZE says how long."""

from tests.space.test_kill import test_spaces_beside_kills as test_spaces_beside_kills
