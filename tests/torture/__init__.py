"""Tests that take long; run by ``make torture``."""
