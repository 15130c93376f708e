"""Every table of Nightjar: its columns, key and home. The one place where a column name is decided.

Standard library only, so that DAG files may import it. Types are written in Spark's DDL.

Two homes (see `expectations.runtime.lake` and `jobs.publish_tables`):

- `lake`: what programs hand to each other; plain Parquet, one immutable version per partition.
- `published`: what the shop reads; Delta, partitioned by `ds`, replaced one partition at a time.

`ds` is the partition, the last complete day of data, as `YYYY-MM-DD` text in every table. In lake tables
a row of partition `ds` depends on nothing that happened after `ds` ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

EVENT_TYPES = ("view", "click", "cart", "purchase")

AGENTS = ("policy_gradient", "q_learning")
"""What may re-rank lists. Their files in models/configs are of no model that a shop runs."""

PADDING_INDEX = 0
"""Index of "nothing here"; no vocabulary value ever has it."""
UNKNOWN_INDEX = 1
"""Index of a value that the vocabulary does not hold."""
FIRST_VALUE_INDEX = 2
PURCHASE_INDEX = FIRST_VALUE_INDEX + EVENT_TYPES.index("purchase")
"""Of the event type, in every vocabulary."""


class NightError(Exception):
    """A night cannot go on, for a reason that its message gives in one line: rule, what came, what to do."""


class TableContractError(NightError):
    """A table, or a partition of it, is missing or does not keep its contract."""


@dataclass(frozen=True)
class Column:
    """A column; `type` in Spark's DDL. `nullable` says whether "not known" is an answer."""

    name: str
    type: str
    nullable: bool = False
    comment: str = ""


@dataclass(frozen=True)
class Table:
    """A table; `key` names the columns that are unique together."""

    name: str
    home: Literal["lake", "published"]
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    built_by: str
    comment: str = ""

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def listed(self) -> str:
        """What a row of a published list names: the first column after the key."""
        return self.columns[len(self.key)].name

    @property
    def ddl(self) -> str:
        """The schema as Spark reads it: `name type [NOT NULL], ...`."""
        return ", ".join(f"{c.name} {c.type}{'' if c.nullable else ' NOT NULL'}" for c in self.columns)


def ds_from_text(text: str) -> str:
    """Returns `text` if it is a day written `YYYY-MM-DD`.

    Raises:
        NightError: it is not; `2011-2-30` or `20111109` would otherwise become a partition nobody reads.
    """
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            pass
    raise NightError(f"`ds` must be a day written YYYY-MM-DD, such as 2011-11-09. Received: {text!r}")


def _lake(name: str, key: str, columns: tuple[Column, ...], built_by: str, comment: str = "") -> Table:
    ds = Column("ds", "string", comment="the last complete day of data, YYYY-MM-DD")
    return Table(name, "lake", ("ds", *key.split()), (ds, *columns), built_by, comment)


# --- What the shop tells us, day by day ---------------------------------------------------------------

EVENTS = _lake(
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
    ),
    "jobs.ingest",
    "One row per accepted line of the drop of `ds`. Lines that agree in the shop's `duplicate_key` count once.",
)
QUARANTINE = _lake(
    "quarantine",
    "",
    (
        Column("source", "string", comment="events, items or users"),
        Column("reason", "string", comment="the rule that the row broke"),
        Column("raw", "string", comment="the row as it came, as JSON"),
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
    Column("domain", "string"),
)
_USER_ATTRIBUTES = (
    Column("age", "int", nullable=True),
    Column("gender", "string", nullable=True),
    Column("country", "string", nullable=True),
    Column("interests", "array<string>"),
)
ITEM_UPDATES = _lake(
    "item_updates",
    "item_id",
    (
        Column("item_id", "string"),
        *_ITEM_ATTRIBUTES,
        Column("is_available", "boolean"),
        Column("last_seen", "timestamp", comment="UTC; the latest row of that day that spoke of the item"),
    ),
    "jobs.ingest",
    "What the drop of `ds` says about items: its catalogue file, or what its events carry.",
)
USER_UPDATES = _lake(
    "user_updates",
    "user_id",
    (Column("user_id", "string"), *_USER_ATTRIBUTES, Column("last_seen", "timestamp", comment="UTC")),
    "jobs.ingest",
    "What the drop of `ds` says about users: its users file, or what its events carry.",
)
ITEMS = _lake(
    "items",
    "item_id",
    (
        Column("item_id", "string"),
        *_ITEM_ATTRIBUTES,
        Column("is_available", "boolean", comment="may be recommended on the day after `ds`"),
        Column("first_seen", "string", comment="the first ds that spoke of the item"),
        Column("last_seen", "string", comment="the latest ds that did"),
    ),
    "jobs.features.items",
    "The catalogue as it stood when `ds` ended.",
)
USERS = _lake(
    "users",
    "user_id",
    (
        Column("user_id", "string"),
        *_USER_ATTRIBUTES,
        Column("first_seen", "string", comment="the first ds that spoke of the user"),
        Column("last_active", "string", nullable=True, comment="ds of the user's last event; null without any"),
    ),
    "jobs.features.users",
    "Everybody the shop knew when `ds` ended.",
)

# --- What the models eat, as of ds ----------------------------------------------------------------------

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
TOKENIZERS = _lake(
    "tokenizers",
    "",
    (Column("model", "binary", comment="a SentencePiece model; its piece ids are the indices of the field `token`"),),
    "jobs.features.tokenizers",
    "One row: the subword pieces that texts are cut into, learnt from the catalogue of an anchor day.",
)
VOCABULARIES = _lake(
    "vocabularies",
    "field value",
    (
        Column("field", "string", comment="one of VOCABULARY_FIELDS"),
        Column("value", "string"),
        Column("index", "int", comment="from FIRST_VALUE_INDEX, without gaps within a field"),
        Column("vocabulary_hash", "string", comment="one hash over all rows of the partition"),
    ),
    "jobs.features.vocabularies",
    "Which integer stands for which value. 0 is padding, 1 is unknown.",
)
PAIR_TOTALS = _lake(
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
    "jobs.features.pair_totals",
    "Sums over the whole log up to an anchor day, so that a night reads only what came after it.",
)  # fmt: skip
RECENT_EVENTS = _lake(
    "recent_events",
    "user_index",
    (
        Column("user_index", "int"),
        Column(
            "entries",
            "array<struct<seconds:bigint,item_index:int,event_type_index:int,session:bigint>>",
            comment="in time order, returned purchases included; `session` is a hash of the session's id, null without",
        ),
    ),
    "jobs.features.recent_events",
    "Each user's latest events up to an anchor day, at most `max_history`: where `histories` go on from.",
)
INTERACTIONS = _lake(
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
    "jobs.features.interactions",
    "One row per user and item that met. Purchases that came back whole are not in it.",
)
HISTORIES = _lake(
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
    ),
    "jobs.features.histories",
    "Each user's latest events, at most `max_history` of the shop file; packed, without padding.",
)
MAX_TITLE_TOKENS = 32
MAX_DESCRIPTION_TOKENS = 128
ITEM_FEATURES = _lake(
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
    "jobs.features.item_features",
)
IMAGE_STATUSES = ("decoded", "absent", "unreadable")
ITEM_IMAGES = _lake(
    "item_images",
    "item_index",
    (
        Column("item_index", "int"),
        Column("status", "string", comment="of IMAGE_STATUSES; absent: no file there; unreadable: no whole picture"),
        Column("pixels", "binary", nullable=True, comment="image_size x image_size x 3 bytes: rows from the top, RGB"),
        Column("source", "string", comment="path, size and time of the file, so that the same file is decoded once"),
    ),
    "jobs.features.item_images",
    "One row per item that names a picture.",
)
USER_FEATURES = _lake(
    "user_features",
    "user_index",
    (
        Column("user_index", "int"),
        Column("age_bucket_index", "int"),
        Column("gender_index", "int"),
        Column("country_index", "int"),
        Column("interest_indices", "array<int>", comment="multi-hot: the ones' places"),
    ),
    "jobs.features.user_features",
)

GRAPH_EDGE_KINDS = ("user_item", "session", "window", "cross_domain")
GRAPH_EDGES = _lake(
    "graph_edges",
    "kind source_index target_index",
    (
        Column("kind", "string", comment="one of GRAPH_EDGE_KINDS"),
        Column("source_index", "int", comment="a user for `user_item`, otherwise an item"),
        Column("target_index", "int", comment="an item"),
        Column("weight", "float", comment="time-decayed taste for `user_item`, otherwise a shrunk cosine"),
    ),
    "jobs.features.graph_edges",
    "Who met what, and which items go together: within a session, within days of each other, across departments.",
)

# --- What the models answer, as of ds --------------------------------------------------------------------

_MODEL = Column("model", "string", comment="name of the model, as in models/configs")
FITTED_MODELS = _lake(
    "fitted_models",
    "model",
    (
        _MODEL,
        Column("kind", "string", comment="baseline or deep"),
        Column(
            "role",
            "string",
            comment="retrieval: proposes items; ranking: scores candidates; blending: joins lists; policy: re-ranks",
        ),
        Column("version", "string", comment="model name, as_of and a hash of all that it was fitted from"),
        Column("weights_path", "string", nullable=True, comment="folder of the weights; null where vectors are all"),
        Column("tracking_run_id", "string", nullable=True, comment="MLflow run; null when there was no server"),
        Column("metrics", "string", comment="JSON: losses, seconds, epochs"),
        Column("vocabulary_hash", "string"),
    ),
    "models.train",
    "One row per model that was fitted as of `ds`; written last, so that it vouches for the rest.",
)
USER_VECTORS = _lake(
    "user_vectors",
    "model user_index",
    (_MODEL, Column("user_index", "int"), Column("vector", "array<float>")),
    "models.train",
    "Score of a pair = user vector . item vector.",
)
ITEM_VECTORS = _lake(
    "item_vectors",
    "model item_index",
    (_MODEL, Column("item_index", "int"), Column("vector", "array<float>")),
    "models.train",
)
HISTORY_VECTORS = _lake(
    "history_vectors",
    "model item_index",
    (_MODEL, Column("item_index", "int"), Column("vector", "array<float>")),
    "models.train",
    "Of a model whose user vector is a sum over the user's items: what an item adds, times the root of the pair's "
    "weight. Times an item vector it is that item's part in a score, up to a factor of the user's.",
)
ITEM_NEIGHBOURS = _lake(
    "item_neighbours",
    "model item_index neighbour_index",
    (_MODEL, Column("item_index", "int"), Column("neighbour_index", "int"), Column("weight", "float")),
    "models.train",
    "Score of a pair = sum over the user's items i of weight(i, item). For models without vectors.",
)
_CANDIDATE = (
    _MODEL,
    Column("user_index", "int"),
    Column("item_index", "int"),
    Column("score", "float", comment="the model's own scale; higher is better"),
    Column("is_seen", "boolean", comment="the user's interactions hold the item"),
)
CANDIDATES = _lake(
    "candidates",
    "model user_index item_index",
    _CANDIDATE,
    "jobs.build_candidates",
    "Per retrieval model and user, over all items: the best `num_candidates`, and the best `num_candidates` unseen.",
)
RANKING_FEATURES = _lake(
    "ranking_features",
    "user_index item_index",
    (
        Column("user_index", "int"),
        Column("item_index", "int"),
        Column("demand_7", "float", comment="target events of the item in the last 7 days"),
        Column("demand_30", "float"),
        Column("demand_90", "float"),
        Column("demand_trend", "float", comment="log of the daily demand of 7 days over that of 30; 0 is steady"),
        Column("item_age_days", "int"),
        Column("price_to_category", "float", nullable=True, comment="log of price over its category's median price"),
        Column("price_to_user", "float", nullable=True, comment="log of price over the median price the user met"),
        Column("user_events_30", "int", comment="the user's events in the last 30 days"),
        Column("user_days_since_last", "float", nullable=True),
        Column("pair_days_since_last", "float", nullable=True, comment="null: the user never met the item"),
        Column("pair_events", "int"),
        Column("pair_purchases", "int"),
        Column("pair_usual_gap_days", "float", nullable=True, comment="mean gap of the pair's events; null under two"),
        Column("co_occurrence", "float", comment="sum of `window` edges from the user's last items to this one"),
        Column(
            "retriever_scores", "array<float>", comment="in the order of the version's fact `models`; null: not its"
        ),
        Column("retriever_ranks", "array<int>", comment="likewise, from 1"),
    ),
    "jobs.build_ranking_features",
    "One row per user and item that any retrieval model proposed, as the ranking models see it.",
)
SCORES = _lake(
    "scores",
    "model user_index item_index",
    _CANDIDATE,
    "models.score",
    "The ranking model's score of every candidate; of `policy`, scores that put a list into the policy's order.",
)

# --- How the night judged itself ----------------------------------------------------------------------------

BACKTESTS = _lake(
    "backtests",
    "model task k",
    (
        _MODEL,
        Column("task", "string", comment="new_items or with_repeats"),
        Column("k", "int"),
        Column("num_users", "int", comment="users judged: seen before the cut-off, and buying after it"),
        Column("num_items", "int", comment="size of the catalogue that was ranked"),
        Column("recall", "double"),
        Column("ndcg", "double"),
        Column("map", "double"),
        Column("mrr", "double"),
        Column("hit_rate", "double"),
        Column("coverage", "double", comment="share of the catalogue recommended to anybody"),
        Column("novelty", "double", comment="mean over a list of -log2 of the share of users who had met the item"),
        Column("diversity", "double", comment="1 - mean cosine of two items' content within a list"),
        Column("popularity_lift", "double", comment="users who had met a listed item, over those of what was wanted"),
        Column("ndcg_low", "double", comment="2.5 % bootstrap bound over users"),
        Column("ndcg_high", "double", comment="97.5 % bootstrap bound over users"),
    ),
    "models.backtest",
    "Every model fitted as of ds - horizon_days (with `weekly_backtest` the Sunday before) and judged on the "
    "`horizon_days` after, over the full catalogue; with `num_windows` also as of as many horizons earlier, all "
    "windows together.",
)
BACKTEST_SLICES = _lake(
    "backtest_slices",
    "model task slice",
    (
        _MODEL,
        Column("task", "string", comment="as in backtests"),
        Column("slice", "string", comment="users=new, items=cold, country=France, domain=books …"),
        Column("k", "int", comment="top_k of the shop"),
        Column("num_users", "int"),
        Column("recall", "double"),
        Column("ndcg", "double"),
        Column("ndcg_low", "double", comment="2.5 % bootstrap bound over users"),
        Column("ndcg_high", "double", comment="97.5 % bootstrap bound over users"),
    ),
    "models.backtest",
    "The backtest for kinds of users (their lists) and of items (what of that kind was wanted).",
)
BACKTEST_GAINS = _lake(
    "backtest_gains",
    "model rival task",
    (
        _MODEL,
        Column("rival", "string", comment="another judged model"),
        Column("task", "string", comment="as in backtests"),
        Column("k", "int", comment="top_k of the shop"),
        Column("gain", "double", comment="mean over users of ndcg of the model less that of the rival"),
        Column("gain_low", "double", comment="2.5 % bound of the paired bootstrap over users"),
        Column("gain_high", "double", comment="97.5 % bound of the paired bootstrap over users"),
        Column("p_value", "double", comment="two-sided, of no difference, by the same bootstrap"),
    ),
    "models.backtest",
    "Every judged model against every other one, user by user.",
)
GATE_DECISIONS = _lake(
    "gate_decisions",
    "",
    (
        Column("published_model", "string", comment="whose lists are published"),
        Column("similar_model", "string", comment="whose item-item neighbours are published"),
        Column("is_fallback", "boolean", comment="the challenger could not be published"),
        Column("champion", "string", nullable=True, comment="model published for the latest earlier ds"),
        Column("decision", "string", comment="JSON: every rule that was checked, what it saw and what it said"),
        Column("model_versions", "string", comment="JSON: model name -> version published on each row"),
    ),
    "models.gate",
    "One row: what this night may publish, and why.",
)
POLICY_DECISIONS = _lake(
    "policy_decisions",
    "",
    (
        Column("published_model", "string", comment="whose lists were re-ranked"),
        Column("lists", "string", comment="fingerprint of these lists"),
        Column("settings", "string", comment="fingerprint of what the shop file says of its policy"),
        Column("model_version", "string", nullable=True, comment="of re-ranked rows; null: nothing could be learnt"),
        Column("is_allowed", "boolean", comment="whether re-ranked lists may be published"),
        Column("reason", "string", comment="why, or why not, in a sentence"),
        Column("decision", "string", comment="JSON: what it rests on, and how far lists moved"),
    ),
    "models.rerank",
    "One row: whether the published model's lists may be re-ranked. Of a shop without a policy there is none.",
)
ATTRIBUTIONS = _lake(
    "attributions",
    "model user_index item_index",
    (
        _MODEL,
        Column("user_index", "int"),
        Column("item_index", "int"),
        Column("because_index", "int", comment="the item of the user's history that the score depends on most"),
        Column("fall", "float", comment="of the score's log-odds, dot product or sum without that item; above 0"),
    ),
    "models.explain",
    "What rows of the lists that the fact `lists` names owe most to; who owes nothing to an item is not there.",
)

# --- What the shop reads ---------------------------------------------------------------------------------

_PUBLISHED = (
    Column("model_version", "string"),
    Column("generated_at", "timestamp", comment="UTC"),
    Column("expires_at", "timestamp", comment="UTC"),
)


def _published(name: str, key: str, columns: tuple[Column, ...], comment: str) -> Table:
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
USER_RECOMMENDATIONS = _published(
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
SIMILAR_ITEMS = _published(
    "similar_items",
    "item_id rank",
    (Column("similar_item_id", "string"), *_WHY),
    "K items for every item, where the shop has as many others on sale: what goes with it and what is like it.",
)
EVERYBODY = "all"
"""The segment of whoever nothing is known of."""
NEW_USER_RECOMMENDATIONS = _published(
    "new_user_recommendations",
    "segment rank",
    (Column("item_id", "string"), *_WHY),
    "K items for whoever the shop knows nothing of but a country, an age or a gender; the segment `all` always exists.",
)
NEW_ITEM_AUDIENCES = _published(
    "new_item_audiences",
    "item_id rank",
    (Column("user_id", "string"), *_WHY),
    "For each item that is new, who is most likely to want it; no rows where nothing is new.",
)
CROSS_DOMAIN_RECOMMENDATIONS = _published(
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
        Column("status", "string", comment="published or fallback"),
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

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        EVENTS, QUARANTINE, ITEM_UPDATES, USER_UPDATES, ITEMS, USERS,
        TOKENIZERS, VOCABULARIES, PAIR_TOTALS, RECENT_EVENTS, INTERACTIONS, HISTORIES,
        ITEM_FEATURES, ITEM_IMAGES, USER_FEATURES, GRAPH_EDGES,
        FITTED_MODELS, USER_VECTORS, ITEM_VECTORS, HISTORY_VECTORS, ITEM_NEIGHBOURS,
        CANDIDATES, RANKING_FEATURES, SCORES,
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
