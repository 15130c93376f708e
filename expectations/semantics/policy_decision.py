"""What `models.rerank` decided, as the programs read it that explain, build and show lists."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from expectations.runtime.lake import Lake, Version, fingerprint_of, parquet_dataset
from expectations.shop.policy_settings import POLICY
from expectations.shop.shop import Shop
from expectations.tables import POLICY_DECISIONS, SCORES


@dataclass(frozen=True)
class PolicyDecision:
    """A decision about the very lists that it was asked for.

    Attributes:
        version: of the partition of `policy_decisions`.
        lists: the re-ranked lists that take the place of the published model's; None where they may not.
        model_version: what re-ranked rows carry.
        details: whether lists may be re-ranked, why, what that rests on, and how far they moved; see `models.rerank`.
    """

    version: Version
    lists: Version | None
    model_version: str
    details: dict[str, Any]


def policy_decision(lake: Lake, shop: Shop, ds: str, lists: Version) -> PolicyDecision | None:
    """Returns the current decision; None where there is none about these lists under what the shop file says now.

    Args:
        lists: of the published model, as of `ds`.
    """
    version = lake.current(POLICY_DECISIONS, ds) if shop.policy.agent else None
    if version is None:
        return None
    row = parquet_dataset(version.path).to_table().to_pylist()[0]
    if (row["lists"], row["settings"]) != (lists.fingerprint, policy_settings(shop)):
        return None
    reranked = lake.current(SCORES, ds, POLICY) if row["is_allowed"] else None
    if row["is_allowed"] and (reranked is None or reranked.fingerprint != version.fingerprint):
        return None  # of another run: these scores were not judged
    details = {name: row[name] for name in ("is_allowed", "reason", "model_version")}
    return PolicyDecision(version, reranked, row["model_version"] or "", details | json.loads(row["decision"]))


def policy_settings(shop: Shop) -> str:
    """A hash of all that the shop file says of its policy, what it is to earn, who judges it, and its lists."""
    of_lists = [shop.top_k, shop.num_candidates, shop.horizon_days, shop.target_events, shop.repeats]
    judged_by = [shop.primary_metric, shop.gate.min_judged_users, shop.seed]
    return fingerprint_of(asdict(shop.policy), asdict(shop.reward), of_lists, judged_by)
