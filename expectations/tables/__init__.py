"""Every table of Nightjar: its columns, key and home. The one place where a column name is decided.

Standard library only, so that DAG files may import it. Types are written in Spark's DDL.

Two homes (see `expectations.runtime.lake` and `jobs.publish_tables`):

- `lake`: what programs hand to each other; plain Parquet, one immutable version per partition.
- `published`: what the shop reads; Delta, partitioned by `ds`, replaced one partition at a time.

`ds` is the partition, the last complete day of data, as `YYYY-MM-DD` text in every table. In lake tables
a row of partition `ds` depends on nothing that happened after `ds` ends.
"""

from __future__ import annotations

from expectations.tables.catalogue import FEATURE_TABLES, INPUT_TABLES, OUTPUT_TABLES, TABLES
from expectations.tables.evaluation import (
    ATTRIBUTIONS,
    BACKTEST_GAINS,
    BACKTEST_SLICES,
    BACKTESTS,
    GATE_DECISIONS,
    POLICY_DECISIONS,
)
from expectations.tables.features import (
    GRAPH_EDGE_KINDS,
    GRAPH_EDGES,
    HISTORIES,
    IMAGE_STATUSES,
    INTERACTIONS,
    ITEM_FEATURES,
    ITEM_IMAGES,
    MAX_DESCRIPTION_TOKENS,
    MAX_TITLE_TOKENS,
    PAIR_TOTALS,
    RECENT_EVENTS,
    TOKENIZERS,
    USER_FEATURES,
    VOCABULARIES,
    VOCABULARY_FIELDS,
)
from expectations.tables.model_outputs import (
    CANDIDATES,
    FITTED_MODELS,
    HISTORY_VECTORS,
    ITEM_NEIGHBOURS,
    ITEM_VECTORS,
    MODEL,
    SCORES,
    USER_VECTORS,
)
from expectations.tables.published import (
    CROSS_DOMAIN_RECOMMENDATIONS,
    EVERYBODY,
    NEW_ITEM_AUDIENCES,
    NEW_USER_RECOMMENDATIONS,
    RUN_MANIFEST,
    SIMILAR_ITEMS,
    USER_RECOMMENDATIONS,
    published_table,
)
from expectations.tables.raw import EVENTS, ITEM_UPDATES, ITEMS, QUARANTINE, USER_UPDATES, USERS
from expectations.tables.table import (
    AGENTS,
    EVENT_TYPES,
    FIRST_VALUE_INDEX,
    PADDING_INDEX,
    PURCHASE_INDEX,
    UNKNOWN_INDEX,
    Column,
    NightError,
    Table,
    TableContractError,
    ds_from_text,
    lake_table,
)

__all__ = [
    "AGENTS",
    "ATTRIBUTIONS",
    "BACKTESTS",
    "BACKTEST_GAINS",
    "BACKTEST_SLICES",
    "CANDIDATES",
    "CROSS_DOMAIN_RECOMMENDATIONS",
    "EVENTS",
    "EVENT_TYPES",
    "EVERYBODY",
    "FEATURE_TABLES",
    "FIRST_VALUE_INDEX",
    "FITTED_MODELS",
    "GATE_DECISIONS",
    "GRAPH_EDGES",
    "GRAPH_EDGE_KINDS",
    "HISTORIES",
    "HISTORY_VECTORS",
    "IMAGE_STATUSES",
    "INPUT_TABLES",
    "INTERACTIONS",
    "ITEMS",
    "ITEM_FEATURES",
    "ITEM_IMAGES",
    "ITEM_NEIGHBOURS",
    "ITEM_UPDATES",
    "ITEM_VECTORS",
    "MAX_DESCRIPTION_TOKENS",
    "MAX_TITLE_TOKENS",
    "MODEL",
    "NEW_ITEM_AUDIENCES",
    "NEW_USER_RECOMMENDATIONS",
    "OUTPUT_TABLES",
    "PADDING_INDEX",
    "PAIR_TOTALS",
    "POLICY_DECISIONS",
    "PURCHASE_INDEX",
    "QUARANTINE",
    "RECENT_EVENTS",
    "RUN_MANIFEST",
    "SCORES",
    "SIMILAR_ITEMS",
    "TABLES",
    "TOKENIZERS",
    "UNKNOWN_INDEX",
    "USERS",
    "USER_FEATURES",
    "USER_RECOMMENDATIONS",
    "USER_UPDATES",
    "USER_VECTORS",
    "VOCABULARIES",
    "VOCABULARY_FIELDS",
    "Column",
    "NightError",
    "Table",
    "TableContractError",
    "ds_from_text",
    "lake_table",
    "published_table",
]
