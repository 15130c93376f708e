"""Amazon Beauty, leave-one-out, as datasets and as a judge; see `beauty_sequence` and `beauty_content`.

The shop's calendar is made so that each user's last event, the test, falls on the last day and the one before it, the
validation, on the day before: fitted as of two days before the end, validated on the day after, tested on the last day
from histories that hold the validation too. An item that a user met is not proposed again, since nobody reviews a thing
twice. Equal scores count against us.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from expectations.runtime.days import days_before
from expectations.runtime.lake import Lake
from expectations.shop.shop import load_shop
from expectations.tables import EVENTS, FIRST_VALUE_INDEX, UNKNOWN_INDEX, VOCABULARIES
from models.data.dataset import Dataset, load_dataset
from models.interface.model import Model
from tests.benchmarks.harness.programs import run
from tests.benchmarks.harness.variants import benchmark_parser, data_folder, parsed

SHOP = "amazon_beauty"
DATA = "Amazon Beauty 5-core (McAuley et al. 2015): 22,363 users, 12,101 items, 198,502 events"
TEST_DAY = "2014-07-23"
VALIDATION_DAY = days_before(TEST_DAY, 1)
FIT_DAY = days_before(TEST_DAY, 2)
K = 10
METRICS = ("hr@10", "ndcg@10")
USERS_AT_ONCE = 1024


@dataclass(frozen=True)
class Question:
    """A day's events, one a user, and what was known before: `dataset` is as of the day before."""

    dataset: Dataset
    users: np.ndarray
    items: np.ndarray


@contextmanager
def asked_features(
    description: str, argv: Sequence[str] | None, variants: Iterable[str]
) -> Iterator[tuple[argparse.Namespace, Lake | None, str]]:
    """Reads a benchmark's flags; builds the features as of the two days before the test by the public programs.

    Yields:
        The flags; a lake with the features, None without the data; the day that is to be judged.
    """
    parser = benchmark_parser(description, variants)
    parser.add_argument("--root", help="a place to keep, built again when code changed; else a temporary one")
    arguments = parsed(parser, argv)
    judged_day = VALIDATION_DAY if arguments.validation else TEST_DAY
    if data_folder(arguments, SHOP) is None:
        yield arguments, None, judged_day
        return
    with TemporaryDirectory(prefix="nightjar-") as temporary:
        root = arguments.root or temporary
        build_features(root, Path(arguments.data))
        yield arguments, Lake(root), judged_day


def build_features(root: str, data: Path) -> None:
    """Runs the programs that turn the published files into features."""
    flags = ["--shop", SHOP, "--root", root, "--data", str(data)]
    made = ["--order-column", "pos", "--last-day", TEST_DAY]
    logs = ["--log", str(data / SHOP / "interactions.parquet"), "--items", str(data / SHOP / "items.parquet")]
    if not Lake(root).days(EVENTS):
        run("jobs.split_days", *flags, *logs, *made)
    run("jobs.ingest", *flags, "--ds", TEST_DAY)
    for day in (FIT_DAY, VALIDATION_DAY):
        run("jobs.preprocess", *flags, "--ds", TEST_DAY, "--as-of", day)


def dataset_as_of(lake: Lake, day: str) -> Dataset:
    """All that was known at the end of `day`."""
    return load_dataset(lake, load_shop(SHOP), day)


def question_of(lake: Lake, day: str) -> Question:
    """What each user did on `day`. An item that nobody knew before it cannot be predicted, and stays in as a miss."""
    before = days_before(day, 1)
    vocabulary = lake.read(VOCABULARIES, before).to_pylist()
    index = {(row["field"], row["value"]): row["index"] for row in vocabulary}
    pairs = sorted(
        (index["user_id", row["user_id"]], index.get(("item_id", row["item_id"]), UNKNOWN_INDEX))
        for row in lake.read(EVENTS, day).to_pylist()
    )
    users, items = np.array(pairs).T
    return Question(dataset_as_of(lake, before), users, items)


def ranks_of(model: Model, question: Question) -> np.ndarray:
    """The place of each user's item among all that the user has not met, counted from 0. Shape (num_users,)."""
    ranks = []
    for start in range(0, len(question.users), USERS_AT_ONCE):
        users, items = (values[start : start + USERS_AT_ONCE] for values in (question.users, question.items))
        scores = model.scores(question.dataset, users)
        scores[:, :FIRST_VALUE_INDEX] = -np.inf
        scores[question.dataset.seen_by(users).nonzero()] = -np.inf
        own = scores[np.arange(len(users)), items][:, None]
        ranks.append((scores >= own).sum(axis=1) - 1)
    return np.concatenate(ranks)


def hit_rate_and_ndcg(ranks: np.ndarray) -> tuple[float, float]:
    """HR@10 and NDCG@10 where each user has one item to be found."""
    return float((ranks < K).mean()), float(np.where(ranks < K, 1 / np.log2(ranks + 2), 0).mean())


def judge_of(question: Question) -> Callable[[Model], tuple[float, float]]:
    """What gives a fitted model's METRICS."""
    return lambda model: hit_rate_and_ndcg(ranks_of(model, question))
