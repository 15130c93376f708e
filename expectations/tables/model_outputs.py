"""What models answer, as of ds: fits, vectors, neighbours, candidates and scores."""

from __future__ import annotations

from expectations.tables.table import Column, lake_table

MODEL = Column("model", "string", comment="name of the model, as in models/configs")
FITTED_MODELS = lake_table(
    "fitted_models",
    "model",
    (
        MODEL,
        Column("kind", "string", comment="baseline or deep"),
        Column(
            "role",
            "string",
            comment="retrieval: proposes items; ranking: scores candidates; blending: joins lists; policy: re-ranks",
        ),
        Column("version", "string", comment="model name, as_of and a hash of all that it was fitted from"),
        Column("weights_path", "string", nullable=True, comment="folder of the weights, from the root on"),
        Column("tracking_run_id", "string", nullable=True, comment="MLflow run; null when there was no server"),
        Column("metrics", "string", comment="JSON: losses, seconds, epochs"),
        Column("vocabulary_hash", "string"),
    ),
    "models.train",
    "One row per model that was fitted as of `ds`; written last, so that it vouches for the rest.",
)
USER_VECTORS = lake_table(
    "user_vectors",
    "model user_index",
    (MODEL, Column("user_index", "int"), Column("vector", "array<float>")),
    "models.train",
    "Score of a pair = user vector . item vector.",
)
ITEM_VECTORS = lake_table(
    "item_vectors",
    "model item_index",
    (MODEL, Column("item_index", "int"), Column("vector", "array<float>")),
    "models.train",
)
HISTORY_VECTORS = lake_table(
    "history_vectors",
    "model item_index",
    (MODEL, Column("item_index", "int"), Column("vector", "array<float>")),
    "models.train",
    "Of a model whose user vector is a sum over the user's items: what an item adds, times the root of the pair's "
    "weight. Times an item vector it is that item's part in a score, up to a factor of the user's.",
)
ITEM_NEIGHBOURS = lake_table(
    "item_neighbours",
    "model item_index neighbour_index",
    (MODEL, Column("item_index", "int"), Column("neighbour_index", "int"), Column("weight", "float")),
    "models.train",
    "Score of a pair = sum over the user's items i of weight(i, item). For models without vectors.",
)
_CANDIDATE = (
    MODEL,
    Column("user_index", "int"),
    Column("item_index", "int"),
    Column("score", "float", comment="the model's own scale; higher is better"),
    Column("is_seen", "boolean", comment="the user's interactions hold the item"),
)
CANDIDATES = lake_table(
    "candidates",
    "model user_index item_index",
    _CANDIDATE,
    "jobs.build_candidates",
    "Per retrieval model and user, over all items: the best `num_candidates`, and the best `num_candidates` unseen.",
)
SCORES = lake_table(
    "scores",
    "model user_index item_index",
    _CANDIDATE,
    "models.score",
    "The ranking model's score of every candidate; of `policy`, scores that put a list into the policy's order.",
)
