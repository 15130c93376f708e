"""Which items may stand in a list at all, and what the rules of lists ask of an item.

The jobs that build lists and the checks that look at them ask in Spark (`in_spark`), the session model in Python
(`in_python`); a test holds the two together. They are two files, because the images that train and serve models have
no PySpark.
"""

from __future__ import annotations

BLANKS = r"[ \t\r\n\u00a0]+"
"""What titles may differ in and be equal, as a regular expression of Java and of Python."""
AVAILABILITY = "availability"
"""The rule that an item must be available: its name beside those of the shop file."""
