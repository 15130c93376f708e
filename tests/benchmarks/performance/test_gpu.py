"""What the GPU benchmark says where there is none."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks.performance import gpu


def test_without_a_gpu_it_says_so_and_records_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    if gpu.num_gpus():
        pytest.skip("there is a GPU")
    gpu.main(["--beauty", "nowhere"])
    assert capsys.readouterr().out.startswith("skipped: needs a GPU and KERAS_BACKEND=jax; found 0 GPUs")


def test_the_recorded_rows_are_those_of_the_cases_and_name_what_a_cpu_reached() -> None:
    rows = {row["model"]: row for row in json.loads((gpu.RESULTS / "gpu.json").read_text("utf-8"))["rows"]}
    assert list(rows) == [case.label for case in gpu.CASES]
    assert {label: row["ndcg on a CPU"] for label, row in rows.items()} == {
        case.label: gpu.cpu_ndcg(case) for case in gpu.CASES
    }
