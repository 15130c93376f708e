"""The feature tables, one file each."""
