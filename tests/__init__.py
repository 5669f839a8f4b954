"""Courtyard's tests."""
