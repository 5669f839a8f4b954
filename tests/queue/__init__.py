"""Queues and leases."""
