"""The Great Expectations suites, one file for each stage or table."""
