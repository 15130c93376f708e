"""Raw drops: planned, read, validated, and rejected with a reason."""
