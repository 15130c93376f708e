"""Exports that are odd in one way each come out right, or are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.worlds.odd_shops.sample_shops import folder_of_samples, is_right, outcome, right_values

RIGHT = right_values()


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_an_odd_export_comes_out_right(spark: SparkSession, real_data: Path, tmp_path: Path, name: str) -> None:
    sample = folder_of_samples(real_data) / name
    if not sample.is_dir():
        pytest.skip(f"no sample shop at {sample}")
    found = outcome(spark, sample, tmp_path, RIGHT[name].get("say", {}))
    assert is_right(found, RIGHT[name]), found
