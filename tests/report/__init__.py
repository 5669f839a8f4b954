"""Statistics and inspection."""
