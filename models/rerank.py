"""Re-ranks the published model's lists for the long term, judges what came out, and says whether it may be published.

A shop whose `[policy]` names no agent is left alone. Otherwise reads the gate's decision, the published model's lists
as of the backtest's days and as of ds, the events since, and the lists that were published on the days before with
their propensities. Learns a policy on one half of the users for the other, each way; judges it on users it did not
learn from (`models.policy_judgement`); writes the re-ranked lists to `scores` under the name `policy`, weights under
`{root}/weights`, a run in MLflow, the row of `fitted_models`, and last the row of `policy_decisions`, without which
`jobs.build_tables` does not look at any of it. A re-run finds its work done.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.arrow_types import arrow_schema
from expectations.lake import Version, fingerprint_of, vocabulary_hash
from expectations.policy_decision import policy_settings
from expectations.policy_rules import POLICY
from expectations.program import Night, days_before, night_from, night_parser, run_program
from expectations.tables import (
    EVENTS,
    FIRST_VALUE_INDEX,
    GATE_DECISIONS,
    HISTORIES,
    INTERACTIONS,
    ITEM_FEATURES,
    POLICY_DECISIONS,
    SCORES,
    VOCABULARIES,
    NightError,
)
from models import tracking
from models.arrow_rows import arrow_rows
from models.drawn_order import DrawnOrder
from models.held_out import HeldOut, decisive_task, held_out_tasks
from models.list_choices import ListChoices, day_number, remembered
from models.metrics import relevant_from_pairs
from models.policy_agents import LearntPolicy, agent_values, learnt
from models.policy_examples import Examples, UserLog, sight_days, spaced, visits
from models.policy_judgement import Verdict, decided, judged_by_backtest, judged_by_log
from models.ranked_lists import judged_name, lists_in_force, read_list_rows, top_places
from models.registry import RERANKER
from models.score import Shard, commit_if_complete, write_shard
from models.shown_lists import ShownDay, shown_days, shown_lists
from models.slate_features import choices_of
from models.slates import SlatePolicy
from models.train import write_fitted_model
from models.training import TrainingFailed
from models.vocabulary import indices_on, read_vocabulary
from models.weights import put_folder, weights_path

DEPTH = 3
"""So many times K places of a list are the policy's: rules may take some of them out."""
USERS_AT_ONCE = 1_024
MAX_JUDGED = 8_192
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


@dataclass
class Movement:
    """How far re-ranked lists stand from those that they were made of; grows block by block."""

    top_k: int
    num_users: int = 0
    overlap: float = 0.0
    first_changed: float = 0.0
    displacement: float = 0.0

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """The next users' items in both orders; NO_ITEM where a list has ended. Shape (num_users, num_candidates)."""
        has_list = (before >= 0).any(axis=1)
        first, now = before[has_list], after[has_list, : self.top_k]
        is_same = (now[:, :, None] == first[:, None, :]) & (now >= 0)[:, :, None]
        moved = np.abs(is_same.argmax(axis=2) - np.arange(now.shape[1])) * (now >= 0)
        lengths = (now >= 0).sum(axis=1)
        self.num_users += len(now)
        self.overlap += float((is_same[:, :, : self.top_k].any(axis=2).sum(axis=1) / lengths).sum())
        self.first_changed += float((first[:, 0] != now[:, 0]).sum())
        self.displacement += float((moved.sum(axis=1) / lengths).sum())

    def as_dict(self) -> dict[str, float]:
        """Means over users with a list."""
        names = ("overlap", "first_changed", "displacement")
        means = {name: round(getattr(self, name) / max(self.num_users, 1), 6) for name in names}
        return {"top_k": self.top_k, "num_users": self.num_users, **means}


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

    @property
    def fingerprint(self) -> str:
        """A hash of all that re-ranked lists and the decision depend on."""
        night, lake, shop = self.night, self.night.lake, self.night.shop
        tables = (VOCABULARIES, HISTORIES, ITEM_FEATURES)
        versions = [self.lists, *(lake.require(table, night.ds) for table in tables)]
        versions += [lake.require(table, day) for table in (VOCABULARIES, INTERACTIONS) for day in self.earlier]
        versions += [*self.earlier.values(), *lake.versions(EVENTS, until=night.ds, since=self.since).values()]
        told = [version.fingerprint for version in versions]
        shown = [
            [day.ds, day.files, day.lists.fingerprint, lake.require(VOCABULARIES, day.ds).fingerprint]
            for day in self.shown
        ]
        settings = [policy_settings(shop), self.values, shop.top_k, shop.num_candidates, shop.horizon_days]
        settings += [shop.target_events, shop.repeats, shop.primary_metric, shop.seed]
        return fingerprint_of(POLICY_DECISIONS.name, night.ds, self.model, night.code, told, shown, settings)

    def decide(self) -> None:
        """Learns, judges, re-ranks, and writes what came of it."""
        started, source = time.monotonic(), ListChoices(self.night)
        log = UserLog.of(self.night, self.since)
        shown = shown_lists(self.night, source, self.shown, log) if self.shown else None
        examples = self._examples(source, log, shown)
        if examples is None or len(examples) < MIN_LISTS:
            num = 0 if examples is None else len(examples)
            return self._write_refusal(f"{num} lists are too few to learn a policy from; it takes {MIN_LISTS}.")
        try:
            found = learnt(examples, self.night.shop, self.values, day_number(self.night.ds) + 1.0)
        except (TrainingFailed, ValueError) as err:
            return self._write_refusal(f"No policy could be learnt: {err}")
        by_log, by_backtest = self.judge(found.policy, source, shown)
        movement = self._write_lists(found.policy, source)
        verdict = decided(by_log, by_backtest)
        told = {"movement": movement.as_dict(), "by_log": by_log.as_dict(), "by_backtest": by_backtest.as_dict()}
        figures = {"num_lists_learnt": len(examples), "seconds": round(time.monotonic() - started, 2)}
        version = self._log_fit(found, verdict, movement, figures)
        self._write(verdict.is_allowed is True, verdict.reason, version, told | {"num_lists_learnt": len(examples)})

    def judge(self, policy: SlatePolicy, source: ListChoices, shown: Examples | None) -> tuple[Verdict, Verdict]:
        """What shown lists and the backtest say of a policy."""
        shop = self.night.shop
        as_seen = DrawnOrder(policy, DEPTH * shop.top_k, shop.policy.randomness)
        by_log = judged_by_log(shown, as_seen, shop)
        as_of = self.night.backtest_as_of
        if as_of not in self.earlier:
            return by_log, Verdict(None, f"{self.model} has no lists as of {as_of}, so that no backtest can tell.")
        held_out = _held_out(self.night, as_of)
        if held_out is None:
            return by_log, Verdict(None, "Nobody can be judged on the backtest's days.")
        users = held_out.user_indices
        day, happenings = np.full(len(users), day_number(as_of) + 1.0), remembered(self.night, np.unique(users))
        choices = source.of(self.earlier[as_of], as_of, users, day, happenings)
        return by_log, judged_by_backtest(choices, held_out, policy, shop)

    def _examples(self, source: ListChoices, log: UserLog, shown: Examples | None) -> Examples | None:
        """All that can be learnt from: what came later must be known."""
        parts = [visits(self.night, source, lists, day, log) for day, lists in self.earlier.items()]
        if shown is not None:
            ends = day_number(self.night.ds) + 1
            is_over = shown.choices.day + sight_days(self.night) <= ends
            parts.append(shown.rows(np.flatnonzero(is_over)))
        parts = [part for part in parts if len(part)]
        return Examples.joined(parts) if parts else None

    def _write_lists(self, policy: SlatePolicy, source: ListChoices) -> Movement:
        """Writes the re-ranked lists of all users, block by block."""
        night, movement = self.night, Movement(self.night.shop.top_k)
        path = night.lake.new_version_path(SCORES, night.ds, self.fingerprint, POLICY)
        write_shard(self._blocks(policy, source, movement), path, Shard())
        commit_if_complete(night, night.ds, POLICY, path, self.fingerprint, Shard(), lists=self.lists.fingerprint)
        return movement

    def _blocks(self, policy: SlatePolicy, source: ListChoices, movement: Movement) -> Iterator[pa.Table]:
        last = int(pc.max(read_vocabulary(self.night.lake, self.night.ds, "user_id")["index"]).as_py())
        for first in range(FIRST_VALUE_INDEX, last + 1, USERS_AT_ONCE):
            users = np.arange(first, min(last + 1, first + USERS_AT_ONCE))
            yield self._reranked(policy, source, users, movement)

    def _reranked(self, policy: SlatePolicy, source: ListChoices, users: np.ndarray, movement: Movement) -> pa.Table:
        """Rows of `scores`: the best `num_candidates` of each user in the policy's order, the others as they were."""
        night, shop = self.night, self.night.shop
        rows = read_list_rows(self.lists, users)
        places = top_places(rows, users, shop.num_candidates, source.exclude_seen)
        items = np.where(places >= 0, np.append(rows.item_indices, -1)[places], -1).astype(np.int64)
        scores = np.where(places >= 0, np.append(rows.scores, 0)[places], 0).astype(np.float32)
        day = np.full(len(users), day_number(night.ds) + 1.0)
        choices = choices_of(users, day, items, scores, remembered(night, users), source.kind_of_item)
        order = DrawnOrder(policy, DEPTH * shop.top_k, 0.0).order(choices)
        after = np.where(order >= 0, np.take_along_axis(places, np.maximum(order, 0), axis=1), -1)
        movement.add(items, np.where(after >= 0, np.append(rows.item_indices, -1)[after], -1))
        new_scores = rows.scores.astype(np.float32).copy()
        new_scores[after[after >= 0]] = falling(scores)[after >= 0]
        return pa.table(
            {
                "ds": pa.repeat(pa.scalar(night.ds), len(new_scores)),
                "model": pa.repeat(pa.scalar(POLICY), len(new_scores)),
                "user_index": rows.user_indices,
                "item_index": rows.item_indices,
                "score": new_scores,
                "is_seen": rows.is_seen,
            },
            schema=arrow_schema(SCORES),
        )

    def _log_fit(self, found: LearntPolicy, verdict: Verdict, movement: Movement, figures: dict[str, float]) -> str:
        """Remembers the fit. Returns its version."""
        night, fingerprint = self.night, self.fingerprint
        moved = movement.as_dict()
        judged = {"gain": verdict.gain, "gain_low": verdict.gain_low, "is_allowed": float(verdict.is_allowed is True)}
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
        )
        path = weights_path(night.lake, POLICY, night.ds, fingerprint)
        with tempfile.TemporaryDirectory(prefix="nightjar-fit-") as folder:
            found.save(Path(folder))
            put_folder(Path(folder), path)
            run_id = tracking.log_fit(night, fit, Path(folder))
        write_fitted_model(night, fit, fingerprint, path, run_id, entry=RERANKER)
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


def falling(scores: np.ndarray) -> np.ndarray:
    """Scores that never rise along a row, and fall by the least that they can where they were equal; float32."""
    strict = scores.astype(np.float32).copy()
    for rank in range(1, strict.shape[1]):
        below = np.nextafter(strict[:, rank - 1], np.float32(-np.inf))
        strict[:, rank] = np.minimum(strict[:, rank], below)
    return strict


def _held_out(night: Night, as_of: str) -> HeldOut | None:
    """Some of the users whom the decisive task judges, and what they wanted, in the indices of ds; None without any."""
    found = [task for task in held_out_tasks(night, as_of) if task.task == decisive_task(night.shop)]
    if not found:
        return None
    (task,) = found
    users, items = (indices_on(night.lake, as_of, night.ds, name) for name in ("user_id", "item_id"))
    asked = spaced(np.flatnonzero(users[task.user_indices] >= 0), MAX_JUDGED)
    relevant = task.relevant
    is_asked = np.isin(relevant.user_rows, asked) & (items[relevant.item_indices] >= 0)
    row = np.searchsorted(asked, relevant.user_rows[is_asked])
    known, row = np.unique(row, return_inverse=True)  # who wants nothing that ds knows is not judged
    wanted = relevant_from_pairs(row, items[relevant.item_indices[is_asked]], len(known))
    return HeldOut(task.task, users[task.user_indices[asked[known]]], wanted)


if __name__ == "__main__":
    run_program(main)
