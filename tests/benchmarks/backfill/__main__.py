"""Runs every part of the benchmark `backfill`, or those that are named; each is a program of this folder as well.

python -m tests.benchmarks.backfill scheduled_night
"""

from __future__ import annotations

from tests.benchmarks.harness.run_parts import run_parts

PARTS = ("scheduled_night",)
# `range_of_days` takes hours and keeps what it has measured, in a folder that it must be given: it is run by itself.

if __name__ == "__main__":
    run_parts("tests.benchmarks.backfill", PARTS, __doc__)
