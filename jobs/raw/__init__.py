"""Raw drops: planned, read, judged, and rejected with a reason."""
