"""What models read, as of ds: tables that `jobs.preprocess` builds."""

from __future__ import annotations

from expectations.tables.table import EVENT_TYPES, Column, lake_table

VOCABULARY_FIELDS = (
    "user_id",
    "item_id",
    "event_type",
    "category",
    "brand",
    "domain",
    "token",
    "age_bucket",
    "gender",
    "country",
    "interest",
)
TOKENIZERS = lake_table(
    "tokenizers",
    "",
    (Column("model", "binary", comment="a SentencePiece model; its piece ids are the indices of the field `token`"),),
    "jobs.preprocess",
    "One row: the subword pieces that texts are cut into, learnt from the catalogue of an anchor day.",
)
VOCABULARIES = lake_table(
    "vocabularies",
    "field value",
    (
        Column("field", "string", comment="one of VOCABULARY_FIELDS"),
        Column("value", "string"),
        Column("index", "int", comment="from FIRST_VALUE_INDEX, without gaps within a field"),
        Column("vocabulary_hash", "string", comment="one hash over all rows of the partition"),
    ),
    "jobs.preprocess",
    "Which integer stands for which value. 0 is padding, 1 is unknown.",
)
PAIR_TOTALS = lake_table(
    "pair_totals",
    "user_index item_index",
    (
        Column("user_index", "int"),
        Column("item_index", "int"),
        *(Column(f"num_{event_type}s", "bigint", comment="events; lines that take back count for none")
          for event_type in EVENT_TYPES),
        Column("units_kept", "decimal(28,6)", comment="units bought less units that came back"),
        Column("first_other_time", "timestamp", nullable=True, comment="UTC, of all events but purchases"),
        Column("last_other_time", "timestamp", nullable=True, comment="UTC"),
        Column("first_purchase_time", "timestamp", nullable=True, comment="UTC"),
        Column("last_purchase_time", "timestamp", nullable=True, comment="UTC"),
    ),
    "jobs.preprocess",
    "Sums over the whole log up to an anchor day, so that a night reads only what came after it.",
)  # fmt: skip
RECENT_EVENTS = lake_table(
    "recent_events",
    "user_index",
    (
        Column("user_index", "int"),
        Column(
            "entries",
            "array<struct<micros:bigint,place:bigint,item_index:int,event_type_index:int,session:bigint>>",
            comment="in time order, returned purchases included; `session` is a hash of the session's id, null without",
        ),
    ),
    "jobs.preprocess",
    "Each user's latest `max_history` events up to an anchor day, and all purchases before them: where `histories` go "
    "on from.",
)
INTERACTIONS = lake_table(
    "interactions",
    "user_index item_index",
    (
        Column("user_index", "int"),
        Column("item_index", "int"),
        Column("weight", "float", comment="sum over event types of the shop's weight x number of events"),
        Column("num_events", "int"),
        Column("num_purchases", "int"),
        Column("first_time", "timestamp", comment="UTC"),
        Column("last_time", "timestamp", comment="UTC"),
    ),
    "jobs.preprocess",
    "One row per user and item that met. Purchases that came back whole are not in it.",
)
HISTORIES = lake_table(
    "histories",
    "user_index",
    (
        Column("user_index", "int"),
        Column("item_indices", "array<int>", comment="time order, latest last; ties by item_id"),
        Column("event_type_indices", "array<int>"),
        Column("gap_buckets", "array<int>", comment="log2 of the minutes since the event before, plus 1; 0 first"),
        Column("event_times", "array<bigint>", comment="seconds since 1970 UTC"),
        Column("session_starts", "array<int>", comment="1 where a session begins, otherwise 0"),
        Column("weekdays", "array<int>", comment="1 is Monday, 7 is Sunday, in UTC"),
        Column("older_purchase_indices", "array<int>", comment="items bought before these events, in time order"),
        Column("older_purchase_times", "array<bigint>", comment="seconds since 1970 UTC"),
    ),
    "jobs.preprocess",
    "Each user's latest events, at most `max_history` of the shop file, packed, without padding; and, however many "
    "events came since, every purchase before them, for rules and counts.",
)
MAX_TITLE_TOKENS = 32
"""Subword pieces of a title that are kept: bounds the width of what text encoders read."""
MAX_DESCRIPTION_TOKENS = 128
"""Subword pieces of a description that are kept; descriptions are longer than titles."""
ITEM_FEATURES = lake_table(
    "item_features",
    "item_index",
    (
        Column("item_index", "int"),
        Column("category_indices", "array<int>", comment="multi-hot: the ones' places, one per level of the path"),
        Column("brand_index", "int", comment="one-hot: the place of the one"),
        Column("domain_index", "int", comment="one-hot: the place of the one"),
        Column("price_bucket", "int", comment="decile of the prices of its category, 1 to 10; 0 without a price"),
        Column(
            "token_indices", "array<int>", comment="subword pieces of the title, in order, at most MAX_TITLE_TOKENS"
        ),
        Column("description_token_indices", "array<int>", comment="likewise, of the description without its markup"),
        Column("is_available", "boolean"),
        Column("age_days", "int", comment="days since first_seen, as of ds"),
    ),
    "jobs.preprocess",
)
IMAGE_STATUSES = ("decoded", "absent", "unreadable")
ITEM_IMAGES = lake_table(
    "item_images",
    "item_index",
    (
        Column("item_index", "int"),
        Column("status", "string", comment="of IMAGE_STATUSES; absent: no file there; unreadable: no whole picture"),
        Column("pixels", "binary", nullable=True, comment="image_size x image_size x 3 bytes: rows from the top, RGB"),
        Column("source", "string", comment="path, size and time of the file, so that the same file is decoded once"),
    ),
    "jobs.preprocess",
    "One row per item that names a picture.",
)
USER_FEATURES = lake_table(
    "user_features",
    "user_index",
    (
        Column("user_index", "int"),
        Column("age_bucket_index", "int"),
        Column("gender_index", "int"),
        Column("country_index", "int"),
        Column("interest_indices", "array<int>", comment="multi-hot: the ones' places"),
    ),
    "jobs.preprocess",
)

GRAPH_EDGE_KINDS = ("user_item", "session", "window", "cross_domain")
GRAPH_EDGES = lake_table(
    "graph_edges",
    "kind source_index target_index",
    (
        Column("kind", "string", comment="one of GRAPH_EDGE_KINDS"),
        Column("source_index", "int", comment="a user for `user_item`, otherwise an item"),
        Column("target_index", "int", comment="an item"),
        Column("weight", "float", comment="time-decayed taste for `user_item`, otherwise a shrunk cosine"),
    ),
    "jobs.preprocess",
    "Who met what, and which items go together: within a session, within days of each other, across departments.",
)
