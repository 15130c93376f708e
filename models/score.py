"""Scores every user's candidates with the ranking model.

Reads candidates of all retrieval models as of `--as-of`, the feature tables, and the ranking model's weights. Adds the
items that a user met lately, since people buy again. Writes scores. With `--shard i/n` a program scores one n-th of the
users into a version folder that all shards share, and whichever completes the set makes it the current version; every
shard may be re-run at any time. Users are read block by block, so that memory does not grow with them.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads

from expectations.runtime.arrow_types import arrow_schema
from expectations.runtime.lake import Version, parquet_dataset
from expectations.runtime.program import Night, add_as_of, days_from, night_from, night_parser, run_program
from expectations.tables import (
    CANDIDATES,
    FIRST_VALUE_INDEX,
    SCORES,
    NightError,
    TableContractError,
)
from models.data.dataset import Dataset, load_dataset
from models.data.snapshot import Snapshot
from models.interface.fitted_models import fitted_model
from models.interface.in_force import ModelsAsOf
from models.interface.model import RankingModel
from models.interface.registry import MODELS, model_class
from models.interface.shards import Shard, ShardedTable
from models.interface.weights_store import fetched_folder

USERS_AT_ONCE = 1024
"""Users whose candidates are read and scored together: bounds memory."""
USERS_OF_A_LENGTH = 128
"""Users of about one number of candidates who are scored together; fewer would pad less, in more calls."""
NUM_RECENT_ITEMS = 50
"""Latest items of a user that are scored beside the candidates."""

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Scores one shard of the users."""
    arguments = _parser().parse_args(argv)
    night = night_from(arguments)
    ranking = [name for name in night.shop.models if name in MODELS and MODELS[name].role == "ranking"]
    if not ranking:
        logger.info("nothing to score: the shop runs no ranking model")
    for as_of in days_from(arguments, night):
        for name in ranking:
            score_candidates(night, as_of, name, Shard.from_text(arguments.shard))


def _parser() -> argparse.ArgumentParser:
    parser = night_parser(__doc__)
    add_as_of(parser)
    parser.add_argument("--shard", default="1/1", help="i/n: score the i-th of n parts of the users")
    return parser


def score_candidates(night: Night, as_of: str, name: str, shard: Shard) -> Version | None:
    """Writes a shard's scores. Returns the version if it is current afterwards, None while shards are missing.

    Raises:
        NightError: the ranking model has no fit that counts.
        TableContractError: no retrieval model has candidates that do.
    """
    models = ModelsAsOf(night.lake, night.shop, as_of)
    fit, fingerprint = models.fit(name), models.scores_fingerprint(name)
    if fit is None:
        raise NightError(
            f"{SCORES.name} ds={as_of}: {name} has no fit of what the lake and the shop file say now. "
            f"Was models.train run for it?"
        )
    if fingerprint is None:
        raise TableContractError(
            f"{CANDIDATES.name} ds={as_of}: no model of {', '.join(night.shop.models)} has any that count. "
            f"Was {CANDIDATES.built_by} run for it?"
        )
    job = ShardedTable(night.lake, SCORES, as_of, name, fingerprint, shard)
    if built := job.built():
        return built
    dataset = load_dataset(night.lake, night.shop, as_of)
    with fetched_folder(night.lake, str(fitted_model(fit)["weights_path"])) as folder:
        model = cast(RankingModel, model_class(name).load(folder))
    return job.write(scored_blocks(model, dataset, list(models.candidates.values()), shard))


def scored_blocks(
    model: RankingModel, dataset: Dataset, candidates: Sequence[Version], shard: Shard
) -> Iterator[pa.Table]:
    """Rows of `scores` for the shard's users, block by block, by user and item."""
    for block in shard.user_blocks(dataset.num_users, USERS_AT_ONCE):
        pairs = _candidate_pairs(dataset, candidates, block)
        if len(pairs):
            yield _scored(model, dataset, block, pairs)


def _candidate_pairs(dataset: Dataset, candidates: Sequence[Version], users: np.ndarray) -> np.ndarray:
    """What the retrieval models propose to the users, and what these met lately. Ascending keys, each once."""
    first, last = int(users[0]), int(users[-1])
    of_block = (pads.field("user_index") >= first) & (pads.field("user_index") <= last)
    keys = []
    for version in candidates:
        rows = parquet_dataset(version.path).to_table(columns=["user_index", "item_index"], filter=of_block)
        keys.append(rows["user_index"].to_numpy().astype(np.int64) * dataset.num_items + rows["item_index"].to_numpy())
    recent, *_ = Snapshot(dataset, dataset.end).histories(users, NUM_RECENT_ITEMS)
    is_item = recent >= FIRST_VALUE_INDEX
    own = (users[:, None].astype(np.int64) * dataset.num_items + recent)[is_item]
    return np.unique(np.concatenate([*keys, own]))


def _scored(model: RankingModel, dataset: Dataset, users: np.ndarray, keys: np.ndarray) -> pa.Table:
    """Scores pairs in rows of one length, padded with item 0, whose scores are left out again."""
    user_of, item_of = np.divmod(keys, dataset.num_items)
    row = user_of - users[0]
    lengths = np.bincount(row, minlength=len(users))
    place = np.arange(len(keys)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    items = np.zeros((len(users), lengths.max()), dtype=np.int64)
    items[row, place] = item_of
    scores = _scores_of_rows(model, dataset, users, items, lengths)[row, place]
    seen = np.asarray(dataset.seen_by(users)[row, item_of]).ravel() > 0
    return pa.table(
        {
            "ds": pa.repeat(pa.scalar(dataset.as_of), len(keys)),
            "model": pa.repeat(pa.scalar(model.name), len(keys)),
            "user_index": user_of.astype(np.int32),
            "item_index": item_of.astype(np.int32),
            "score": scores,
            "is_seen": seen,
        },
        schema=arrow_schema(SCORES),
    )


def _scores_of_rows(
    model: RankingModel, dataset: Dataset, users: np.ndarray, items: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Scores of the first `lengths` items of each row, and zeros after them. Shape of `items`.

    Rows of about one length are asked for together: padded to the longest of a block, they were two fifths longer on
    UCI Online Retail.
    """
    scores = np.zeros(items.shape, dtype=np.float32)
    for part in np.array_split(np.argsort(lengths, kind="stable"), -(-len(users) // USERS_OF_A_LENGTH)):
        width = lengths[part].max()
        if width:
            scores[part, :width] = model.pair_scores(dataset, users[part], items[part, :width])
    return scores


if __name__ == "__main__":
    run_program(main)
