"""All tables by name, and which belong to which stage of a night."""

from __future__ import annotations

from expectations.tables.evaluation import (
    ATTRIBUTIONS,
    BACKTEST_GAINS,
    BACKTEST_SLICES,
    BACKTESTS,
    GATE_DECISIONS,
    POLICY_DECISIONS,
)
from expectations.tables.features import (
    GRAPH_EDGES,
    HISTORIES,
    INTERACTIONS,
    ITEM_FEATURES,
    ITEM_IMAGES,
    PAIR_TOTALS,
    RECENT_EVENTS,
    TOKENIZERS,
    USER_FEATURES,
    VOCABULARIES,
)
from expectations.tables.model_outputs import (
    CANDIDATES,
    FITTED_MODELS,
    HISTORY_VECTORS,
    ITEM_NEIGHBOURS,
    ITEM_VECTORS,
    SCORES,
    USER_VECTORS,
)
from expectations.tables.published import (
    CROSS_DOMAIN_RECOMMENDATIONS,
    NEW_ITEM_AUDIENCES,
    NEW_USER_RECOMMENDATIONS,
    RUN_MANIFEST,
    SIMILAR_ITEMS,
    USER_RECOMMENDATIONS,
)
from expectations.tables.raw import EVENTS, ITEM_UPDATES, ITEMS, QUARANTINE, USER_UPDATES, USERS
from expectations.tables.table import Table

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        EVENTS, QUARANTINE, ITEM_UPDATES, USER_UPDATES, ITEMS, USERS,
        TOKENIZERS, VOCABULARIES, PAIR_TOTALS, RECENT_EVENTS, INTERACTIONS, HISTORIES,
        ITEM_FEATURES, ITEM_IMAGES, USER_FEATURES, GRAPH_EDGES,
        FITTED_MODELS, USER_VECTORS, ITEM_VECTORS, HISTORY_VECTORS, ITEM_NEIGHBOURS,
        CANDIDATES, SCORES,
        BACKTESTS, BACKTEST_SLICES, BACKTEST_GAINS, GATE_DECISIONS, POLICY_DECISIONS, ATTRIBUTIONS,
        USER_RECOMMENDATIONS, SIMILAR_ITEMS, NEW_USER_RECOMMENDATIONS, NEW_ITEM_AUDIENCES,
        CROSS_DOMAIN_RECOMMENDATIONS, RUN_MANIFEST,
    )
}  # fmt: skip
INPUT_TABLES = ("events", "items", "users")
FEATURE_TABLES = (
    "vocabularies",
    "interactions",
    "histories",
    "item_features",
    "item_images",
    "user_features",
    "graph_edges",
)
OUTPUT_TABLES = (
    "user_recommendations",
    "similar_items",
    "new_user_recommendations",
    "new_item_audiences",
    "cross_domain_recommendations",
)
"""All that a night may publish; `expectations.semantics.published_tables` says what the night of a shop does."""
