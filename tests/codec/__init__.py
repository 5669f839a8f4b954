"""How values become bytes, and bytes values."""
