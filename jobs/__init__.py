"""Spark programs: from a raw drop to features, from vectors to candidates, from candidates to published tables."""
