"""How Spark reads and writes partitions, the log as of a day, and pictures."""
