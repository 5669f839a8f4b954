"""Value and Array."""
