"""Do equal models take turns? Thirty nights of two models that are equally good, judged and decided as a night does.

A simulated shop, so that the truth is known: NUM_USERS users, of whom another NUM_JUDGED are judged each night. Each
wants one to six items, and some are easier to please than others. Both deep models find a wanted item with the same
probability, half of the time for the same reason, and each at a rank of its own; `recent_demand` finds fewer. The rest
is real: `models.evaluation` takes metrics, intervals and gains of the hits, and `decide` decides, once by the higher
figure (`promotion = "best"`, as before) and once by the interval of the gain; what a night publishes is the champion of
the next. Nights are drawn apart; those of a real shop judge much the same days, so that either rule alternates less.

Then one of the two is better in truth, the worse one is champion, and what counts is how many nights pass until the
better one is published.

    python -m tests.benchmarks.one_night.equal_models
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from expectations.shop.shop import Gate
from models.evaluation.held_out import WITH_REPEATS, HeldOut
from models.evaluation.list_evaluation import EvaluatedTask, ListScores, backtest_rows, gain_rows
from models.evaluation.list_health import ListHealth
from models.evaluation.promotion_decision import decide
from models.evaluation.promotion_rules import Challenger, Comparison
from models.evaluation.ranking_metrics import METRICS, relevant_from_pairs
from tests.benchmarks.harness.parts import record_part
from tests.benchmarks.harness.variants import OURS

NAME, PART = "one_night", "equal models"
NUM_NIGHTS, NUM_SERIES = 30, 40
NUM_USERS, NUM_JUDGED, K = 4_000, 300, 10
BEFORE, AFTER = "best", "interval"
MODELS = {"recent_demand": "baseline", "two_tower": "deep", "sequence": "deep"}
GAINS = (0.02, 0.05, 0.1, 0.2)
"""How much more of what is wanted `sequence` finds where it is the better one, as a share of what `two_tower` finds."""
SOUND = ListHealth(num_rows=1, is_finite=True, varying_share=1.0, user_share=1.0, top_item_ids=())


@dataclass(frozen=True)
class Shop:
    """The users of a simulated shop.

    Attributes:
        num_wanted: items that each user wants. Shape (num_users,).
        ease: probability that a deep model finds one of them. Shape (num_users,).
        gain: of `sequence` over `two_tower`, as a share of what it finds.
    """

    num_wanted: np.ndarray
    ease: np.ndarray
    gain: float

    @classmethod
    def opened(cls, seed: int, gain: float = 0.0) -> Shop:
        """One that depends on the seed alone."""
        rng = np.random.default_rng([seed, 1])
        return cls(rng.integers(1, 7, NUM_USERS), rng.beta(0.5, 1.5, NUM_USERS), gain)

    def night(self, seed: int, day: int) -> list[Challenger]:
        """What the gate sees of one night."""
        rng = np.random.default_rng([seed, 2, day])
        users = np.sort(rng.choice(NUM_USERS, NUM_JUDGED, replace=False))
        num_wanted = self.num_wanted[users]
        hits_by_model = self._hits(users, rng)
        scores_by_model = {model: list_scores(is_hit, num_wanted) for model, is_hit in hits_by_model.items()}
        rows = np.repeat(np.arange(NUM_JUDGED), num_wanted)
        relevant = relevant_from_pairs(rows, np.arange(len(rows)), NUM_JUDGED)
        task = EvaluatedTask(HeldOut(WITH_REPEATS, users, relevant), 1.0, len(rows), scores_by_model)
        backtest = {row["model"]: row for row in backtest_rows([task], [K], seed=day)}
        gains: dict[str, dict[str, Any]] = {model: {} for model in MODELS}
        for row in gain_rows([task], K, day, "ndcg"):
            gains[row["model"]][row["rival"]] = row
        return [
            Challenger(model, kind, f"{model}-{day}", SOUND, backtest[model], gains[model])
            for model, kind in MODELS.items()
        ]

    def _hits(self, users: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Whether each rank of each user's list holds something wanted. Each of shape (num_judged, K)."""
        num_wanted, most = self.num_wanted[users], int(self.num_wanted.max())
        is_wanted = np.arange(most) < num_wanted[:, None]  # (num_judged, most)
        shared, is_shared = rng.random(is_wanted.shape), rng.random(is_wanted.shape) < 0.5
        factors = {"recent_demand": 0.5, "two_tower": 1.0, "sequence": 1.0 + self.gain}
        hits_by_model = {}
        for model, factor in factors.items():
            luck = np.where(is_shared, shared, rng.random(is_wanted.shape))
            num_found = (is_wanted & (luck < factor * self.ease[users, None])).sum(axis=1)
            order = rng.random((len(users), K)).argsort(axis=1)
            hits_by_model[model] = order < num_found[:, None]
        return hits_by_model


def list_scores(is_hit: np.ndarray, num_wanted: np.ndarray) -> ListScores:
    """The metrics of lists by their hits; what lists are like beside being right plays no part."""
    scores = ListScores.empty([K])
    for name, k in scores.parts:
        values = METRICS[name](is_hit, num_wanted, k) if name in METRICS else np.zeros(len(is_hit))
        scores.parts[name, k].append(values)
    return scores


def published(nights: Sequence[Sequence[Challenger]], promotion: str, champion: str | None = None) -> list[str]:
    """Which model each night publishes."""
    models: list[str] = []
    for day, challengers in enumerate(nights):
        comparison, gate = Comparison("ndcg", WITH_REPEATS, K), Gate(promotion=promotion)
        champion = decide(f"night {day}", challengers, champion, comparison, gate).published_model
        models.append(champion)
    return models


def alternations(models: Sequence[str]) -> int:
    """How many nights publish another model than the night before."""
    return sum(one != other for one, other in pairwise(models))


def equal_row(num_series: int) -> dict[str, Any]:
    """Alternations of equal models, in the mean of all series."""
    counts: dict[str, list[int]] = {BEFORE: [], AFTER: []}
    for seed in range(num_series):
        nights = [Shop.opened(seed).night(seed, day) for day in range(NUM_NIGHTS)]
        for promotion, counted in counts.items():
            counted.append(alternations(published(nights, promotion)))
    return {
        "model": PART,
        "ours": True,
        "source": OURS,
        "nights": NUM_NIGHTS,
        "judged_users": NUM_JUDGED,
        "alternations_before": round(float(np.mean(counts[BEFORE])), 2),
        "alternations_after": round(float(np.mean(counts[AFTER])), 2),
        "most_after": max(counts[AFTER]),
    }


def better_row(gain: float, num_series: int) -> dict[str, Any]:
    """How soon a model that is better in truth replaces the champion, and whether it stays."""
    waits, counts, gains, figures = [], [], [], []
    for seed in range(num_series):
        nights = [Shop.opened(seed, gain).night(seed, day) for day in range(NUM_NIGHTS)]
        models = published(nights, AFTER, champion="two_tower")
        waits.append(1 + models.index("sequence") if "sequence" in models else np.inf)
        counts.append(alternations(["two_tower", *models]))
        for _, worse, better in nights:
            gains.append(better.gains["two_tower"]["gain"])
            figures.append(worse.backtest["ndcg"] if worse.backtest else 0.0)
    wait, promoted = float(np.median(waits)), float(np.mean(np.isfinite(waits)))
    return {
        "model": f"{PART}: one has {np.mean(gains):.3f} more than {np.mean(figures):.3f}, NDCG@10",
        "ours": True,
        "source": OURS,
        "nights": NUM_NIGHTS,
        "judged_users": NUM_JUDGED,
        "alternations_after": round(float(np.mean(counts)), 2),
        "promoted_within": int(wait) if np.isfinite(wait) else None,
        "promoted_share": round(promoted, 2),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Simulates, prints, and replaces its rows of the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=NUM_SERIES, help="of thirty nights each")
    arguments = parser.parse_args(argv)
    rows = [equal_row(arguments.series), *(better_row(gain, arguments.series) for gain in GAINS)]
    print(record_part(NAME, PART, rows).text())


if __name__ == "__main__":
    main()
