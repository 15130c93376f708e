"""What the graph and the features of ranking mean: edges between things that exist, ranks from 1, demands that nest."""

from __future__ import annotations

import great_expectations.expectations as gxe
from pyspark.sql import functions as F

from expectations.checks.features import last_indices
from expectations.checks.partitions import Partitions
from expectations.checks.row_rules import Check, RowCheck
from expectations.shop.shop import Shop
from expectations.tables import FIRST_VALUE_INDEX, GRAPH_EDGE_KINDS, GRAPH_EDGES, VOCABULARIES

_EDGE = ("kind", "source_index", "target_index", "weight")


def graph_edge_checks(partitions: Partitions, ds: str, shop: Shop) -> list[Check]:
    """Edges of a known kind, between values of the vocabularies, never from an item to itself, all with a weight."""
    last = last_indices(partitions.rows(VOCABULARIES, ds))
    last_user, last_item = (last.get(field, FIRST_VALUE_INDEX - 1) for field in ("user_id", "item_id"))
    is_from_user = F.col("kind") == "user_item"
    last_source = F.when(is_from_user, last_user).otherwise(last_item)
    row_checks = [
        RowCheck(
            "source_index_is_known",
            f"source_index is from {FIRST_VALUE_INDEX} to {last_user} for a user, to {last_item} for an item.",
            ~F.col("source_index").between(FIRST_VALUE_INDEX, last_source),
            _EDGE,
        ),
        RowCheck(
            "target_index_is_known",
            f"target_index is from {FIRST_VALUE_INDEX} to {last_item}, the last index of the vocabulary item_id.",
            ~F.col("target_index").between(FIRST_VALUE_INDEX, last_item),
            _EDGE,
        ),
        RowCheck(
            "edge_leads_elsewhere",
            "No edge leads from an item to itself.",
            ~is_from_user & (F.col("source_index") == F.col("target_index")),
            _EDGE,
        ),
        RowCheck(
            "weight_is_above_0",
            "Every edge weighs something, and between items no more than a cosine can.",
            (F.col("weight") <= 0) | (~is_from_user & (F.col("weight") > 1)),
            _EDGE,
        ),
    ]
    known_kinds = gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=list(GRAPH_EDGE_KINDS))
    return [Check(partitions.rows(GRAPH_EDGES, ds), [known_kinds], row_checks)]
