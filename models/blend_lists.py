"""Joins the lists of all other models into one, by weights that are learnt on the days of the backtest.

With `--as-of backtest` it learns, window by window, how much each model's score and rank tell of what users did in the
days that followed; for those users it answers by weights that were learnt without them, so that the backtest judges it
as fairly as the rest. With `--as-of refit` it joins the lists as of ds by the weights of the latest window. Reads
`candidates` and `scores` of the shop's other models and `events`; writes `scores`, the weights under `{root}/weights`,
a run in MLflow, and last the row of `fitted_models`. A shop that does not run `blend` is left alone.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from expectations.runtime.arrow_types import arrow_schema
from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Version, vocabulary_hash
from expectations.runtime.program import Night, add_as_of, days_from, night_from, night_parser, run_program
from expectations.tables import FIRST_VALUE_INDEX, FITTED_MODELS, SCORES, NightError
from models.data.pair_keys import pair_keys
from models.data.vocabulary import read_vocabulary
from models.evaluation.held_out import NEW_ITEMS, decisive_task, held_out_tasks
from models.families.blend import Blend
from models.families.blend_features import ListedPairs, listed_pairs
from models.interface import tracking
from models.interface.fitted_models import fitted_model, write_fitted_model
from models.interface.in_force import OUT_OF_FOLD, ModelsAsOf
from models.interface.registry import shop_config, shop_values
from models.interface.shards import Shard, commit_if_complete, write_shard
from models.interface.weights_store import fetched_folder, put_folder, weights_path

NAME = "blend"
USERS_AT_ONCE = 2_048
"""Bounds the candidates of all models that are held at a time."""

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Learns and answers for the backtest, or answers for the night."""
    parser = night_parser(__doc__)
    add_as_of(parser)
    arguments = parser.parse_args(argv)
    night = night_from(arguments)
    if NAME not in night.shop.models:
        logger.info("nothing to blend: the shop does not run the model %s", NAME)
        return
    for as_of in days_from(arguments, night):
        if as_of in night.backtest_days:
            learn(night, as_of)
        else:
            join(night, as_of)


def learn(night: Night, as_of: str) -> None:
    """Learns from the `horizon_days` after `as_of`, and writes answers out of fold.

    Raises:
        NightError: fewer than two models have lists of that day, or nobody can be judged.
    """
    models, config = ModelsAsOf(night.lake, night.shop, as_of), shop_config(night.shop, NAME)
    lists = lists_to_join(models)
    answer = Answer(night, models, OUT_OF_FOLD[NAME], lists)
    if answer.is_written():
        return
    started = time.monotonic()
    pairs, is_wanted = examples(night, as_of, list(lists.values()), config.max_users)
    blend = Blend.learnt(list(lists), pairs, is_wanted, config)
    answer.write(blend, blend.scores_out_of_fold, time.monotonic() - started)


def join(night: Night, as_of: str) -> None:
    """Writes the answers as of the night's ds.

    Raises:
        NightError: nothing was learnt in the night's backtest, or a model has lists no more.
    """
    models = ModelsAsOf(night.lake, night.shop, as_of)
    learnt = models.of_backtest.fit(OUT_OF_FOLD[NAME])
    if learnt is None:
        raise NightError(
            f"{NAME} as of {as_of}: its weights are learnt on the backtest's days, and there are none of "
            f"{models.of_backtest.as_of} that count tonight. Run models.blend_lists --as-of backtest, or leave {NAME} "
            f"out of `models`."
        )
    with fetched_folder(night.lake, str(fitted_model(learnt)["weights_path"])) as folder:
        weights = Blend.load(folder)
    lists = lists_to_join(models)
    if list(lists) != weights.models:
        raise NightError(
            f"{NAME} as of {as_of}: it must join the lists that it learnt to weigh: {', '.join(weights.models)}. "
            f"Received: {', '.join(lists)}. Fit the models that are missing and run it again."
        )
    answer = Answer(night, models, NAME, lists)
    if not answer.is_written():
        answer.write(weights, weights.scores, 0.0)


def lists_to_join(models: ModelsAsOf) -> dict[str, Version]:
    """The lists of the shop's other models, in its order.

    Raises:
        NightError: there are fewer than two.
    """
    lists = models.joined_lists
    if len(lists) < 2:
        raise NightError(
            f"{NAME} as of {models.as_of} joins the lists of at least two models. Received: "
            f"{', '.join(lists) or 'none'}. Were models.train, jobs.build_candidates and models.score run for that day?"
        )
    return lists


def examples(night: Night, as_of: str, lists: Sequence[Version], max_users: int) -> tuple[ListedPairs, np.ndarray]:
    """The listed pairs of users who wanted something in the days after `as_of`, and whether it was the pair's item.

    They are those of the task that decides: where lists are to hold nothing that the user met, nor do these.

    Returns:
        The pairs, and for each of them whether it was wanted. Shape (num_pairs,), bool.

    Raises:
        NightError: nobody wanted anything that the task asks for.
    """
    task = decisive_task(night.shop)
    tasks = held_out_tasks(night.lake, night.ds, as_of, night.shop)
    held_out = next((found for found in tasks if found.task == task), None)
    if held_out is None:
        raise NightError(f"{NAME} as of {as_of}: nobody wanted anything that the task {task} asks for.")
    step = max(1, -(-len(held_out.user_indices) // max_users))
    chosen = held_out.user_indices[::step]
    parts = [
        listed_pairs(lists, int(block[0]), int(block[-1])).of_users(block)
        for block in np.array_split(chosen, -(-len(chosen) // USERS_AT_ONCE))
    ]
    pairs = ListedPairs.joined(parts)
    if task == NEW_ITEMS:
        pairs = pairs.where(~pairs.is_seen)
    wanted = pair_keys(held_out.user_indices[held_out.relevant.user_rows], held_out.relevant.item_indices)
    return pairs, np.isin(pairs.keys, wanted)


@dataclass(frozen=True)
class Answer:
    """What the blend says as of one day: what it rests on, and where it is written.

    Attributes:
        name: under which it stands in `scores` and `fitted_models`.
        lists: what it joins; two or more.
    """

    night: Night
    models: ModelsAsOf
    name: str
    lists: Mapping[str, Version]

    @property
    def as_of(self) -> str:
        """The day that it is of."""
        return self.models.as_of

    def is_written(self) -> bool:
        """Whether just this is current already."""
        lake, fingerprint = self.night.lake, self.models.blend_fingerprint(self.name)
        if fingerprint is None or not all(
            lake.reuse(table, self.as_of, fingerprint, self.name) for table in (SCORES, FITTED_MODELS)
        ):
            return False
        logger.info("already fitted: model=%s as_of=%s", self.name, self.as_of)
        return True

    def write(self, weights: Blend, scores: Callable[[ListedPairs], np.ndarray], seconds: float) -> None:
        """Writes the scores of all listed pairs, then the row of `fitted_models` that makes them current.

        Args:
            scores: pairs -> their scores. Shape (num_pairs,), float32.
        """
        night, fingerprint = self.night, self.models.blend_fingerprint(self.name)
        learnt_from = self.models.blend_learnt_from(self.name)
        assert fingerprint is not None and learnt_from is not None, "there are lists, and what they are weighed by"
        path = night.lake.new_version_path(SCORES, self.as_of, fingerprint, self.name)
        write_shard(self._blocks(scores), path, Shard())
        commit_if_complete(night.lake, self.as_of, self.name, path, fingerprint, Shard())
        fit = tracking.Fit(
            model=NAME,
            as_of=self.as_of,
            version=f"{self.name}-{self.as_of}-{fingerprint[:8]}",
            config=shop_values(night.shop, NAME),
            curves={},
            facts={**weights.as_facts(), "seconds": round(seconds, 2)},
            inputs=[version.fingerprint for version in (*self.lists.values(), *learnt_from)],
            vocabulary_hash=vocabulary_hash(night.lake, self.as_of),
            code=code_version("models.blend_lists"),
            settings={"seed": night.shop.seed, "horizon_days": night.shop.horizon_days},
        )
        folder_path = weights_path(self.name, self.as_of, fingerprint)
        with tempfile.TemporaryDirectory(prefix="nightjar-fit-") as folder:
            weights.save(Path(folder))
            put_folder(night.lake, Path(folder), folder_path)
            run_id = tracking.log_fit(night.tracking, night.run_tags, fit, Path(folder))
        write_fitted_model(night.lake, fit, fingerprint, folder_path, run_id, stands_as=self.name)
        logger.info("blended: as_of=%s %s", self.as_of, " ".join(f"{k}={v:.3g}" for k, v in fit.facts.items()))

    def _blocks(self, scores: Callable[[ListedPairs], np.ndarray]) -> Iterator[pa.Table]:
        """Rows of `scores`, some users at a time."""
        last = int(pc.max(read_vocabulary(self.night.lake, self.as_of, "user_id")["index"]).as_py())
        for first in range(FIRST_VALUE_INDEX, last + 1, USERS_AT_ONCE):
            pairs = listed_pairs(list(self.lists.values()), first, min(last, first + USERS_AT_ONCE - 1))
            yield pa.table(
                {
                    "ds": pa.repeat(pa.scalar(self.as_of), len(pairs.keys)),
                    "model": pa.repeat(pa.scalar(self.name), len(pairs.keys)),
                    "user_index": pairs.user_indices,
                    "item_index": pairs.item_indices,
                    "score": scores(pairs).astype(np.float32),
                    "is_seen": pairs.is_seen,
                },
                schema=arrow_schema(SCORES),
            )


if __name__ == "__main__":
    run_program(main)
