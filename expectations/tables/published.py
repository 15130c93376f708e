"""What the shop reads: Delta tables, partitioned by ds."""

from __future__ import annotations

from expectations.tables.table import Column, Table

_PUBLISHED = (
    Column("model_version", "string"),
    Column("generated_at", "timestamp", comment="UTC"),
    Column("expires_at", "timestamp", comment="UTC"),
)


def published_table(name: str, key: str, columns: tuple[Column, ...], comment: str) -> Table:
    """A Delta table; `key` names the columns beside `ds`, separated by spaces."""
    keys = key.split()
    key_columns = tuple(Column(k, "int" if k == "rank" else "string") for k in keys)
    ds = Column("ds", "string")
    return Table(
        name, "published", ("ds", *keys), (ds, *key_columns, *columns, *_PUBLISHED), "jobs.build_tables", comment
    )


_WHY = (
    Column("score", "double", comment="never rises with rank"),
    Column("source", "string", comment="the model, or the fallback, that chose the item"),
    Column("reason_code", "string"),
    Column("reason", "string", comment="in words, for a shopper"),
)
USER_RECOMMENDATIONS = published_table(
    "user_recommendations",
    "user_id rank",
    (
        Column("item_id", "string"),
        *_WHY,
        Column("because_item_ids", "array<string>", comment="items of the user's own history; may be empty"),
        Column("is_fallback", "boolean", comment="not from the model that the night meant to publish"),
        Column(
            "propensity",
            "double",
            nullable=True,
            comment="probability with which the item came to this rank, given those above; 1 where nothing was drawn, "
            "null in partitions from before there were any",
        ),
    ),
    "K items for every user, best first.",
)
SIMILAR_ITEMS = published_table(
    "similar_items",
    "item_id rank",
    (Column("similar_item_id", "string"), *_WHY),
    "K items for every item, where the shop has as many others on sale: what goes with it and what is like it.",
)
EVERYBODY = "all"
"""The segment of whoever nothing is known of."""
NEW_USER_RECOMMENDATIONS = published_table(
    "new_user_recommendations",
    "segment rank",
    (Column("item_id", "string"), *_WHY),
    "K items for whoever the shop knows nothing of but a country, an age or a gender; the segment `all` always exists.",
)
NEW_ITEM_AUDIENCES = published_table(
    "new_item_audiences",
    "item_id rank",
    (Column("user_id", "string"), *_WHY),
    "For each item that is new, who is most likely to want it; no rows where nothing is new.",
)
CROSS_DOMAIN_RECOMMENDATIONS = published_table(
    "cross_domain_recommendations",
    "user_id domain rank",
    (
        Column("item_id", "string", comment="of that domain"),
        *_WHY,
        Column("because_item_ids", "array<string>", comment="of the user's history in other domains; may be empty"),
    ),
    "K items of a domain for every user who met something in another one, best first. Not of a shop of one domain.",
)
RUN_MANIFEST = Table(
    "run_manifest",
    "published",
    ("ds", "table_name"),
    (
        Column("ds", "string"),
        Column("table_name", "string"),
        Column("status", "string", comment="published, fallback or rolled_back"),
        Column(
            "table_version",
            "bigint",
            nullable=True,
            comment="of the Delta table, to read this night from; null, for the latest one, in partitions of releases "
            "that named none",
        ),
        Column(
            "rollback",
            "string",
            nullable=True,
            comment="JSON: when, by which run and between which versions this table of the night was rolled back; null "
            "where it was not",
        ),
        Column("rows", "bigint"),
        Column("users", "bigint", comment="how many lists: of users, of items, or of segments"),
        Column("fallback_share", "double"),
        Column(
            "metrics",
            "string",
            comment="JSON: the backtest, the gate, the table's own figures, its `rules` and counts, its `policy`",
        ),
        Column("model_versions", "string", comment="JSON"),
        Column("input_fingerprint", "string", comment="of every drop and setting that the night read"),
        Column("vocabulary_hash", "string"),
        Column("run_id", "string"),
        Column("code_version", "string"),
        *_PUBLISHED[1:],
    ),
    "jobs.publish_tables",
    "One row per published table and night: what it rests on and how good it is.",
)
