"""What does variety cost? The dial of the shop's rules from pure relevance to variety, on UCI Online Retail.

Fits `item_item` with the public programs as of 2011-10-10 and re-orders its candidates as the nights do
(`jobs.lists.mmr_selection`), at each position of the dial; judged on the 30 days to 2011-11-09, over the full
catalogue.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.lists.diversity
    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.lists.diversity --chart diversity.svg
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night, night_from, night_parser
from expectations.tables import CANDIDATES, ITEM_FEATURES
from jobs.lists.content_similarity import item_content
from jobs.lists.list_assembly import user_pools
from jobs.lists.mmr_selection import Pool, best_places
from models.evaluation.beyond_accuracy import beyond_accuracy
from models.evaluation.held_out import NEW_ITEMS, WITH_REPEATS, HeldOut, catalogue_size, held_out_tasks
from models.evaluation.population_stats import PopulationStats, population_stats
from models.evaluation.ranking_metrics import hits, ndcg_at_k, recommended_items
from models.evaluation.resampling import BOUNDS, NUM_RESAMPLES, bootstrap_means
from models.interface.model import NO_ITEM
from tests.benchmarks.harness.programs import run
from tests.benchmarks.harness.report import Benchmark, hardware
from tests.benchmarks.harness.variants import OURS, data_folder

NAME, SHOP, DS, MODEL, K = "diversity", "online_retail", "2011-11-09", "item_item", 10
DIAL = tuple(position / 10 for position in range(11))


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the programs and tells the curve; exits 0 without the data, saying so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("NIGHTJAR_DATA", "../shared/data"), help="(NIGHTJAR_DATA)")
    parser.add_argument("--root", help="a place to keep; else a temporary one, which is removed")
    parser.add_argument("--chart", help="where to draw the curve, as a .svg or .png file")
    arguments = parser.parse_args(argv)
    if data_folder(arguments, SHOP) is None:
        return
    with tempfile.TemporaryDirectory(prefix="nightjar-") as temporary:
        night = fitted_night(arguments.root or temporary, arguments.data)
        tasks = {task.task: task for task in held_out_tasks(night.lake, night.ds, night.backtest_as_of, night.shop)}
        rows = curve(night.lake, night.backtest_as_of, tasks, night.shop.num_candidates, night.shop.seed)
        num_items, num_users = catalogue_size(night.lake, night.backtest_as_of), len(tasks[WITH_REPEATS].user_indices)
    benchmark = Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME}",
        date=date.today().isoformat(),
        hardware=hardware(),
        data="UCI Online Retail (CC BY 4.0), one file a day, 2010-12-01 to 2011-11-09",
        protocol=(
            f"{MODEL} fitted as of {night.backtest_as_of}, its best {night.shop.num_candidates} candidates a user "
            f"re-ordered, judged on purchases of the 30 days to {DS}, full catalogue of {num_items:,} items, "
            f"{num_users:,} users; diversity (1 - mean cosine of two items' words), coverage, novelty: of the lists "
            "with repeats; ms: to choose a list, on one core"
        ),
        rows=rows,
    )
    print(benchmark.text())
    print(f"written: {benchmark.write()}")
    if arguments.chart:
        curve_figure(rows).savefig(arguments.chart)
        print(f"drawn: {arguments.chart}")


def fitted_night(root: str, data: str) -> Night:
    """Runs the programs up to the candidates of the backtest's day."""
    flags = ["--ds", DS, "--shop", SHOP, "--root", root, "--data", data, "--models", MODEL]
    run("jobs.ingest", *flags)
    run("jobs.preprocess", *flags, "--as-of", "backtest")
    run("models.train", *flags, "--as-of", "backtest", "--model", MODEL)
    run("jobs.build_candidates", *flags, "--as-of", "backtest")
    return night_from(night_parser(None).parse_args(flags))


def curve(lake: Lake, as_of: str, tasks: dict[str, HeldOut], num_candidates: int, seed: int) -> list[dict[str, Any]]:
    """One row a position of the dial."""
    stats, features = population_stats(lake, as_of), lake.require(ITEM_FEATURES, as_of).path
    candidates = lake.read(CANDIDATES, as_of, MODEL)
    num_items = catalogue_size(lake, as_of)
    rows = []
    for diversity in DIAL:
        started, lists = time.process_time(), {}
        for name, task in tasks.items():
            asked = candidates.filter(pc.invert(candidates["is_seen"])) if name == NEW_ITEMS else candidates
            lists[name] = chosen_items(asked, task.user_indices, num_candidates, diversity, features)
        num_lists = sum(len(ranked) for ranked in lists.values())
        seconds = time.process_time() - started
        rows.append(
            {
                "model": f"{MODEL}, diversity = {diversity}",
                "ours": True,
                "source": OURS,
                **judged(lists, tasks, stats, seed),
                "coverage": round(len(recommended_items(lists[WITH_REPEATS], K)) / num_items, 4),
                "ms a list": round(1000 * seconds / num_lists, 2),
            }
        )
        logging.getLogger(__name__).info("judged: diversity=%.1f", diversity)
    return rows


def chosen_items(
    candidates: pa.Table, user_indices: np.ndarray, num_candidates: int, diversity: float, features: str
) -> np.ndarray:
    """The lists of some users. Item indices, NO_ITEM where a list has ended. Shape (num_users, K)."""
    content, ranked = item_content(features), []
    for _, pool in user_pools(candidates, user_indices, None):
        # The candidates hold the best seen and unseen ones; a night takes the best of them all.
        best = Pool.of(pool.items[:, :num_candidates], pool.scores[:, :num_candidates])
        places = best_places(best, K, diversity, content if diversity else None)
        items = np.take_along_axis(best.items, np.maximum(places, 0), axis=1)
        ranked.append(np.where(places >= 0, items, NO_ITEM))
    return np.concatenate(ranked)


def judged(
    lists: dict[str, np.ndarray], tasks: dict[str, HeldOut], stats: PopulationStats, seed: int
) -> dict[str, float]:
    """How right the lists are on each task, and what those with repeats are like."""
    ndcg = {name: ndcg_at_k(hits(lists[name], task.relevant), task.relevant.counts, K) for name, task in tasks.items()}
    low, high = np.quantile(bootstrap_means(ndcg[WITH_REPEATS][:, None], NUM_RESAMPLES, seed), BOUNDS)
    like = beyond_accuracy(lists[WITH_REPEATS], stats)
    figures = {
        "ndcg@10 new_items": ndcg[NEW_ITEMS].mean(),
        "ndcg@10 with_repeats": ndcg[WITH_REPEATS].mean(),
        "95 % low": low,
        "95 % high": high,
        "diversity": np.nanmean(like["diversity"]),
        "novelty": np.nanmean(like["novelty"]),
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def curve_figure(rows: Sequence[dict[str, Any]]) -> Figure:
    """Relevance against variety and against coverage, a point a position of the dial."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    for axes, trait in zip(figure.subplots(1, 2), ("diversity", "coverage"), strict=True):
        for metric in ("ndcg@10 with_repeats", "ndcg@10 new_items"):
            axes.plot([row[trait] for row in rows], [row[metric] for row in rows], "o-", label=metric)
            for row, position in zip(rows, DIAL, strict=True):
                axes.annotate(
                    f"{position:.1f}", (row[trait], row[metric]), fontsize=7, xytext=(2, 4), textcoords="offset points"
                )
        axes.set(xlabel=trait, ylabel="ndcg@10")
    figure.axes[0].legend(fontsize=8)
    return figure


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    main()
