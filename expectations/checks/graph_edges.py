"""What the graph and the features of ranking mean: edges between things that exist, ranks from 1, demands that nest."""

from __future__ import annotations

import great_expectations.expectations as gxe
from pyspark.sql import functions as F

from expectations.checks.features import index_rules, last_indices
from expectations.checks.partitions import Partitions
from expectations.checks.row_rules import Check, Rule
from expectations.runtime.program import Night
from expectations.tables import FIRST_VALUE_INDEX, GRAPH_EDGE_KINDS, GRAPH_EDGES, RANKING_FEATURES, VOCABULARIES

_EDGE = ("kind", "source_index", "target_index", "weight")
_DEMANDS = ("demand_7", "demand_30", "demand_90")


def graph_edge_checks(night: Night, partitions: Partitions, ds: str) -> list[Check]:
    """Edges of a known kind, between values of the vocabularies, never from an item to itself, all with a weight."""
    last = last_indices(partitions.rows(VOCABULARIES, ds))
    last_user, last_item = (last.get(field, FIRST_VALUE_INDEX - 1) for field in ("user_id", "item_id"))
    is_from_user = F.col("kind") == "user_item"
    last_source = F.when(is_from_user, last_user).otherwise(last_item)
    rules = [
        Rule(
            "source_index_is_known",
            f"source_index is from {FIRST_VALUE_INDEX} to {last_user} for a user, to {last_item} for an item.",
            ~F.col("source_index").between(FIRST_VALUE_INDEX, last_source),
            _EDGE,
        ),
        Rule(
            "target_index_is_known",
            f"target_index is from {FIRST_VALUE_INDEX} to {last_item}, the last index of the vocabulary item_id.",
            ~F.col("target_index").between(FIRST_VALUE_INDEX, last_item),
            _EDGE,
        ),
        Rule(
            "edge_leads_elsewhere",
            "No edge leads from an item to itself.",
            ~is_from_user & (F.col("source_index") == F.col("target_index")),
            _EDGE,
        ),
        Rule(
            "weight_is_above_0",
            "Every edge weighs something, and between items no more than a cosine can.",
            (F.col("weight") <= 0) | (~is_from_user & (F.col("weight") > 1)),
            _EDGE,
        ),
    ]
    known_kinds = gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=list(GRAPH_EDGE_KINDS))
    return [Check(partitions.rows(GRAPH_EDGES, ds), [known_kinds], rules)]


def ranking_feature_checks(night: Night, partitions: Partitions, ds: str) -> list[Check]:
    """Known pairs, as many scores and ranks as models, ranks from 1, and no week with more demand than its month."""
    num_models = len(partitions.version(RANKING_FEATURES, ds).facts.get("models", ()))
    scores, ranks = F.col("retriever_scores"), F.col("retriever_ranks")
    week, month, quarter = (F.col(name) for name in _DEMANDS)
    rules = [
        *index_rules(partitions, RANKING_FEATURES, ds, lowest=FIRST_VALUE_INDEX),
        Rule(
            "lists_are_those_of_the_models",
            f"Scores and ranks stand for the {num_models} models that the version names, and one of them proposed it.",
            (F.size(scores) != num_models) | (F.size(ranks) != num_models) | (F.size(F.array_compact(ranks)) < 1),
            ("user_index", "item_index", "retriever_scores", "retriever_ranks"),
        ),
        Rule(
            "ranks_are_from_1",
            "Ranks are counted from 1.",
            F.exists(ranks, lambda rank: rank < 1),
            ("user_index", "item_index", "retriever_ranks"),
        ),
        Rule(
            "demands_nest",
            "What was wanted in 7 days was wanted in 30, and in 90.",
            (week < 0) | (week > month) | (month > quarter),
            ("item_index", *_DEMANDS),
        ),
    ]
    return [Check(partitions.rows(RANKING_FEATURES, ds), [], rules)]
