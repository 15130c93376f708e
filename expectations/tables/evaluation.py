"""How the night judged itself: backtests, decisions and attributions."""

from __future__ import annotations

from expectations.tables.model_outputs import MODEL
from expectations.tables.table import Column, lake_table

BACKTESTS = lake_table(
    "backtests",
    "model task k",
    (
        MODEL,
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
        Column("ndcg_low", "double", comment="2.5 % bootstrap bound over users; 0 of one user, who tells nothing"),
        Column("ndcg_high", "double", comment="97.5 % bootstrap bound over users; 1 of one user"),
    ),
    "models.backtest",
    "Every model fitted as of ds - horizon_days (with `weekly_backtest` the Sunday before) and judged on the "
    "`horizon_days` after, over the full catalogue; with `num_windows` also as of as many horizons earlier, all "
    "windows together.",
)
BACKTEST_SLICES = lake_table(
    "backtest_slices",
    "model task slice",
    (
        MODEL,
        Column("task", "string", comment="as in backtests"),
        Column("slice", "string", comment="users=new, items=cold, country=France, domain=books …"),
        Column("k", "int", comment="top_k of the shop"),
        Column("num_users", "int"),
        Column("recall", "double"),
        Column("ndcg", "double"),
        Column("ndcg_low", "double", comment="2.5 % bootstrap bound over users; 0 of one user, who tells nothing"),
        Column("ndcg_high", "double", comment="97.5 % bootstrap bound over users; 1 of one user"),
    ),
    "models.backtest",
    "The backtest for kinds of users (their lists) and of items (what of that kind was wanted).",
)
BACKTEST_GAINS = lake_table(
    "backtest_gains",
    "model rival task",
    (
        MODEL,
        Column("rival", "string", comment="another judged model"),
        Column("task", "string", comment="as in backtests"),
        Column("k", "int", comment="top_k of the shop"),
        Column("gain", "double", comment="mean over users of the shop's primary metric, less that of the rival"),
        Column("gain_low", "double", comment="2.5 % bound of the paired bootstrap; -1 of one user, who tells nothing"),
        Column("gain_high", "double", comment="97.5 % bound of the paired bootstrap; 1 of one user"),
        Column("p_value", "double", comment="two-sided, of no difference, (r + 1) / (n + 1) a tail; 1 of one user"),
    ),
    "models.backtest",
    "Every judged model against every other one, user by user.",
)
GATE_DECISIONS = lake_table(
    "gate_decisions",
    "",
    (
        Column("published_model", "string", comment="whose lists are published"),
        Column("similar_model", "string", comment="whose item-item neighbours are published"),
        Column("is_fallback", "boolean", comment="a model that could not compete could have won"),
        Column("champion", "string", nullable=True, comment="model published for the latest earlier ds"),
        Column("decision", "string", comment="JSON: every rule that was checked, what it saw and what it said"),
        Column("model_versions", "string", comment="JSON: model name -> version published on each row"),
        Column(
            "in_force", "string", comment="JSON: table -> model -> fingerprint of the partition that counts tonight"
        ),
    ),
    "models.gate",
    "One row: what this night may publish, and why.",
)
POLICY_DECISIONS = lake_table(
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
ATTRIBUTIONS = lake_table(
    "attributions",
    "model user_index item_index",
    (
        MODEL,
        Column("user_index", "int"),
        Column("item_index", "int"),
        Column("because_index", "int", comment="the item of the user's history that the score depends on most"),
        Column("score_drop", "float", comment="of the score's log-odds, dot product or sum without that item; above 0"),
    ),
    "models.explain",
    "What rows of the lists that the fact `lists` names owe most to; who owes nothing to an item is not there.",
)
