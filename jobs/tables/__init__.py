"""The published tables, one file each, and what only they need."""
