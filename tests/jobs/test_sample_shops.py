"""Exports that are odd in one way each come out right, or are refused by name.

Every third of them: each is an ingestion of its own, and all take five minutes. `NIGHTJAR_SAMPLES=all` runs all, as
does `python -m tests.benchmarks.own_shops cases`, whose row stands in docs/results.md.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.worlds.odd_shops.sample_shops import folder_of_samples, is_right, outcome, right_values

RIGHT = right_values()
NAMES = sorted(RIGHT) if os.environ.get("NIGHTJAR_SAMPLES") == "all" else sorted(RIGHT)[::3]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_odd_export_comes_out_right(spark: SparkSession, real_data: Path, tmp_path: Path, name: str) -> None:
    sample = folder_of_samples(real_data) / name
    if not sample.is_dir():
        pytest.skip(f"no sample shop at {sample}")
    found = outcome(spark, sample, tmp_path, RIGHT[name].get("say", {}))
    assert is_right(found, RIGHT[name]), found
