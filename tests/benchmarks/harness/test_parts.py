"""Parts of one result are measured apart and stand in one file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks.harness.parts import record_part


def test_a_part_replaces_its_own_rows_and_leaves_the_others(tmp_path: Path) -> None:
    ours = {"ours": True, "source": "this repository"}
    record_part("one_night", "readers", [{"model": "readers", **ours, "mixed": 3}], tmp_path)
    both = [{"model": "equal models", **ours}, {"model": "equal models: one is better", **ours}]
    record_part("one_night", "equal models", both, tmp_path)
    record_part("one_night", "readers", [{"model": "readers", **ours, "mixed": 0}], tmp_path)
    result = json.loads((tmp_path / "one_night.json").read_text("utf-8"))
    assert [row["model"] for row in result["rows"]] == ["equal models", "equal models: one is better", "readers"]
    assert result["rows"][-1]["mixed"] == 0
    assert result["command"] == "python -m tests.benchmarks.one_night"


def test_a_row_of_another_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a row of 'readers' must be named so.* Received: \['rollback'\]"):
        record_part("one_night", "readers", [{"model": "rollback"}], tmp_path)
    assert not list(tmp_path.iterdir())
