"""What the shop tells, day by day: tables that `jobs.ingest` writes from raw drops."""

from __future__ import annotations

from expectations.tables.table import Column, lake_table

EVENTS = lake_table(
    "events",
    "",
    (
        Column("event_time", "timestamp", comment="UTC"),
        Column("user_id", "string"),
        Column("item_id", "string"),
        Column("event_type", "string", comment="one of EVENT_TYPES"),
        Column("quantity", "double", comment="units; negative when a purchase came back"),
        Column("price", "double", nullable=True, comment="per unit, in the shop's currency"),
        Column("session_id", "string", nullable=True),
        Column("domain", "string", comment="the shop's department: one catalogue may hold several"),
        Column("place", "bigint", comment="order in which the files of the drop tell of what happened at one time"),
    ),
    "jobs.ingest",
    "One row per accepted line of the drop of `ds`. Lines that agree in the shop's `duplicate_key` count once.",
)
QUARANTINE = lake_table(
    "quarantine",
    "",
    (
        Column("source", "string", comment="events, items or users"),
        Column("reason", "string", comment="the rule that the row broke"),
        Column("file", "string", comment="path of the raw file"),
        Column("line", "bigint", comment="line at which the row begins; of Parquet and workbooks, the row"),
        Column("raw", "string", comment="what the shop file maps of the row, as JSON; a malformed one as it came"),
    ),
    "jobs.ingest",
    "Rows of the drop of `ds` that broke the contract.",
)

_ITEM_ATTRIBUTES = (
    Column("title", "string", nullable=True),
    Column("description", "string", nullable=True),
    Column("category", "array<string>", comment="path, broadest first; empty when not known"),
    Column("brand", "string", nullable=True),
    Column("price", "double", nullable=True),
    Column("image_path", "string", nullable=True),
    Column("item_group_id", "string", nullable=True, comment="what its variants share; null where it has none"),
    Column("domain", "string"),
)
_USER_ATTRIBUTES = (
    Column("age", "int", nullable=True),
    Column("gender", "string", nullable=True),
    Column("country", "string", nullable=True),
    Column("interests", "array<string>"),
)
ITEM_UPDATES = lake_table(
    "item_updates",
    "item_id",
    (
        Column("item_id", "string"),
        *_ITEM_ATTRIBUTES,
        Column("is_available", "boolean"),
        Column("is_filed", "boolean", comment="an items file says so; otherwise events do"),
        Column("last_seen", "timestamp", comment="UTC; the latest row of that day that spoke of the item"),
    ),
    "jobs.ingest",
    "What the drop of `ds` says about items: its catalogue file, or what its events carry.",
)
USER_UPDATES = lake_table(
    "user_updates",
    "user_id",
    (
        Column("user_id", "string"),
        *_USER_ATTRIBUTES,
        Column("filed", "array<string>", comment="names of the attributes that a users file gave"),
        Column("last_seen", "timestamp", comment="UTC"),
    ),
    "jobs.ingest",
    "What the drop of `ds` says about users: its users file, or what its events carry.",
)
ITEMS = lake_table(
    "items",
    "item_id",
    (
        Column("item_id", "string"),
        *_ITEM_ATTRIBUTES,
        Column("is_available", "boolean", comment="may be recommended on the day after `ds`"),
        Column("is_filed", "boolean", comment="an items file ever named it; then what events say of it does not count"),
        Column("first_seen", "string", comment="the first ds that spoke of the item"),
        Column("last_seen", "string", comment="the latest ds that did"),
    ),
    "jobs.preprocess",
    "The catalogue as it stood when `ds` ended.",
)
USERS = lake_table(
    "users",
    "user_id",
    (
        Column("user_id", "string"),
        *_USER_ATTRIBUTES,
        Column("filed", "array<string>", comment="names of the attributes that a users file ever gave"),
        Column("first_seen", "string", comment="the first ds that spoke of the user"),
        Column("last_active", "string", nullable=True, comment="ds of the user's last event; null without any"),
    ),
    "jobs.preprocess",
    "Everybody the shop knew when `ds` ended.",
)
