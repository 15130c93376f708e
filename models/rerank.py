"""Re-ranks the published model's lists for the long term, judges what came out, and says whether it may be published.

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
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from expectations.runtime.code_version import code_version
from expectations.runtime.days import day_number, days_before
from expectations.runtime.lake import Version, fingerprint_of, vocabulary_hash
from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.semantics.policy_decision import policy_settings
from expectations.shop.policy_settings import POLICY
from expectations.tables import (
    EVENTS,
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
from models.interface.ranked_lists import judged_name, lists_in_force
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

MIN_LISTS = 100
"""Fewer say nothing that would hold on the day after."""

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Learns, judges, re-ranks, writes and prints."""
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
    task = Reranking.of(night)
    current = night.lake.current(POLICY_DECISIONS, night.ds)
    if current is not None and current.fingerprint == task.fingerprint:
        logger.info("already decided: table=%s ds=%s", POLICY_DECISIONS.name, night.ds)
    else:
        task.decide()
    row = night.lake.read(POLICY_DECISIONS, night.ds).to_pylist()[0]
    return f"{'Re-ranked' if row['is_allowed'] else 'Not re-ranked'}: {row['reason']}"


@dataclass(frozen=True)
class Reranking:
    """What a night re-ranks, and all that it rests on.

    Attributes:
        model: the published one.
        lists: its lists as of ds.
        earlier: its lists as of the backtest's days that have any.
        shown: the published days that are looked back on.
    """

    night: Night
    model: str
    lists: Version
    earlier: dict[str, Version]
    shown: list[ShownDay]
    values: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, night: Night) -> Reranking:
        """Looks up what there is."""
        lake = night.lake
        model = str(lake.read(GATE_DECISIONS, night.ds)["published_model"][0].as_py())
        lists = lists_in_force(lake, night.ds, model)
        if lists is None:
            raise NightError(
                f"{POLICY_DECISIONS.name} ds={night.ds}: the published model {model} has no lists to re-rank. Were "
                f"jobs.build_candidates and models.score run for it?"
            )
        found = {day: lists_in_force(lake, day, judged_name(model)) for day in night.backtest_days}
        earlier = {day: version for day, version in found.items() if version is not None}
        return cls(night, model, lists, earlier, shown_days(night), agent_values(night.shop))

    @property
    def since(self) -> str:
        """The day after which what users did is read."""
        return min([*self.earlier, days_before(self.night.ds, self.night.shop.policy.log_days)])

    @cached_property
    def exposures(self) -> Exposures:
        """What users did with what they were shown."""
        return Exposures.of(self.night, [day.ds for day in self.shown])

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that re-ranked lists and the decision depend on."""
        night, lake, shop = self.night, self.night.lake, self.night.shop
        tables = (VOCABULARIES, HISTORIES, ITEM_FEATURES)
        versions = [self.lists, *(lake.require(table, night.ds) for table in tables)]
        versions += [lake.require(table, day) for table in (VOCABULARIES, INTERACTIONS) for day in self.earlier]
        versions += [*self.earlier.values(), *lake.versions(EVENTS, until=night.ds, since=self.since).values()]
        told = [version.fingerprint for version in versions]
        shown = [
            [day.ds, day.contents, day.lists.fingerprint, lake.require(VOCABULARIES, day.ds).fingerprint]
            for day in self.shown
        ]
        settings = [policy_settings(shop), self.values, shop.top_k, shop.num_candidates, shop.horizon_days]
        settings += [shop.target_events, shop.repeats, shop.primary_metric, shop.seed]
        return fingerprint_of(
            POLICY_DECISIONS.name, night.ds, self.model, code_version("models.rerank"), told, shown, settings
        )

    def decide(self) -> None:
        """Learns, judges, re-ranks, and writes what came of it."""
        started, log = time.monotonic(), UserLog.of(self.night, self.since, self.exposures)
        source = SlateCandidates(self.night, log.history_events)
        shown = shown_lists(self.night, source, self.shown, log) if self.shown else None
        examples = self._examples(source, log, shown)
        if examples is None or len(examples) < MIN_LISTS:
            num = 0 if examples is None else len(examples)
            return self._write_refusal(f"{num} lists are too few to learn a policy from; it takes {MIN_LISTS}.")
        try:
            found = fit_agent(examples, self.night.shop, self.values, day_number(self.night.ds) + 1.0)
        except TrainingFailed as err:
            return self._write_refusal(f"No policy could be learnt: {err}")
        by_log, by_backtest = self.judge(found.policy, source, shown)
        movement = self._write_lists(found.policy, source)
        result = decisive_result(by_log, by_backtest)
        told = {"movement": movement.as_dict(), "by_log": by_log.as_dict(), "by_backtest": by_backtest.as_dict()}
        figures = {"num_lists_learnt": len(examples), "seconds": round(time.monotonic() - started, 2)}
        version = self._log_fit(found, result, movement, figures)
        self._write(result.is_allowed is True, result.reason, version, told | {"num_lists_learnt": len(examples)})

    def judge(
        self, policy: SlatePolicy, source: SlateCandidates, shown: Examples | None
    ) -> tuple[SafetyResult, SafetyResult]:
        """What shown lists and the backtest say of a policy."""
        shop = self.night.shop
        as_seen = ServedPolicy(policy, DEPTH * shop.top_k, shop.policy.temperature)
        by_log = check_by_log(shown, as_seen, shop)
        as_of = self.night.backtest_as_of
        if as_of not in self.earlier:
            return by_log, SafetyResult(None, f"{self.model} has no lists as of {as_of}, so that no backtest can tell.")
        held_out = backtest_users(self.night, as_of)
        if held_out is None:
            return by_log, SafetyResult(None, "Nobody can be judged on the backtest's days.")
        users = held_out.user_indices
        day = np.full(len(users), day_number(as_of) + 1.0)
        event_log = history_events(self.night, np.unique(users), self.exposures)
        candidates = source.of(self.earlier[as_of], as_of, users, day, event_log)
        return by_log, check_by_backtest(candidates, held_out, policy, shop)

    def _examples(self, source: SlateCandidates, log: UserLog, shown: Examples | None) -> Examples | None:
        """All that can be learnt from: what came later must be known."""
        parts = [visits(self.night, source, lists, day, log) for day, lists in self.earlier.items()]
        if shown is not None:
            ends = day_number(self.night.ds) + 1
            is_over = shown.candidates.day + sight_days(self.night) <= ends
            parts.append(shown.rows(np.flatnonzero(is_over)))
        parts = [part for part in parts if len(part)]
        return Examples.joined(parts) if parts else None

    def _write_lists(self, policy: SlatePolicy, source: SlateCandidates) -> Movement:
        """Writes the re-ranked lists of all users, block by block."""
        night, movement = self.night, Movement(self.night.shop.top_k)
        path = night.lake.new_version_path(SCORES, night.ds, self.fingerprint, POLICY)
        write_shard(reranked_blocks(night, source, self.lists, policy, self.exposures, movement), path, Shard())
        commit_if_complete(night.lake, night.ds, POLICY, path, self.fingerprint, Shard(), lists=self.lists.fingerprint)
        return movement

    def _log_fit(self, found: FittedAgent, result: SafetyResult, movement: Movement, figures: dict[str, float]) -> str:
        """Remembers the fit. Returns its version."""
        night, fingerprint = self.night, self.fingerprint
        moved = movement.as_dict()
        judged = {"gain": result.gain, "gain_low": result.gain_low, "is_allowed": float(result.is_allowed is True)}
        facts = {**figures, **moved, **{name: value for name, value in judged.items() if np.isfinite(value)}}
        fit = tracking.Fit(
            model=POLICY,
            as_of=night.ds,
            version=f"{POLICY}-{night.ds}-{fingerprint[:8]}",
            config={"agent": night.shop.policy.agent, **self.values},
            curves=found.curves,
            facts=facts,
            inputs=[version.fingerprint for version in (self.lists, *self.earlier.values())],
            vocabulary_hash=vocabulary_hash(night.lake, night.ds),
            code=code_version("models.rerank"),
            settings={"seed": night.shop.seed, "horizon_days": night.shop.horizon_days},
        )
        path = weights_path(night.lake, POLICY, night.ds, fingerprint)
        with tempfile.TemporaryDirectory(prefix="nightjar-fit-") as folder:
            found.save(Path(folder))
            put_folder(Path(folder), path)
            run_id = tracking.log_fit(night.tracking, night.run_tags, fit, Path(folder))
        write_fitted_model(night.lake, fit, fingerprint, path, run_id, entry=RERANKER)
        return fit.version

    def _write_refusal(self, reason: str) -> None:
        self._write(False, reason, None, {"movement": None})

    def _write(self, is_allowed: bool, reason: str, version: str | None, told: dict[str, Any]) -> None:
        night = self.night
        row = {
            "published_model": self.model,
            "lists": self.lists.fingerprint,
            "settings": policy_settings(night.shop),
            "model_version": version,
            "is_allowed": is_allowed,
            "reason": reason,
            "decision": json.dumps(told, sort_keys=True),
        }
        night.lake.write(POLICY_DECISIONS, night.ds, arrow_rows(POLICY_DECISIONS, night.ds, [row]), self.fingerprint)
        logger.info("decided: table=%s ds=%s is_allowed=%s", POLICY_DECISIONS.name, night.ds, is_allowed)


if __name__ == "__main__":
    run_program(main)
