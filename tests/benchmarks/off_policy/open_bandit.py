"""Does a log tell what another policy earns? Two logs of one shop, each asked for the policy of the other.

ZOZOTOWN showed fashion by a uniform-random policy and by Bernoulli Thompson sampling (BTS) in the same week, and wrote
down propensities: what is estimated from one log was measured in the other. The peer runs in an environment of its own:

    python3.10 -m venv peer && peer/bin/pip install obp==0.5.7 "matplotlib<3.9"
    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.off_policy.open_bandit --peer peer/bin/python
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from expectations.runtime.code_version import REPOSITORY
from models.off_policy.estimators import evaluate
from models.off_policy.report import Estimate, OffPolicyReport
from models.off_policy.reward_model import RewardModelConfig, cross_fitted_rewards
from tests.benchmarks.harness.report import Benchmark, hardware
from tests.benchmarks.harness.variants import OURS, data_folder, data_parser
from tests.benchmarks.off_policy.open_bandit_logs import (
    NUM_ITEMS,
    NUM_POSITIONS,
    Log,
    agreement,
    read_log,
    shown_shares,
)
from tests.benchmarks.off_policy.open_bandit_peer import CONFIDENCE, NUM_RESAMPLES, SEED, SWITCH_AT

NAME, FOLDER = "open_bandit", "open_bandit_men"
MODEL = RewardModelConfig(num_folds=5, penalty=300.0, seed=SEED)
"""An item has about 300 rows: half of its answer is its own, half that of all."""
PEER = Path(__file__).with_name("open_bandit_peer.py")
TOLD = {"random": "uniform", "bts": "BTS"}


def main(argv: Sequence[str] | None = None) -> None:
    """Judges both policies on both logs; exits 0 without the data, saying so."""
    parser = data_parser(__doc__)
    parser.add_argument("--peer", help="Python of an environment with the peer; without it, nothing is recorded")
    arguments = parser.parse_args(argv)
    folder = data_folder(arguments, FOLDER)
    if folder is None:
        return
    logs = {name: read_log(folder / name / "men.csv.gz") for name in TOLD}
    policies = {"random": np.full((NUM_ITEMS, NUM_POSITIONS), 1 / NUM_ITEMS), "bts": shown_shares(logs["bts"])}
    rows = []
    for source, target in (("random", "bts"), ("bts", "random")):
        rows += direction_rows(logs[source], policies[target], logs[target], (source, target), arguments.peer)
    benchmark = Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME} --peer PYTHON",
        date=date.today().isoformat(),
        hardware=hardware(),
        data="Open Bandit Dataset (Saito et al. 2020, CC BY 4.0), men's campaign, small set: two logs of 10,000 rows",
        protocol=protocol(logs["bts"]),
        rows=rows,
    )
    print(benchmark.text())
    if arguments.peer:
        print(f"written: {benchmark.write()}")


def direction_rows(
    log: Log, target: np.ndarray, other: Log, names: tuple[str, str], peer: str | None
) -> list[dict[str, Any]]:
    """One row for what the target earned itself, one for each of our estimators, and the peer's beside them."""
    source, told = (TOLD[name] for name in names)
    report, rewards = judged(log, target)
    measured = evaluate(
        other.click, other.propensity, other.propensity, seed=SEED, num_resamples=NUM_RESAMPLES
    ).on_policy
    from_peer = peer_estimates(peer, log, target, rewards) if peer else {}
    library = from_peer.pop("library", "")
    rows = [row(f"{told}: measured in its own log", True, OURS, measured, None, {"clicks": int(other.click.sum())})]
    for estimate in report.estimates:
        gain = {"gain over the log's policy": interval_text(report.gain(estimate.estimator), 1000, 1)}
        name = f"{told} from the {source} log: {estimate.estimator}"
        found = row(name, True, OURS, estimate, measured, {**gain, **overlap(report)})
        beside = from_peer.get(estimate.estimator)
        rows.append({**found, "obp": per_1000(beside[0])} if beside else found)
    for estimator, answer in from_peer.items():
        name, by = f"{told} from the {source} log: {estimator}", f"{library}, same machine, same run"
        rows.append({**row(name, False, by, Estimate(estimator, *answer), measured, {}), "detail": True})
    return rows


def judged(log: Log, target: np.ndarray) -> tuple[OffPolicyReport, np.ndarray]:
    """The target's report, and the reward model's answer for every item, of shape (num_rows, NUM_ITEMS)."""
    unit = np.arange(len(log))  # the log names no users
    features = one_hot(log.item, log.position)
    of_target = np.column_stack([target.T[log.position], np.eye(NUM_POSITIONS)[log.position]])
    predicted, predicted_target = cross_fitted_rewards(features, of_target, log.click, unit, MODEL)
    report = evaluate(
        log.click,
        log.propensity,
        target[log.item, log.position],
        predicted=predicted,
        predicted_target=predicted_target,
        seed=SEED,
        num_resamples=NUM_RESAMPLES,
        switch_at=SWITCH_AT,
        confidence=CONFIDENCE,
    )
    answers = [
        cross_fitted_rewards(features, one_hot(np.full(len(log), item), log.position), log.click, unit, MODEL)[1]
        for item in range(NUM_ITEMS)
    ]
    return report, np.column_stack(answers)


def one_hot(item: np.ndarray, position: np.ndarray) -> np.ndarray:
    """What the reward model sees. Shape (num_rows, NUM_ITEMS + NUM_POSITIONS)."""
    return np.column_stack([np.eye(NUM_ITEMS)[item], np.eye(NUM_POSITIONS)[position]])


def peer_estimates(peer: str, log: Log, target: np.ndarray, rewards: np.ndarray) -> dict[str, Any]:
    """What `open_bandit_peer` answers."""
    with TemporaryDirectory(prefix="nightjar-") as folder:
        asked, answer = Path(folder) / "log.npz", Path(folder) / "answer.json"
        columns = {"reward": log.click, "action": log.item, "position": log.position, "propensity": log.propensity}
        np.savez(asked, allow_pickle=False, target=target, rewards=rewards, **columns)
        subprocess.run([peer, str(PEER), str(asked), str(answer)], check=True, cwd=REPOSITORY)
        told: dict[str, Any] = json.loads(answer.read_text("utf-8"))
        return told


def row(
    model: str, ours: bool, source: str, estimate: Estimate, measured: Estimate | None, more: dict[str, Any]
) -> dict[str, Any]:
    """An estimate as a row of the results."""
    within = (
        {"holds the measured": "yes" if estimate.low <= measured.value <= estimate.high else "no"} if measured else {}
    )
    figures = {"clicks in 1,000": estimate.value, "95 % low": estimate.low, "95 % high": estimate.high}
    told = {name: per_1000(figure) for name, figure in figures.items()}
    return {"model": model, "ours": ours, "source": source, **told, **within, **more}


def overlap(report: OffPolicyReport) -> dict[str, Any]:
    """What an estimate rests on."""
    weights = report.overlap
    return {
        "clicks": weights.rewarded_rows,
        "effective rows": round(weights.effective_rows),
        "largest weight": round(weights.largest_weight, 1),
        "mean weight and its 95 %": interval_text(weights.mean_weight, 1, 3),
    }


def interval_text(estimate: Estimate, times: int, digits: int) -> str:
    """A figure with its interval."""
    value, low, high = (f"{times * x:.{digits}f}" for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} ({low} to {high})"


def per_1000(rate: float) -> float:
    """Clicks in a thousand rows."""
    return round(1000 * rate, 2)


def protocol(bts: Log) -> str:
    """What was assumed, and what the data says of it."""
    (differ, num_differ), (alike, num_alike) = agreement(bts, alike=False), agreement(bts, alike=True)
    return (
        "clicks in 1,000 rows; rows resampled singly, since the logs name no users. BTS's probabilities are how often "
        "it showed each item at each position: the log tells propensities of what was shown alone, and BTS learns on, "
        "so that the week's average is judged. It looks at no visitor: of rows less than five minutes apart, of one "
        f"item at one position, propensities are within 5 % in {differ:.0%} of {num_differ:,} cases before visitors "
        f"who differ, in {alike:.0%} of {num_alike:,} before visitors who are alike. Reward model: ridge on item and "
        f"position ({MODEL.num_folds} folds, penalty {MODEL.penalty:.0f}), whose own error is in no interval; switch "
        f"at {SWITCH_AT:.0f}. obp: Open Bandit Pipeline on the same rows, probabilities and predictions; its "
        "intervals stand in the file"
    )


if __name__ == "__main__":
    main()
