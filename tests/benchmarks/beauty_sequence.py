"""How well does the sequence model tell what comes next? Amazon Beauty, leave-one-out, over the full catalogue.

Runs the public programs up to the features, in a root of its own. The shop's calendar is made so that each user's last
event, the test, falls on the last day and the one before it, the validation, on the day before: fitted as of two days
before the end, validated on the day after, tested on the last day from histories that hold the validation too. An item
that a user met is not proposed again, since nobody reviews a thing twice. Equal scores count against us.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.beauty_sequence --variants transformer gru --seeds 1 2 3
    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.beauty_sequence --validation --set dropout=0.4 epochs=30
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from expectations.lake import Lake
from expectations.program import REPOSITORY, days_before
from expectations.settings import settings_from_mapping
from expectations.shop import load_shop
from expectations.tables import EVENTS, VOCABULARIES
from models.dataset import Dataset, load_dataset
from models.registry import config_values
from models.sequence import Sequence as SequenceModel
from models.sequence import SequenceConfig
from tests.benchmarks.report import Benchmark, hardware

NAME = "beauty_sequence"
SHOP = "amazon_beauty"
TEST_DAY = "2014-07-23"
VALIDATION_DAY = days_before(TEST_DAY, 1)
FIT_DAY = days_before(TEST_DAY, 2)
K = 10
USERS_AT_ONCE = 1024
VARIANTS: dict[str, dict[str, Any]] = {"transformer": {}, "gru": {"encoder": "gru"}}
"""What each says in place of models/configs/sequence.toml; chosen on the validation day."""
SOURCE = "S3-Rec repository; transformer_benchmark (eSASRec)"
PEERS = (
    ("GRU4Rec, as published", 0.0283, 0.0137),
    ("BERT4Rec", 0.0347, 0.0170),
    ("SASRec, as first published", 0.0605, 0.0318),
    ("TIGER", 0.0648, 0.0384),
    ("HSTU", 0.0704, 0.0389),
    ("ActionPiece", 0.0775, 0.0424),
    ("SASRec with sampled softmax", 0.0921, 0.0531),
    ("eSASRec", 0.0928, 0.0523),
)
"""Model, HR@10, NDCG@10."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Question:
    """A day's events, one a user, and what was known before: `dataset` is as of the day before."""

    dataset: Dataset
    users: np.ndarray
    items: np.ndarray


def main(argv: Sequence[str] | None = None) -> None:
    """Fits every variant with every seed and tells the figures; exits 0 without the data, saying so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("NIGHTJAR_DATA", "../shared/data"), help="(NIGHTJAR_DATA)")
    parser.add_argument("--root", help="a place to keep; else a temporary one, which is removed")
    parser.add_argument("--variants", nargs="+", choices=tuple(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--validation", action="store_true", help="judge on the validation day, and write nothing")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings to try, as JSON values")
    arguments = parser.parse_args(argv)
    if arguments.set and not arguments.validation:
        parser.error("--set is for trying settings with --validation; what is reported stands in the file")
    if not (Path(arguments.data) / SHOP).is_dir():
        print(f"skipped: no {SHOP} under {arguments.data}; set NIGHTJAR_DATA to where the raw data lies")
        return
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    tried = {key: _value(text) for key, _, text in (pair.partition("=") for pair in arguments.set)}
    with tempfile.TemporaryDirectory(prefix="nightjar-") as temporary:
        root = arguments.root or temporary
        build_features(root, arguments.data)
        lake = Lake(root)
        known = load_dataset(lake, load_shop(SHOP), FIT_DAY)
        question = question_of(lake, VALIDATION_DAY if arguments.validation else TEST_DAY)
        rows = [judged_variant(name, tried, arguments.seeds, known, question) for name in arguments.variants]
    benchmark = Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME}",
        date=date.today().isoformat(),
        hardware=hardware(),
        data="Amazon Beauty 5-core (McAuley et al. 2015): 22,363 users, 12,101 items, 198,502 events",
        protocol=(
            "leave-one-out: fitted without each user's last two events, settings chosen on the one before the last, "
            f"judged once on the last over the full catalogue of {question.dataset.num_items - 2:,} items, items of "
            f"the history left out; {len(question.users):,} users; mean of seeds {arguments.seeds}"
        ),
        rows=[*rows, *_peer_rows()],
    )
    print(benchmark.text())
    if not arguments.validation:
        print(f"written: {benchmark.write()}")


def build_features(root: str, data: str) -> None:
    """Runs the programs that turn the published files into features as of the two days before the test."""
    folder = Path(data) / SHOP
    flags = ["--shop", SHOP, "--root", root, "--data", data]
    made = ["--order-column", "pos", "--last-day", TEST_DAY]
    logs = ["--log", str(folder / "interactions.parquet"), "--items", str(folder / "items.parquet")]
    _run("jobs.split_days", *flags, *logs, *made)
    _run("jobs.ingest", *flags, "--ds", TEST_DAY)
    for day in (FIT_DAY, VALIDATION_DAY):
        _run("jobs.preprocess", *flags, "--ds", TEST_DAY, "--as-of", day)


def question_of(lake: Lake, day: str) -> Question:
    """What each user did on `day`. An item that nobody knew before it cannot be told, and stays in as a miss."""
    before = days_before(day, 1)
    vocabulary = lake.read(VOCABULARIES, before).to_pylist()
    index = {(row["field"], row["value"]): row["index"] for row in vocabulary}
    pairs = sorted(
        (index["user_id", row["user_id"]], index.get(("item_id", row["item_id"]), 1))
        for row in lake.read(EVENTS, day).to_pylist()
    )
    users, items = np.array(pairs).T
    return Question(load_dataset(lake, load_shop(SHOP), before), users, items)


def judged_variant(
    name: str, tried: dict[str, Any], seeds: Sequence[int], known: Dataset, question: Question
) -> dict[str, Any]:
    """Means over the seeds."""
    config = settings_from_mapping(
        SequenceConfig, {**config_values("sequence"), **VARIANTS[name], **tried}, f"variant {name}"
    )
    figures = []
    started = time.monotonic()
    for seed in seeds:
        model = SequenceModel(config)
        history = model.fit(replace(known, seed=seed))
        ranks = ranks_of(model, question)
        figures.append((float((ranks < K).mean()), float(np.where(ranks < K, 1 / np.log2(ranks + 2), 0).mean())))
        logger.info("judged: variant=%s seed=%d hr=%.4f ndcg=%.4f loss=%s", name, seed, *figures[-1], history.curves)
    hit_rate, ndcg = np.mean(figures, axis=0)
    return {
        "model": f"sequence ({name})",
        "ours": True,
        "source": "this repository",
        "hr@10": round(float(hit_rate), 4),
        "ndcg@10": round(float(ndcg), 4),
        "spread of ndcg": round(float(np.ptp([ndcg for _, ndcg in figures])), 4),
        "seconds a fit": round((time.monotonic() - started) / len(seeds), 1),
    }


def ranks_of(model: SequenceModel, question: Question) -> np.ndarray:
    """The place of each user's item among all that the user has not met, counted from 0. Shape (num_users,)."""
    ranks = []
    for start in range(0, len(question.users), USERS_AT_ONCE):
        users, items = (values[start : start + USERS_AT_ONCE] for values in (question.users, question.items))
        scores = model.scores(question.dataset, users)
        scores[:, :2] = -np.inf
        scores[question.dataset.seen[users].nonzero()] = -np.inf
        own = scores[np.arange(len(users)), items][:, None]
        ranks.append((scores >= own).sum(axis=1) - 1)
    return np.concatenate(ranks)


def _run(program: str, *flags: str) -> None:
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", program, *flags], check=True, cwd=REPOSITORY)
    logger.info("ran: program=%s seconds=%.1f", program, time.monotonic() - started)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _peer_rows() -> list[dict[str, Any]]:
    return [
        {"model": model, "ours": False, "source": SOURCE, "hr@10": hit_rate, "ndcg@10": ndcg}
        for model, hit_rate, ndcg in PEERS
    ]


if __name__ == "__main__":
    main()
