"""The program that judges a policy from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from expectations.tables import NightError
from models.evaluate_policy import main
from tests.worlds.small_models_world import LOGGED, TARGET, UNIFORM, drawn_log

NUM_ROWS = 600


def columns(policy: np.ndarray = LOGGED, wrong_by: float = 1.0) -> dict[str, np.ndarray]:
    """A log as a shop would keep it: with names of its users, and a column of its own."""
    log = drawn_log(policy, NUM_ROWS, np.random.default_rng(4))
    return {
        "shelf": log.action,
        "reward": log.reward.astype(np.int64),
        "propensity": log.of(policy) * wrong_by,
        "target_probability": log.of(TARGET),
        "unit": np.array([f"C{row // 3}" for row in range(NUM_ROWS)]),
    }


def printed_lines(path: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> list[str]:
    """What the program prints."""
    main(["--log", str(path), *flags])
    return capsys.readouterr().out.splitlines()


def test_a_parquet_and_a_csv_file_tell_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = pa.table(columns())
    pq.write_table(table, tmp_path / "log.parquet")
    pa.csv.write_csv(table, tmp_path / "log.csv")
    lines = printed_lines(tmp_path / "log.parquet", capsys)
    assert lines == printed_lines(tmp_path / "log.csv", capsys)
    assert lines[0] == "600 rows of 200 units"
    by_name = {line.split()[0]: line.split()[1:] for line in lines if line}
    on_policy, ips = ([float(figure) for figure in by_name[name]] for name in ("on_policy", "ips"))
    assert on_policy[0] == pytest.approx(table["reward"].to_numpy().mean(), abs=1e-3)
    assert ips[1] < ips[0] < ips[2]
    assert ips[3] == pytest.approx(ips[0] - on_policy[0], abs=1e-3)
    assert "dr" not in by_name
    assert lines[-1].endswith("around 1, as it should be")


def test_predictions_bring_the_estimators_that_need_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = {"predicted": np.full(NUM_ROWS, 0.3), "predicted_target": np.full(NUM_ROWS, 0.25)}
    pq.write_table(pa.table({**columns(), **model}), tmp_path / "log.parquet")
    by_name = {line.split()[0]: line.split()[1:] for line in printed_lines(tmp_path / "log.parquet", capsys) if line}
    assert by_name["dm"][:3] == ["0.25", "0.25", "0.25"]
    assert {"dr", "switch_dr"} < set(by_name)


@pytest.mark.parametrize(("wrong_by", "message"), [(0.5, "above 1: the propensities are too low"), (1.4, "below 1")])
def test_wrong_propensities_are_named(
    wrong_by: float, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(pa.table(columns(wrong_by=wrong_by)), tmp_path / "log.parquet")
    assert message in printed_lines(tmp_path / "log.parquet", capsys)[-1]


def test_what_cannot_be_judged_is_refused_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"reward": [1.0], "chance": [0.5]}), path)
    with pytest.raises(NightError, match=r"log.parquet: missing columns \['propensity', 'target_probability'\]"):
        main(["--log", str(path)])
    pq.write_table(
        pa.table({"reward": [1.0], "propensity": pa.array([None], pa.float64()), "target_probability": [1]}), path
    )
    with pytest.raises(NightError, match=r"log.parquet: `propensity` must be above 0 .* Received: nan"):
        main(["--log", str(path)])
    with pytest.raises(NightError, match=r"ends in \.parquet or \.csv"):
        main(["--log", str(tmp_path / "log.pkl")])


def test_a_uniform_log_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pa.table(columns(UNIFORM)), tmp_path / "log.parquet")
    assert any(line.startswith("replay") for line in printed_lines(tmp_path / "log.parquet", capsys))
