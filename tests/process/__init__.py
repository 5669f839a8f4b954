"""Forks, exits, signals, kills, stopped peers."""
