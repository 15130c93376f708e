"""Runs every part of the benchmark `one_night`, or those that are named; each is a program of this folder as well.

python -m tests.benchmarks.one_night equal_models
"""

from __future__ import annotations

from tests.benchmarks.harness.run_parts import run_parts

PARTS = ("equal_models", "readers", "rollback", "cases", "random_backfill")

if __name__ == "__main__":
    run_parts("tests.benchmarks.one_night", PARTS, __doc__)
