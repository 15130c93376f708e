"""Rules that jobs, models and checks must read alike."""
