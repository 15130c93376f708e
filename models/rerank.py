"""Re-ranks the published model's lists for the long term, checks the result, and decides whether it may be published.

A shop whose `[policy]` names no agent is left alone. Otherwise reads the gate's decision, the published model's lists
as of the backtest's days and as of ds, the events since, and the lists that were published on the days before with
their propensities. Learns a policy on one half of the users for the other, each way; judges it on users it did not
learn from (`models.policies.safety_check`); writes the re-ranked lists to `scores` under the name `policy`, weights
under `{root}/weights`, a run in MLflow, the row of `fitted_models`, and last the row of `policy_decisions`, without
which `jobs.build_tables` does not look at any of it. A re-run finds its work done.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from expectations.runtime.code_version import code_version
from expectations.runtime.days import day_number, days_before
from expectations.runtime.lake import Lake, Version, fingerprint_of, vocabulary_hash
from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.semantics.models_in_force import models_in_force
from expectations.semantics.policy_decision import policy_settings
from expectations.shop.policy_settings import POLICY
from expectations.shop.shop import Shop
from expectations.tables import (
    EVENTS,
    FITTED_MODELS,
    GATE_DECISIONS,
    HISTORIES,
    INTERACTIONS,
    ITEM_FEATURES,
    POLICY_DECISIONS,
    SCORES,
    VOCABULARIES,
    NightError,
)
from models.data.arrow_rows import arrow_rows
from models.interface import tracking
from models.interface.fitted_models import write_fitted_model
from models.interface.in_force import ModelsAsOf, backtest_name
from models.interface.registry import RERANKER
from models.interface.shards import Shard, commit_if_complete, write_shard
from models.interface.weights_store import put_folder, weights_path
from models.nn.training_setup import TrainingFailed
from models.policies.agents import FittedAgent, agent_values, fit_agent
from models.policies.reranked_scores import DEPTH, Movement, reranked_blocks
from models.policies.safety_check import SafetyResult, backtest_users, check_by_backtest, check_by_log, decisive_result
from models.policies.served_policy import ServedPolicy
from models.slates.exposures import Exposures
from models.slates.logged_slates import ShownDay, shown_days, shown_lists
from models.slates.slate_candidates import SlateCandidates, history_events
from models.slates.slates import SlatePolicy
from models.slates.training_slates import Examples, UserLog, sight_days, visits

logger = logging.getLogger(__name__)


class PolicyNotFitted(Exception):
    """No policy comes of this night's lists; the message is the decision's reason, and the night goes on."""


@dataclass(frozen=True)
class RerankInputs:
    """What a night re-ranks, and all that the decision rests on.

    Attributes:
        model: the published one.
        lists: its lists as of ds.
        earlier: its lists as of the backtest's days that have any.
        shown: the published days that are looked back on.
        since: the day after which the users' events are read.
        agent_values: the agent's settings.
        settings: a hash of what the shop file says of its policy.
        fingerprint: a hash of all of these and of the tables, settings and code that re-ranked lists depend on.
    """

    model: str
    lists: Version
    earlier: dict[str, Version]
    shown: list[ShownDay]
    since: str
    agent_values: dict[str, Any] = field(repr=False)
    settings: str
    fingerprint: str


@dataclass(frozen=True)
class PolicyLogs:
    """What a policy learns from and is checked on.

    Attributes:
        exposures: which items the published lists of the days before showed to whom.
        events: what a sample of users did since `RerankInputs.since`.
        source: describes candidates of any of the model's lists.
        shown: the lists that were shown, and what they earned; None where no published day is looked back on.
    """

    exposures: Exposures
    events: UserLog
    source: SlateCandidates
    shown: Examples | None


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags, decides, and prints the decision."""
    night = night_from(night_parser(__doc__).parse_args(argv))
    if not night.shop.policy.agent:
        logger.info("nothing to re-rank: the shop file names no agent under [policy]")
        return
    print(rerank(night))


def rerank(night: Night) -> str:
    """Writes the decision of a night, unless it is there. Returns it in a sentence or two.

    Raises:
        NightError: the published model has no lists.
    """
    inputs = load_inputs(night.lake, night.ds, night.backtest_days, night.shop)
    if reuse_decision(night.lake, night.ds, inputs):
        logger.info("already decided: table=%s ds=%s", POLICY_DECISIONS.name, night.ds)
    else:
        # What was decided of other inputs must not stand in for this decision, should it fail.
        night.lake.withdraw(POLICY_DECISIONS, night.ds)
        decide(night, inputs)
    row = night.lake.read(POLICY_DECISIONS, night.ds).to_pylist()[0]
    return f"{'Re-ranked' if row['is_allowed'] else 'Not re-ranked'}: {row['reason']}"


def reuse_decision(lake: Lake, ds: str, inputs: RerankInputs) -> bool:
    """Whether just these inputs were decided on already; takes the decision, its scores and its fit into the run."""
    lake.reuse(SCORES, ds, inputs.fingerprint, POLICY)
    lake.reuse(FITTED_MODELS, ds, inputs.fingerprint, POLICY)
    return lake.reuse(POLICY_DECISIONS, ds, inputs.fingerprint) is not None


def load_inputs(lake: Lake, ds: str, backtest_days: Sequence[str], shop: Shop) -> RerankInputs:
    """Looks up the published model's lists and the shown days, and hashes all that the decision depends on.

    Raises:
        NightError: the published model has no lists.
    """
    model = str(lake.read(GATE_DECISIONS, ds)["published_model"][0].as_py())
    found_lists = models_in_force(lake, ds).lists(lake, model)
    if found_lists is None:
        raise NightError(
            f"{POLICY_DECISIONS.name} ds={ds}: the published model {model} has no lists to re-rank. Were "
            f"jobs.build_candidates and models.score run for it?"
        )
    _, lists = found_lists
    found = {day: ModelsAsOf(lake, shop, day).lists(backtest_name(model)) for day in backtest_days}
    earlier = {day: version for day, version in found.items() if version is not None}
    shown, values = shown_days(lake, ds, shop.policy.log_days), agent_values(shop)
    since = min([*earlier, days_before(ds, shop.policy.log_days)])
    versions = [lists, *(lake.require(table, ds) for table in (VOCABULARIES, HISTORIES, ITEM_FEATURES))]
    versions += [lake.require(table, day) for table in (VOCABULARIES, INTERACTIONS) for day in earlier]
    versions += [*earlier.values(), *lake.versions(EVENTS, until=ds, since=since).values()]
    shown_versions = [
        [day.ds, day.contents, day.lists.fingerprint, lake.require(VOCABULARIES, day.ds).fingerprint] for day in shown
    ]
    fingerprint = fingerprint_of(
        POLICY_DECISIONS.name,
        ds,
        model,
        code_version("models.rerank"),
        [version.fingerprint for version in versions],
        shown_versions,
        [policy_settings(shop), values],
    )
    return RerankInputs(model, lists, earlier, shown, since, values, policy_settings(shop), fingerprint)


def decide(night: Night, inputs: RerankInputs) -> None:
    """Fits a policy, checks it, writes the re-ranked lists, and last the decision; a refusal is a decision, too."""
    started, logs = time.monotonic(), load_logs(night.lake, night.ds, inputs, night.shop)
    try:
        agent, num_lists = fit_policy(night.ds, inputs, logs, night.shop)
    except PolicyNotFitted as err:
        return _write_decision(night.lake, night.ds, inputs, False, str(err), None, {"movement": None})
    by_log, by_backtest = check_safety(
        night.lake, night.ds, night.backtest_as_of, inputs, agent.policy, logs, night.shop
    )
    movement = write_reranked(night.lake, night.ds, inputs, agent.policy, logs, night.shop)
    result = decisive_result(by_log, by_backtest)
    figures = {"num_training_lists": num_lists, "seconds": round(time.monotonic() - started, 2)}
    version = _log_fit(night, inputs, agent, result, movement, figures)
    details: dict[str, Any] = {"num_training_lists": num_lists, "movement": movement.as_dict()}
    details |= {"by_log": by_log.as_dict(), "by_backtest": by_backtest.as_dict()}
    _write_decision(night.lake, night.ds, inputs, result.is_allowed is True, result.reason, version, details)


def load_logs(lake: Lake, ds: str, inputs: RerankInputs, shop: Shop) -> PolicyLogs:
    """Reads what users were shown and did."""
    exposures = Exposures.of(lake, ds, [day.ds for day in inputs.shown])
    events = UserLog.of(lake, shop, ds, inputs.since, exposures)
    source = SlateCandidates(lake, ds, events.history_events, shop)
    shown = shown_lists(lake, ds, source, inputs.shown, events, shop) if inputs.shown else None
    return PolicyLogs(exposures, events, source, shown)


def fit_policy(ds: str, inputs: RerankInputs, logs: PolicyLogs, shop: Shop) -> tuple[FittedAgent, int]:
    """Fits the shop's agent to all lists whose rewards are known. Returns it with the number of lists.

    Raises:
        PolicyNotFitted: there are fewer than `policy.min_lists` lists, or the training failed.
    """
    parts = [visits(ds, day, logs.source, lists, logs.events, shop) for day, lists in inputs.earlier.items()]
    if logs.shown is not None:
        is_over = logs.shown.candidates.day + sight_days(shop) <= day_number(ds) + 1  # what came later is known
        parts.append(logs.shown.rows(np.flatnonzero(is_over)))
    parts = [part for part in parts if len(part)]
    num_lists = sum(len(part) for part in parts)
    if num_lists < (least := shop.policy.min_lists):
        raise PolicyNotFitted(f"{num_lists} lists are too few to learn a policy from; it takes {least}.")
    try:
        return fit_agent(Examples.joined(parts), shop, inputs.agent_values, day_number(ds) + 1.0), num_lists
    except TrainingFailed as err:
        raise PolicyNotFitted(f"No policy could be learnt: {err}") from err


def check_safety(
    lake: Lake, ds: str, as_of: str, inputs: RerankInputs, policy: SlatePolicy, logs: PolicyLogs, shop: Shop
) -> tuple[SafetyResult, SafetyResult]:
    """Returns what the shown lists and what the backtest say of a policy.

    Args:
        as_of: the latest of the backtest's days.
    """
    as_served = ServedPolicy(policy, DEPTH * shop.top_k, shop.policy.temperature)
    by_log = check_by_log(logs.shown, as_served, shop)
    if as_of not in inputs.earlier:
        return by_log, SafetyResult(None, f"{inputs.model} has no lists as of {as_of}, so that no backtest can tell.")
    held_out = backtest_users(lake, ds, as_of, shop)
    if held_out is None:
        return by_log, SafetyResult(None, "Nobody can be judged on the backtest's days.")
    users = held_out.user_indices
    day = np.full(len(users), day_number(as_of) + 1.0)
    event_log = history_events(lake, ds, np.unique(users), logs.exposures)
    candidates = logs.source.of(inputs.earlier[as_of], as_of, users, day, event_log)
    return by_log, check_by_backtest(candidates, held_out, policy, shop)


def write_reranked(
    lake: Lake, ds: str, inputs: RerankInputs, policy: SlatePolicy, logs: PolicyLogs, shop: Shop
) -> Movement:
    """Writes the re-ranked lists of all users, block by block. Returns how far they moved."""
    movement = Movement(shop.top_k)
    path = lake.new_version_path(SCORES, ds, inputs.fingerprint, POLICY)
    blocks = reranked_blocks(lake, ds, logs.source, inputs.lists, policy, logs.exposures, movement, shop)
    write_shard(blocks, path, Shard())
    commit_if_complete(lake, ds, POLICY, path, inputs.fingerprint, Shard(), lists=inputs.lists.fingerprint)
    return movement


def _log_fit(
    night: Night,
    inputs: RerankInputs,
    agent: FittedAgent,
    result: SafetyResult,
    movement: Movement,
    figures: dict[str, float],
) -> str:
    """Writes weights, a run in MLflow and the row of `fitted_models`. Returns the fit's version."""
    lake, ds, fingerprint = night.lake, night.ds, inputs.fingerprint
    gains = {"gain": result.gain, "gain_low": result.gain_low, "is_allowed": float(result.is_allowed is True)}
    facts = {**figures, **movement.as_dict(), **{name: value for name, value in gains.items() if np.isfinite(value)}}
    fit = tracking.Fit(
        model=POLICY,
        as_of=ds,
        version=f"{POLICY}-{ds}-{fingerprint[:8]}",
        config={"agent": night.shop.policy.agent, **inputs.agent_values},
        curves=agent.curves,
        facts=facts,
        inputs=[version.fingerprint for version in (inputs.lists, *inputs.earlier.values())],
        vocabulary_hash=vocabulary_hash(lake, ds),
        code=code_version("models.rerank"),
        settings={"seed": night.shop.seed, "horizon_days": night.shop.horizon_days},
    )
    path = weights_path(POLICY, ds, fingerprint)
    with tempfile.TemporaryDirectory(prefix="nightjar-fit-") as folder:
        agent.save(Path(folder))
        put_folder(lake, Path(folder), path)
        run_id = tracking.log_fit(night.tracking, night.run_tags, fit, Path(folder))
    write_fitted_model(lake, fit, fingerprint, path, run_id, entry=RERANKER)
    return fit.version


def _write_decision(
    lake: Lake,
    ds: str,
    inputs: RerankInputs,
    is_allowed: bool,
    reason: str,
    version: str | None,
    details: dict[str, Any],
) -> None:
    row = {
        "published_model": inputs.model,
        "lists": inputs.lists.fingerprint,
        "settings": inputs.settings,
        "model_version": version,
        "is_allowed": is_allowed,
        "reason": reason,
        "decision": json.dumps(details, sort_keys=True),
    }
    rows = arrow_rows(POLICY_DECISIONS, ds, [row])
    lake.write(POLICY_DECISIONS, ds, rows, inputs.fingerprint)
    logger.info("decided: table=%s ds=%s is_allowed=%s", POLICY_DECISIONS.name, ds, is_allowed)


if __name__ == "__main__":
    run_program(main)
