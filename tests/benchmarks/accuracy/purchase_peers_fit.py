"""Fits a peer and scores items with it; a script of its own, for an environment that holds the peers and not Nightjar.

    python purchase_peers_fit.py als SHOP.npz SCORES.npz

SHOP.npz holds the shop before the cut, users and items counted from 0: `pair_user`, `pair_item`, `pair_count` (how
often bought), `event_user`, `event_item`, `event_time` (in order), `num_users`, `num_items`; `judged`, the users to
score; and for the boosted trees `rows`, `labels`, `group_sizes` to learn from, latest window first, `num_held_out`
groups of it, and `asked_rows`, `asked_place`, `asked_item` to score. SCORES.npz gets `scores` of shape (judged, items),
-inf where an item is no candidate, and `library`. Works with implicit 0.7.3, RecTools 0.19 and LightGBM 4.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import sparse

Shop = Mapping[str, np.ndarray]
SEED = 1


def als(shop: Shop) -> tuple[np.ndarray, str]:
    """Implicit-feedback ALS on log(1 + purchases)."""
    import implicit
    from implicit.als import AlternatingLeastSquares

    bought = counts(shop)
    bought.data = np.log1p(bought.data)
    model = AlternatingLeastSquares(factors=128, regularization=0.05, alpha=5.0, iterations=20, random_state=SEED)
    model.fit(bought, show_progress=False)
    return model.user_factors[shop["judged"]] @ model.item_factors.T, f"implicit {implicit.__version__}"


def bm25(shop: Shop) -> tuple[np.ndarray, str]:
    """Items near to those of the history, by BM25."""
    import implicit
    from implicit.nearest_neighbours import BM25Recommender

    bought = counts(shop)
    model = BM25Recommender(K=200, K1=1.2, B=0.75)
    model.fit(bought, show_progress=False)
    return (bought[shop["judged"]] @ model.similarity).toarray(), f"implicit {implicit.__version__}"


def ease(shop: Shop) -> tuple[np.ndarray, str]:
    """EASE on log(1 + purchases)."""
    import rectools
    from rectools.models import EASEModel

    bought = counts(shop)
    bought.data = np.log1p(bought.data)
    model = EASEModel(regularization=500.0)
    model.fit(dataset(shop, bought))
    return bought[shop["judged"]] @ model.weight, f"RecTools {rectools.__version__}"


def warp(shop: Shop) -> tuple[np.ndarray, str]:
    """LightFM with the WARP loss."""
    from lightfm import LightFM, __version__

    bought = counts(shop)
    bought.data[:] = 1
    model = LightFM(no_components=128, loss="warp", learning_rate=0.05, random_state=SEED)
    model.fit(bought.tocoo(), epochs=30, num_threads=len(os.sched_getaffinity(0)))
    user_bias, users = model.get_user_representations()
    item_bias, items = model.get_item_representations()
    judged = shop["judged"]
    return users[judged] @ items.T + user_bias[judged, None] + item_bias, f"LightFM {__version__}"


def sasrec(shop: Shop) -> tuple[np.ndarray, str]:
    """A transformer over histories, in a softmax over the whole catalogue."""
    import rectools
    from rectools.models import SASRecModel

    model = SASRecModel(
        n_factors=128, n_blocks=2, n_heads=2, session_max_len=100, epochs=20, batch_size=128, loss="softmax",
        deterministic=True,
    )  # fmt: skip
    model.fit(dataset(shop))
    judged, num_items = shop["judged"], int(shop["num_items"])
    lists = model.recommend(judged, dataset(shop), k=num_items, filter_viewed=False, on_unsupported_targets="ignore")
    scores = np.full((len(judged), num_items), -np.inf, dtype=np.float32)
    place = {user: n for n, user in enumerate(judged.tolist())}
    scores[lists["user_id"].map(place).to_numpy(), lists["item_id"].to_numpy()] = lists["score"].to_numpy()
    return scores, f"RecTools {rectools.__version__}"


def boosted(shop: Shop) -> tuple[np.ndarray, str]:
    """Boosted trees over candidates, which rank by LambdaMART; as many trees as serve the latest window best."""
    import lightgbm

    settings: dict[str, Any] = {
        "objective": "lambdarank", "learning_rate": 0.05, "num_leaves": 31, "min_child_samples": 100,
        "subsample": 0.8, "subsample_freq": 1, "colsample_bytree": 0.8, "random_state": SEED, "verbose": -1,
    }  # fmt: skip
    sizes, held = shop["group_sizes"], int(shop["num_held_out"])
    split = int(sizes[:held].sum())
    search = lightgbm.LGBMRanker(n_estimators=1000, **settings)
    search.fit(
        shop["rows"][split:],
        shop["labels"][split:],
        group=sizes[held:],
        eval_set=[(shop["rows"][:split], shop["labels"][:split])],
        eval_group=[sizes[:held]],
        eval_at=[10],
        callbacks=[lightgbm.early_stopping(50, verbose=False)],
    )
    model = lightgbm.LGBMRanker(n_estimators=search.best_iteration_, **settings)
    model.fit(shop["rows"], shop["labels"], group=sizes)
    scores = np.full((len(shop["judged"]), int(shop["num_items"])), -np.inf, dtype=np.float32)
    scores[shop["asked_place"], shop["asked_item"]] = model.predict(shop["asked_rows"])
    return scores, f"LightGBM {lightgbm.__version__}"


def counts(shop: Shop) -> sparse.csr_matrix:
    """How often each user bought each item."""
    shape = int(shop["num_users"]), int(shop["num_items"])
    values = shop["pair_count"].astype(np.float32)
    return sparse.csr_matrix((values, (shop["pair_user"], shop["pair_item"])), shape=shape)


def dataset(shop: Shop, weights: sparse.csr_matrix | None = None) -> Any:
    """RecTools' dataset of the events, or of weighted pairs; its internal ids are those of the arrays."""
    import pandas as pd
    from rectools.dataset import Dataset, IdMap, Interactions

    if weights is None:
        columns = {"user_id": shop["event_user"], "item_id": shop["event_item"], "weight": 1.0}
        times = pd.to_datetime(shop["event_time"], unit="s")
    else:
        pairs = weights.tocoo()
        columns = {"user_id": pairs.row, "item_id": pairs.col, "weight": pairs.data}
        times = pd.to_datetime(np.zeros(pairs.nnz), unit="s")
    users, items = (IdMap.from_values(np.arange(int(shop[name]))) for name in ("num_users", "num_items"))
    return Dataset(users, items, Interactions(pd.DataFrame({**columns, "datetime": times})))


PEERS: dict[str, Callable[[Shop], tuple[np.ndarray, str]]] = {
    "als": als,
    "bm25": bm25,
    "ease": ease,
    "warp": warp,
    "sasrec": sasrec,
    "boosted": boosted,
}


def main(name: str, shop_path: str, scores_path: str) -> None:
    """See the module's docstring."""
    with np.load(shop_path) as arrays:
        scores, library = PEERS[name](dict(arrays))
    np.savez(scores_path, scores=np.asarray(scores, dtype=np.float32), library=library)


if __name__ == "__main__":
    main(*sys.argv[1:])
