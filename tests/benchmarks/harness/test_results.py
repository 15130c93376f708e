"""The committed results keep the one format that docs/results.md is made from."""

from __future__ import annotations

import json
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.benchmarks.harness.report import RESULTS, Benchmark
from tests.benchmarks.harness.results_tables import RESULTS_PAGE, TABLES, with_results

FILES = sorted(RESULTS.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_committed_result_has_every_key_and_says_what_is_ours(path: Path) -> None:
    result = json.loads(path.read_text(encoding="utf-8"))
    assert list(result) == [field.name for field in fields(Benchmark)]
    assert result["name"] == path.stem
    program = result["command"].split()[2]
    assert program.startswith("tests.benchmarks.") and program.endswith(f".{path.stem}")
    assert find_spec(program) is not None
    assert any(row["ours"] for row in result["rows"])
    assert all(row["source"] for row in result["rows"])


def test_the_table_marks_ours_and_leaves_open_what_is_not_known() -> None:
    rows = [
        {"model": "deep_cf", "ours": True, "source": "this repository", "ndcg@10": 0.25, "seconds": 12.34},
        {"model": "EASE", "ours": False, "source": "measured once", "ndcg@10": 0.2},
    ]
    text = Benchmark("shop", "python -m x", "2024-03-10", "2 cores", "data", "protocol", rows).text()
    ours, peers = text.splitlines()[-2:]
    assert ours.split() == ["*", "deep_cf", "0.2500", "12.3", "this", "repository"]
    assert peers.split() == ["EASE", "0.2000", "–", "measured", "once"]


def test_the_page_shows_the_committed_results() -> None:
    text = RESULTS_PAGE.read_text("utf-8")
    assert with_results(text, RESULTS) == text


def test_the_page_shows_every_committed_result_once() -> None:
    shown = [found[2] for found in TABLES.finditer(RESULTS_PAGE.read_text("utf-8"))]
    assert sorted(shown) == [path.stem for path in FILES]
