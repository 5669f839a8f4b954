"""What every object can do."""
