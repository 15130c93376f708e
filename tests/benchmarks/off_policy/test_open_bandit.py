"""How a policy is read from its log, and what a row of the results says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.off_policy.report import Estimate
from tests.benchmarks.off_policy.open_bandit import FOLDER, judged, row
from tests.benchmarks.off_policy.open_bandit_logs import NUM_ITEMS, Log, agreement, read_log, shown_shares


def log_of(item: list[int], propensity: list[float], seconds: list[float], visitor: list[int]) -> Log:
    """Rows at the first position, none of which was clicked."""
    nothing = np.zeros(len(item))
    return Log(np.array(seconds), np.array(item), nothing.astype(int), nothing, np.array(propensity), np.array(visitor))


def test_a_log_is_read_in_time_order_with_positions_from_0(tmp_path: Path) -> None:
    path = tmp_path / "men.csv"
    features = ",".join(f"user_feature_{n}" for n in range(4))
    path.write_text(
        f"timestamp,item_id,position,click,propensity_score,{features}\n"
        "2019-11-24 00:00:02+00:00,7,3,1,0.5,a,b,c,d\n"
        "2019-11-24 00:00:00.500000+00:00,9,1,0,0.25,a,b,c,e\n"
    )
    log = read_log(path)
    assert (log.seconds.tolist(), log.item.tolist(), log.position.tolist()) == ([0.0, 1.5], [9, 7], [0, 2])
    assert (log.click.tolist(), log.propensity.tolist()) == ([0.0, 1.0], [0.25, 0.5])
    assert log.visitor[0] != log.visitor[1]


def test_a_policy_is_how_often_it_showed_each_item_at_each_position() -> None:
    log = Log(*(np.array(column) for column in ([0, 1, 2, 3], [5, 5, 7, 5], [0, 0, 0, 1], [0] * 4, [0.1] * 4, [0] * 4)))
    with np.errstate(invalid="ignore"):  # nothing stood at the last position
        shares = shown_shares(log)
    assert shares.shape == (NUM_ITEMS, 3)
    assert (shares[5, 0], shares[7, 0], shares[5, 1]) == (pytest.approx(2 / 3), pytest.approx(1 / 3), 1.0)


def test_neighbours_of_one_item_are_compared_by_whether_visitors_differ() -> None:
    # The last is too late to be compared, and 7 is another item.
    log = log_of([5, 5, 5, 5, 7, 5], [0.2, 0.204, 0.3, 0.3, 0.9, 0.4], [0, 10, 50, 54, 55, 400], [0, 1, 2, 2, 3, 4])
    assert (agreement(log, alike=False), agreement(log, alike=True)) == ((0.5, 2), (1.0, 1))


def test_a_row_says_whether_its_interval_holds_what_was_measured() -> None:
    measured = Estimate("on_policy", 0.005, 0.004, 0.006)
    held, missed = Estimate("ips", 0.007, 0.005, 0.009), Estimate("ips", 0.007, 0.0051, 0.009)
    assert row("x", True, "y", held, measured, {})["holds the measured"] == "yes"
    assert row("x", True, "y", missed, measured, {})["holds the measured"] == "no"
    assert row("x", True, "y", held, None, {"clicks": 3}) == {
        **{"model": "x", "ours": True, "source": "y", "clicks in 1,000": 7.0},
        **{"95 % low": 5.0, "95 % high": 9.0, "clicks": 3},
    }


def test_the_logs_judge_each_other(real_data: Path) -> None:
    logs = {name: read_log(real_data / FOLDER / name / "men.csv.gz") for name in ("random", "bts")}
    bts, _ = judged(logs["random"], shown_shares(logs["bts"]))
    uniform, _ = judged(logs["bts"], np.full((NUM_ITEMS, 3), 1 / NUM_ITEMS))
    for report, measured in ((bts, logs["bts"].click.mean()), (uniform, logs["random"].click.mean())):
        for name in ("ips", "snips", "dr"):
            assert report.estimate(name).low < measured < report.estimate(name).high
    assert (len(logs["random"]), int(logs["random"].click.sum()), int(logs["bts"].click.sum())) == (10_000, 46, 69)
