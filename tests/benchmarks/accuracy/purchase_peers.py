"""Peers on the split that a night's backtest judges: what they are shown, and how their scores are judged.

They see what our models see as of the cut, rank the same full catalogue for the same users, and are judged by the same
metrics. The boosted trees get the features of our own ranker, over candidates from item-item weights, recent demand and
the user's past, and learn from the same past windows.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.lake import Lake
from expectations.shop.shop import Shop
from expectations.tables import FIRST_VALUE_INDEX
from models.data.dataset import Dataset, load_dataset
from models.data.item_similarity import SimilarityConfig
from models.data.pair_features import PairFeatures
from models.data.snapshot import DEMAND_WINDOWS, Snapshot, positive_pairs, training_windows
from models.evaluation.held_out import NEW_ITEMS, WITH_REPEATS, HeldOut, held_out_tasks
from models.evaluation.ranking_metrics import hits, ndcg_at_k, recall_at_k
from models.interface.registry import config_values

PROGRAM = Path(__file__).with_name("purchase_peers_fit.py")
PEERS = {
    "als": "iALS (128 wide)",
    "bm25": "ItemKNN (BM25)",
    "ease": "EASE",
    "warp": "LightFM WARP (128 wide)",
    "sasrec": "SASRec (128 wide)",
    "boosted": "boosted trees on our ranker's features",
}
K = 10
NUM_FROM_EACH = 100
"""Candidates of the boosted trees from item-item weights, and as many from recent demand."""
MAX_WINDOWS = 5


def peer_rows(lake: Lake, ds: str, as_of: str, shop: Shop, python: str) -> list[dict[str, Any]]:
    """One row a peer: fits it as of `as_of` in the environment of `python`, and judges it on the days up to `ds`."""
    dataset, tasks = load_dataset(lake, shop, as_of), held_out_tasks(lake, ds, as_of, shop)
    judged = np.unique(np.concatenate([task.user_indices for task in tasks]))
    rows = []
    with TemporaryDirectory(prefix="nightjar-") as folder:
        arrays, answer = (str(Path(folder) / name) for name in ("shop.npz", "scores.npz"))
        np.savez(arrays, allow_pickle=False, **shop_arrays(dataset, judged))
        for name, label in PEERS.items():
            started = time.monotonic()
            subprocess.run([python, str(PROGRAM), name, arrays, answer], check=True, cwd=REPOSITORY)
            seconds = round(time.monotonic() - started, 1)
            with np.load(answer) as found:
                scores, library = found["scores"], str(found["library"])
            row = {"model": label, "ours": False, "source": f"{library}, same machine, same run"}
            rows.append({**row, **judged_scores(dataset, tasks, judged, scores), "seconds": seconds})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def judged_scores(dataset: Dataset, tasks: list[HeldOut], judged: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """NDCG and recall of lists by score, equal ones by item.

    Args:
        scores: shape (judged, items), items counted from 0.
    """
    found = {}
    for task in tasks:
        of_task = scores[np.searchsorted(judged, task.user_indices)].copy()
        if task.task == NEW_ITEMS:
            rows, items = dataset.seen_by(task.user_indices).nonzero()
            of_task[rows, items - FIRST_VALUE_INDEX] = -np.inf
        ranked = np.argsort(-of_task, axis=1, kind="stable")[:, :K] + FIRST_VALUE_INDEX
        is_hit, num_relevant = hits(ranked, task.relevant), task.relevant.counts
        found[f"ndcg@{K} {task.task}"] = round(float(ndcg_at_k(is_hit, num_relevant, K).mean()), 4)
        if task.task == WITH_REPEATS:
            found[f"recall@{K} {task.task}"] = round(float(recall_at_k(is_hit, num_relevant, K).mean()), 4)
    return found


def shop_arrays(dataset: Dataset, judged: np.ndarray) -> dict[str, np.ndarray]:
    """What `purchase_peers_fit` reads."""
    pairs, events = dataset.interactions, dataset.events
    arrays = {
        "pair_user": pairs.user_index,
        "pair_item": pairs.item_index,
        "event_user": events.user_index,
        "event_item": events.item_index,
    }
    asked = asked_rows(Snapshot(dataset, dataset.end), judged)
    return {
        **{name: np.asarray(values) - FIRST_VALUE_INDEX for name, values in arrays.items()},
        "pair_count": pairs.demand,
        "event_time": events.time,
        "num_users": np.array(dataset.num_users - FIRST_VALUE_INDEX),
        "num_items": np.array(dataset.num_items - FIRST_VALUE_INDEX),
        "judged": judged - FIRST_VALUE_INDEX,
        **training_rows(dataset),
        "asked_rows": asked["rows"],
        "asked_place": np.searchsorted(judged, asked["user"]),
        "asked_item": asked["item"] - FIRST_VALUE_INDEX,
    }


def training_rows(dataset: Dataset) -> dict[str, np.ndarray]:
    """Candidates at past cuts with what was wanted in the window after each; a group a user, latest window first."""
    rows, labels, sizes = [], [], []
    for window in training_windows(dataset, MAX_WINDOWS):
        users, items = positive_pairs(dataset, window)
        asked = asked_rows(Snapshot(dataset, window.cut), np.unique(users))
        wanted = users.astype(np.int64) * dataset.num_items + items
        rows.append(asked["rows"])
        labels.append(np.isin(asked["user"].astype(np.int64) * dataset.num_items + asked["item"], wanted))
        sizes.append(np.unique(asked["user"], return_counts=True)[1])
    return {
        "rows": np.concatenate(rows),
        "labels": np.concatenate(labels).astype(np.int32),
        "group_sizes": np.concatenate(sizes),
        "num_held_out": np.array(len(sizes[0])),
    }


def asked_rows(snapshot: Snapshot, users: np.ndarray) -> dict[str, np.ndarray]:
    """Candidates of users, by user, and their features."""
    config = SimilarityConfig(**config_values("deep_cf")["neighbours"])
    features = PairFeatures(snapshot, config)
    parts = list(_asked(features, users))
    return {name: np.concatenate([part[name] for part in parts]) for name in ("user", "item", "rows")}


def _asked(features: PairFeatures, users: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    snapshot = features.snapshot
    recent_demand = snapshot.item_state[:, DEMAND_WINDOWS.index(30)]
    in_demand = np.argsort(-recent_demand, kind="stable")[:NUM_FROM_EACH]
    for user in users:
        all_items = np.arange(snapshot.dataset.num_items)[None, :]
        pair = features.of(np.array([user]), all_items)[0]  # (num_items, PAIR_DIM)
        near = np.argsort(-pair[:, -1], kind="stable")[:NUM_FROM_EACH]
        items = np.unique(np.concatenate([near[pair[near, -1] > 0], in_demand, np.flatnonzero(pair[:, 0])]))
        items = items[(items >= FIRST_VALUE_INDEX) & np.isin(items, snapshot.known_items)]
        price = snapshot.dataset.item_features["price_bucket"][items, None]
        of_user = np.broadcast_to(snapshot.user_state[user], (len(items), snapshot.user_state.shape[1]))
        rows = np.concatenate([pair[items], snapshot.item_state[items], of_user, price], axis=1).astype(np.float32)
        yield {"user": np.full(len(items), user), "item": items, "rows": rows}
