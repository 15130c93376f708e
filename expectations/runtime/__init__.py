"""The lake, days, how programs start, the Spark session, and drops."""
