"""Spaces: named, private and in files; their limits, owners and ends."""
