"""Gowalla by the published split of LightGCN, as datasets and as a judge; see `gowalla_graph` and `gowalla_two_tower`.

The published pairs have no time. Settings are chosen on a tenth of every user's training pairs, at least one, held back
by chance: the published test pairs, too, are a share of each user's, so that those who met little count as much as
those who met a lot. Equal scores count against us.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.tables import FIRST_VALUE_INDEX, GRAPH_EDGES, Table
from models.data.dataset import Dataset
from models.data.event_store import Events, Interactions
from models.interface.model import Model, Vectors
from tests.benchmarks.harness.variants import benchmark_parser, data_folder, judged_variants, parsed, peer_rows, tell

FOLDER = "gowalla"
DATA = "Gowalla (SNAP; split of LightGCN): 29,858 users, 40,981 items, 810,128 pairs to train on, 217,242 to test on"
DAY = "2010-10-01"
END = 1_285_977_600
"""When DAY is over, in seconds since 1970 UTC. The calendar is made up: the published pairs have no time."""
K = 20
METRICS = ("recall@20", "ndcg@20")
USERS_AT_ONCE = 1024
SOURCE = "BARS leaderboard, LightGCN-PyTorch"
PEERS = (
    ("NeuMF", 0.1399, 0.1212),
    ("GAT", 0.1501, 0.1233),
    ("NGCF", 0.1570, 0.1327),
    ("ItemKNN", 0.1570, 0.1214),
    ("MF-BPR", 0.1627, 0.1378),
    ("two-tower (YoutubeDNN)", 0.1754, 0.1473),
    ("EASE", 0.1765, 0.1467),
    ("LightGCN", 0.1820, 0.1547),
    ("GF-CF", 0.1849, 0.1518),
    ("UltraGCN", 0.1862, 0.1580),
    ("SimpleX", 0.1872, 0.1557),
)
"""Model, Recall@20, NDCG@20."""


@dataclass(frozen=True)
class Pairs:
    """Who met what: two arrays of equal length, of user and item indices, by user and then by item."""

    users: np.ndarray
    items: np.ndarray


def read_pairs(folder: Path, name: str) -> Pairs:
    """The published file `name`, train or test."""
    rows = pq.read_table(folder / f"{name}.parquet").sort_by([("user_id", "ascending"), ("item_id", "ascending")])
    return Pairs(*(rows[column].to_numpy().astype(np.int64) + FIRST_VALUE_INDEX for column in ("user_id", "item_id")))


def kept_and_held_back(pairs: Pairs) -> tuple[Pairs, Pairs]:
    """Nine tenths of every user's pairs, and the rest, at least one pair, to choose settings on."""
    by_chance = np.lexsort((np.random.default_rng(0).random(len(pairs.users)), pairs.users))
    starts, num_pairs = np.unique(pairs.users, return_index=True, return_counts=True)[1:]
    place = np.empty(len(by_chance), dtype=np.int64)
    place[by_chance] = np.arange(len(by_chance)) - np.repeat(starts, num_pairs)
    is_held_back = place < np.repeat(np.maximum(1, num_pairs // 10), num_pairs)
    held, kept = (Pairs(pairs.users[chosen], pairs.items[chosen]) for chosen in (is_held_back, ~is_held_back))
    return kept, held


def sizes(train: Pairs, test: Pairs) -> tuple[int, int]:
    """How many indices users and items have."""
    return int(train.users.max()) + 1, int(max(train.items.max(), test.items.max())) + 1


def dataset_of(pairs: Pairs, num_users: int, num_items: int) -> Dataset:
    """The pairs as a shop without features would give them, each met once, on a day of a year by chance."""
    order, times = _events_order(pairs)
    ones = np.ones(len(pairs.users), dtype=np.float32)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(pairs.users, minlength=num_users))])
    return Dataset(
        as_of=DAY,
        end=END,
        horizon_days=30,
        seed=0,
        vocabulary_hash=FOLDER,
        sizes={"user_id": num_users, "item_id": num_items, "event_type": FIRST_VALUE_INDEX + 1},
        interactions=Interactions(
            offsets=offsets,
            user_index=pairs.users,
            item_index=pairs.items,
            weight=ones,
            demand=ones,
            age_days=(END - times) / 86_400,
        ),
        events=Events(
            offsets=offsets,
            history_starts=offsets[:-1],
            user_index=pairs.users[order].astype(np.int32),
            item_index=pairs.items[order].astype(np.int32),
            time=times[order],
            is_target=np.ones(len(order), dtype=bool),
            weight=ones,
            event_type=np.full(len(order), FIRST_VALUE_INDEX, dtype=np.int32),
            gap_bucket=np.zeros(len(order), dtype=np.int32),
        ),
        item_features=_no_features(
            num_items,
            ("brand_index", "domain_index", "price_bucket"),
            tuple(f"{kind}_indices" for kind in ("category", "token", "description_token")),
        )
        | {"age_days": np.full(num_items, 400, dtype=np.int32)},
        user_features=_no_features(
            num_users, ("age_bucket_index", "gender_index", "country_index"), ("interest_indices",)
        ),
        read=lambda table: _edges(table, pairs),
    )


def _events_order(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """The order of events by user and then by time, and the time of each pair."""
    times = END - 1 - np.random.default_rng(1).integers(0, 365 * 86_400, len(pairs.users))
    return np.lexsort((times, pairs.users)), times


def _no_features(size: int, columns: tuple[str, ...], lists: tuple[str, ...]) -> dict[str, np.ndarray]:
    unknown = {name: np.ones(size, dtype=np.int32) for name in columns}
    return unknown | {name: np.zeros((size, 1), dtype=np.int32) for name in lists}


def _edges(table: Table, pairs: Pairs) -> pa.Table:
    if table is not GRAPH_EDGES:
        raise KeyError(f"{table.name}: the published pairs hold nothing of it")
    return pa.table(
        {
            "kind": pa.array(["user_item"] * len(pairs.users)),
            "source_index": pairs.users.astype(np.int32),
            "target_index": pairs.items.astype(np.int32),
            "weight": np.ones(len(pairs.users), dtype=np.float32),
        }
    )


def judge_of(dataset: Dataset, known: Pairs, wanted: Pairs) -> Callable[[Model], tuple[float, float]]:
    """What gives a fitted model's METRICS."""

    def judge(fitted: Model) -> tuple[float, float]:
        vectors = fitted.retrieval(dataset)
        assert isinstance(vectors, Vectors), "both families retrieve by vectors"
        return judged(vectors, known, wanted)

    return judge


def judged(vectors: Vectors, known: Pairs, wanted: Pairs) -> tuple[float, float]:
    """Recall@20 and NDCG@20, the means over the users who have something to be found; known items are left out."""
    discounts = 1 / np.log2(np.arange(K) + 2)
    recalls, ndcgs = [], []
    users = np.unique(wanted.users)
    wanted_of, known_of = _by_user(wanted, len(vectors.user)), _by_user(known, len(vectors.user))
    for start in range(0, len(users), USERS_AT_ONCE):
        block = users[start : start + USERS_AT_ONCE]
        scores = vectors.user[block] @ vectors.item.T
        scores[:, :FIRST_VALUE_INDEX] = -np.inf
        for row, user in enumerate(block):
            scores[row, known_of(user)] = -np.inf
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        for row, user in enumerate(block):
            hits = np.isin(best[row], wanted_of(user))
            num_wanted = len(wanted_of(user))
            recalls.append(hits.sum() / num_wanted)
            ndcgs.append((hits * discounts).sum() / discounts[: min(num_wanted, K)].sum())
    return float(np.mean(recalls)), float(np.mean(ndcgs))


def _by_user(pairs: Pairs, num_users: int) -> Callable[[int], np.ndarray]:
    starts = np.concatenate([[0], np.cumsum(np.bincount(pairs.users, minlength=num_users))])
    return lambda user: pairs.items[starts[user] : starts[user + 1]]


def run(
    name: str, description: str, argv: Sequence[str] | None, model: str, variants: Mapping[str, Mapping[str, Any]]
) -> None:
    """A benchmark's program: fits every variant with every seed, judges, prints and records."""
    arguments = parsed(benchmark_parser(description, variants), argv)
    folder = data_folder(arguments, FOLDER)
    if folder is None:
        return
    train, test = read_pairs(folder, "train"), read_pairs(folder, "test")
    known, wanted = kept_and_held_back(train) if arguments.validation else (train, test)
    dataset = dataset_of(known, *sizes(train, test))
    rows = judged_variants(model, variants, arguments, dataset, METRICS, judge_of(dataset, known, wanted))
    protocol = (
        f"the published split, judged on its test pairs over the full catalogue of {dataset.num_items - 2:,} items, "
        "training pairs left out; settings chosen on a tenth of each user's"
    )
    tell(name, arguments, DATA, protocol, [*rows, *peer_rows(PEERS, SOURCE, METRICS)])
