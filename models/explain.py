"""Finds the item that each row of the published model's lists owes most to, by asking the model without it.

Reads the gate's decision, the published model's lists and weights, and the features as of ds; where the policy may
re-rank these lists, what it brought up is explained by the same model. Writes `attributions` for
the best of each user's list, deep enough that the shop's rules may choose among them; a model that cannot be asked that
way leaves none, and then reasons rest on item-item weights. With `--shard i/n` a program explains one n-th of the
users. A re-run finds its work done.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from scipy import sparse

from expectations.runtime.arrow_types import arrow_schema
from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Version, fingerprint_of, parquet_dataset
from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.semantics.models_in_force import models_in_force
from expectations.semantics.policy_decision import policy_decision
from expectations.tables import (
    ATTRIBUTIONS,
    FITTED_MODELS,
    GATE_DECISIONS,
    ITEM_NEIGHBOURS,
    PADDING_INDEX,
)
from models.data.dataset import Dataset, dataset_versions, load_dataset
from models.evaluation.held_out import NEW_ITEMS, decisive_task
from models.families.attribution import Explainable, attributions, candidate_causes
from models.interface.fitted_models import fitted_model
from models.interface.model import NO_ITEM
from models.interface.ranked_lists import read_list_rows, top_items
from models.interface.registry import MODELS, model_class
from models.interface.shards import Shard, ShardedTable
from models.interface.vector_rows import neighbour_matrix
from models.interface.weights_store import fetched_folder

DEPTH = 3
"""So many times K rows of a list are explained."""
NUM_CAUSES = 12
"""Items of a history that are taken out, one at a time."""
USERS_AT_ONCE = 256
"""Small, because each history is scored once for every item that is taken out of it."""

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Explains one shard of the users."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    night = night_from(arguments)
    explain(night, Shard.from_text(arguments.shard))


def _parser() -> argparse.ArgumentParser:
    parser = night_parser(__doc__)
    parser.add_argument("--shard", default="1/1", help="i/n: explain to the i-th of n parts of the users")
    return parser


def explain(night: Night, shard: Shard) -> Version | None:
    """Writes a shard's attributions. Returns the version if it is current afterwards.

    None where shards are missing, or where the published model cannot be asked without an item.
    """
    lake, ds = night.lake, night.ds
    name = str(lake.read(GATE_DECISIONS, ds)["published_model"][0].as_py())
    lists, in_force = lists_to_explain(night, name), models_in_force(lake, ds)
    fit, neighbours = in_force.version(lake, FITTED_MODELS, name), in_force.version(lake, ITEM_NEIGHBOURS, "item_item")
    if lists is None or fit is None or not issubclass(model_class(name), Explainable):
        logger.info("not explained: model=%s cannot be asked as if an item had not been met", name)
        return None
    told = [lists, fit, *dataset_versions(lake, ds)]
    parts = [version.fingerprint for version in (*told, *([neighbours] if neighbours else []))]
    settings = [night.shop.top_k, night.shop.repeats]
    fingerprint = fingerprint_of(
        ATTRIBUTIONS.name, ds, name, code_version("models.explain", MODELS[name].module), parts, settings
    )
    job = ShardedTable(lake, ATTRIBUTIONS, ds, name, fingerprint, shard)
    if built := job.built():
        return built
    job.withdraw_others()
    dataset = load_dataset(lake, night.shop, ds)
    with fetched_folder(lake, str(fitted_model(fit)["weights_path"])) as folder:
        model = model_class(name).load(folder)
    assert isinstance(model, Explainable), "its class was asked above"
    weights = None
    if neighbours is not None:
        weights = neighbour_matrix(parquet_dataset(neighbours.path).to_table(), dataset.num_items)
    blocks = explained_blocks(night, name, model, dataset, lists, weights, shard)
    return job.write(blocks, lists=lists.fingerprint)


def lists_to_explain(night: Night, name: str) -> Version | None:
    """The published model's lists, in the policy's order where that is allowed; None where it has none."""
    found = models_in_force(night.lake, night.ds).lists(night.lake, name)
    if found is None:
        return None
    _, lists = found
    decision = policy_decision(night.lake, night.shop, night.ds, lists)
    return decision.lists if decision and decision.lists else lists


def explained_blocks(
    night: Night,
    name: str,
    model: Explainable,
    dataset: Dataset,
    lists: Version,
    weights: sparse.csr_matrix | None,
    shard: Shard,
) -> Iterator[pa.Table]:
    """Yields rows of `attributions` for the shard's users, block by block.

    Args:
        weights: [item met, item listed], which tells the likely causes; shape (num_items, num_items), float32. None:
            the latest items of a history are asked about.
    """
    exclude_seen = decisive_task(night.shop) == NEW_ITEMS
    blocks = shard.user_blocks(dataset.num_users, USERS_AT_ONCE)
    for n, block in enumerate(blocks, start=1):
        listed = top_items(read_list_rows(lists, block), block, DEPTH * night.shop.top_k, exclude_seen)
        listed = np.where(listed == NO_ITEM, PADDING_INDEX, listed)
        causes = candidate_causes(dataset, block, listed, weights, NUM_CAUSES)
        found = attributions(model, dataset, block, listed, causes)
        rows, places = np.nonzero(found.cited_item)
        yield pa.table(
            {
                "ds": pa.repeat(pa.scalar(dataset.as_of), len(rows)),
                "model": pa.repeat(pa.scalar(name), len(rows)),
                "user_index": block[rows].astype(np.int32),
                "item_index": listed[rows, places].astype(np.int32),
                "because_index": found.cited_item[rows, places],
                "score_drop": found.score_drop[rows, places],
            },
            schema=arrow_schema(ATTRIBUTIONS),
        )
        logger.info("explained: model=%s blocks=%d of=%d", name, n, len(blocks))


if __name__ == "__main__":
    run_program(main)
