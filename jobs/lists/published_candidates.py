"""Whose lists users get: those of the published model, or these as the policy re-ranked them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from expectations.runtime.lake import Lake, Version
from expectations.semantics.policy_decision import PolicyDecision, policy_decision
from expectations.shop.policy_settings import POLICY, Policy
from expectations.shop.shop import Shop
from expectations.tables import SCORES, Table
from jobs.lists.gate_decision import GateDecision, published_lists


@dataclass(frozen=True)
class RecommendedLists:
    """Candidates with their scores, before the shop's rules.

    Attributes:
        source: the published model, or POLICY.
        decision: about re-ranking; None where nobody decided.
    """

    source: str
    table: Table
    version: Version
    decision: PolicyDecision | None

    @property
    def versions(self) -> list[Version]:
        """Everything that says what the lists are."""
        return [self.version, *([self.decision.version] if self.decision else [])]


def recommended_lists(lake: Lake, ds: str, gate: GateDecision, shop: Shop) -> RecommendedLists:
    """Returns the lists that the gate and the policy's decision allow.

    Raises:
        NightError: the published model has none.
    """
    table, version = published_lists(lake, gate)
    decision = policy_decision(lake, shop, ds, version)
    if decision is not None and decision.lists is not None:
        return RecommendedLists(POLICY, SCORES, decision.lists, decision)
    return RecommendedLists(gate.published_model, table, version, decision)


def with_policy_version(gate: GateDecision, lists: RecommendedLists) -> GateDecision:
    """`gate`, which can also tell the version of re-ranked rows."""
    if lists.source != POLICY or lists.decision is None:
        return gate
    return replace(gate, model_versions={**gate.model_versions, POLICY: lists.decision.model_version})


def policy_details(policy: Policy, lists: RecommendedLists) -> dict[str, Any]:
    """What `run_manifest` says of the policy: whether lists were re-ranked, how far they moved, and why or why not."""
    details: dict[str, Any] = {"agent": policy.agent, "temperature": policy.temperature, "is_allowed": False}
    if not policy.agent:
        return {**details, "reason": "The shop file names no agent."}
    if lists.decision is None:
        return {**details, "reason": "Nothing was decided about these lists: did models.rerank fail?"}
    return details | lists.decision.details
