"""A reader beside a few publishes, backfills and rollbacks, as the benchmark runs hundreds."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.one_night.readers import measured


def test_a_reader_that_goes_by_the_manifest_sees_no_mixed_night(tmp_path: Path) -> None:
    row = measured(tmp_path / "root", num_publishes=20)
    assert (row["publishes"], row["backfills"], row["rollbacks"]) == (12, 6, 2)
    assert row["polls"] > 0
    assert row["mixed"] == 0
