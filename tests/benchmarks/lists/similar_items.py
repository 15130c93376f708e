"""Does what is published as similar to an item end up in a basket with it? `similar_items` of a past night, judged.

The night of 2011-10-10 of UCI Online Retail is built by the public programs; judged are the baskets (a user's purchases
of a day) of the 30 days after it. Two questions are asked of each item of a basket: is one of its ten similar items
among the others of the *same* basket, and is one in the same user's *next* basket? The share of a basket's items with a
hit is the basket's value, so that large ones do not outvote the rest. Constants are chosen with `--ds 2011-08-11` and
`--ds 2011-09-10`, which write nothing.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.lists.similar_items
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from datetime import date
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from expectations.runtime.lake import Lake
from expectations.tables import FIRST_VALUE_INDEX, INTERACTIONS, ITEM_FEATURES, ITEM_NEIGHBOURS, ITEMS, SIMILAR_ITEMS
from jobs.tables.content_cosines import content_cosines
from tests.benchmarks.harness.past_night import (
    DATA,
    DS,
    JUDGED_DAYS,
    build_night,
    indices,
    interval,
    night_arguments,
    purchases,
)
from tests.benchmarks.harness.report import Benchmark, hardware

NAME = "similar_items"
K = 10
MAX_COLD_USERS = 5
"""An item that no more people met is cold."""
Baskets = list[tuple[str, np.ndarray, np.ndarray]]
"""User, the items that are asked about, and the basket that should hold what belongs to them."""


def main(argv: Sequence[str] | None = None) -> None:
    """Builds the night and tells the figures; exits 0 without the data, saying so."""
    arguments = night_arguments(__doc__, argv)
    if arguments is None:
        return
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    with TemporaryDirectory(prefix="nightjar-") as temporary:
        night = build_night(arguments.root or temporary, arguments.data, arguments.ds, models=arguments.models)
        benchmark = benchmark_of(night.lake, arguments.ds, date.today().isoformat())
    print(benchmark.text())
    if arguments.ds == DS:
        print(f"written: {benchmark.write()}")


def benchmark_of(lake: Lake, ds: str, today: str) -> Benchmark:
    """Every way to make lists, judged on the same baskets."""
    baskets = baskets_after(lake, ds)
    num_users = users_of_items(lake, ds)
    num_cold = int((num_users[FIRST_VALUE_INDEX:] <= MAX_COLD_USERS).sum())
    rows = [
        {"model": model, "ours": ours, "source": source, **judged(lists, baskets, num_users)}
        for (model, ours, source), lists in rival_lists(lake, ds).items()
    ]
    return Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME}",
        date=today,
        hardware=hardware(),
        data=DATA,
        protocol=(
            f"the night of {ds}, judged on the {JUDGED_DAYS} days after: {len(baskets['same']):,} baskets of two items "
            f"or more, {len(baskets['next']):,} that follow another basket of their user; ten similar items each; "
            f"cold: asked about the {num_cold:,} items that at most {MAX_COLD_USERS} people had met; 95 % by bootstrap "
            "over baskets, of next. The shop has no categories, so that random is random over the whole catalogue"
        ),
        rows=rows,
    )


def baskets_after(lake: Lake, ds: str) -> dict[str, Baskets]:
    """What is asked: of each basket after `ds` about itself, and of each user's basket before it about it."""
    bought = purchases(lake, ds)
    items = indices(lake, ds, "item_id")
    bought = bought[bought["item_id"].isin(items.index)]
    bought = bought.assign(item=items.reindex(bought["item_id"]).to_numpy())
    baskets: dict[str, Baskets] = {"same": [], "next": []}
    for user, of_user in bought.groupby("user_id"):
        before = None
        for day, basket in of_user.groupby("day")["item"]:
            found = np.sort(basket.to_numpy())
            if str(day) > ds and len(found) > 1:
                baskets["same"].append((str(user), found, found))
            if str(day) > ds and before is not None:
                baskets["next"].append((str(user), before, found))
            before = found
    return baskets


def judged(lists: np.ndarray, baskets: dict[str, Baskets], num_users: np.ndarray) -> dict[str, Any]:
    """Hit rates over all items and over cold ones, and how much of what anybody met the lists hold.

    Args:
        lists: each item's similar items, 0 where there is none. Shape (num_indices, K).
    """
    is_cold = num_users <= MAX_COLD_USERS
    figures: dict[str, Any] = {}
    for question, asked in baskets.items():
        values = hit_shares(lists, asked, np.ones(len(lists), bool))
        figures[f"hr@{K} {question} basket"] = round(float(values.mean()), 4)
        figures[f"cold, {question}"] = round(float(hit_shares(lists, asked, is_cold).mean()), 4)
    low, high = interval(values)
    is_met = num_users > 0
    coverage = np.isin(np.flatnonzero(is_met), lists).sum() / is_met.sum()
    return {**figures, "95 % low": low, "95 % high": high, "coverage": round(float(coverage), 4)}


def hit_shares(lists: np.ndarray, asked: Baskets, is_asked: np.ndarray) -> np.ndarray:
    """Of each basket the share of its items with a hit; baskets without an item to ask about are left out."""
    shares = []
    for _, items, wanted in asked:
        items = items[is_asked[items]]
        if len(items):
            is_hit = np.isin(lists[items], wanted) & (lists[items] != items[:, None])
            shares.append(is_hit.any(axis=1).mean())
    return np.array(shares)


def rival_lists(lake: Lake, ds: str) -> dict[tuple[str, bool, str], np.ndarray]:
    """(model, ours, source) -> lists."""
    num_users = users_of_items(lake, ds)
    size, ours = len(num_users), "this repository"
    items = lake.read(ITEMS, ds).to_pandas()
    is_available = np.zeros(size, bool)
    is_available[indices(lake, ds, "item_id").reindex(items.loc[items["is_available"], "item_id"])] = True
    weights = lake.read(ITEM_NEIGHBOURS, ds, "item_item").to_pandas()
    ease = _square(weights["weight"], weights["item_index"], weights["neighbour_index"], size)
    words = content_cosines(np.arange(size), lake.require(ITEM_FEATURES, ds).path)
    random = np.random.default_rng(1).random((size, size), dtype=np.float32)
    popularity = np.tile(num_users.astype(np.float32), (size, 1))
    of_scores = {
        ("item-item weights alone (EASE)", True, ours): ease,
        ("words of the catalogue alone", True, ours): words,
        ("item-item cosine", False, "NumPy, same machine, same run"): cosines(lake, ds, size),
        ("most popular", False, "NumPy, same machine, same run"): popularity,
        ("random", False, "NumPy, same machine, same run"): random,
    }
    return {
        ("similar_items", True, ours): published_lists(lake, ds, size),
        **{name: top_lists(scores, is_available) for name, scores in of_scores.items()},
    }


def published_lists(lake: Lake, ds: str, size: int) -> np.ndarray:
    """The table, by index."""
    rows = lake.read(SIMILAR_ITEMS, ds).to_pandas()
    index = indices(lake, ds, "item_id")
    lists = np.zeros((size, K), np.int64)
    lists[index.reindex(rows["item_id"]), rows["rank"] - 1] = index.reindex(rows["similar_item_id"])
    return lists


def top_lists(scores: np.ndarray, is_available: np.ndarray) -> np.ndarray:
    """The best K available others of each item, equal scores by index; 0 where nothing speaks for one."""
    scores = scores * is_available
    np.fill_diagonal(scores, 0)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    return np.where(np.take_along_axis(scores, best, axis=1) > 0, best, 0)


def cosines(lake: Lake, ds: str, size: int) -> np.ndarray:
    """Of the sets of people who met two items."""
    met = lake.read(INTERACTIONS, ds, columns=["user_index", "item_index"]).to_pandas()
    shape = (int(met["user_index"].max()) + 1, size)
    matrix = sparse.csr_matrix((np.ones(len(met), np.float32), (met["user_index"], met["item_index"])), shape=shape)
    both = (matrix.T @ matrix).toarray()
    lengths = np.sqrt(np.maximum(np.diag(both), 1))
    return np.asarray(both / lengths[:, None] / lengths[None, :], np.float32)


def users_of_items(lake: Lake, ds: str) -> np.ndarray:
    """How many people had met each item, by index."""
    size = int(indices(lake, ds, "item_id").max()) + 1
    met = lake.read(INTERACTIONS, ds, columns=["item_index"])["item_index"].to_numpy()
    return np.bincount(met, minlength=size)


def _square(values: pd.Series, rows: pd.Series, columns: pd.Series, size: int) -> np.ndarray:
    matrix = sparse.csr_matrix((values, (rows, columns)), shape=(size, size))
    return np.asarray(np.maximum(matrix.toarray(), 0), np.float32)


if __name__ == "__main__":
    main()
