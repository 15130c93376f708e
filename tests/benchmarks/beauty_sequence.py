"""How well does the sequence model tell what comes next? Amazon Beauty, leave-one-out, over the full catalogue.

NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.beauty_sequence --variants transformer gru --seeds 1 2 3
NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.beauty_sequence --validation --set dropout=0.4 epochs=30
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from expectations.settings import settings_from_mapping
from models.dataset import Dataset
from models.registry import config_values
from models.sequence import Sequence as SequenceModel
from models.sequence import SequenceConfig
from tests.benchmarks.arguments import benchmark_parser, parsed, tried_settings
from tests.benchmarks.beauty import (
    DATA,
    FIT_DAY,
    SHOP,
    TEST_DAY,
    VALIDATION_DAY,
    Question,
    dataset_as_of,
    features,
    hit_rate_and_ndcg,
    question_of,
    ranks_of,
)
from tests.benchmarks.report import Benchmark, hardware

NAME = "beauty_sequence"
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


def main(argv: Sequence[str] | None = None) -> None:
    """Fits every variant with every seed and tells the figures; exits 0 without the data, saying so."""
    parser = benchmark_parser(__doc__ or "", VARIANTS)
    parser.add_argument("--root", help="a place to keep; else a temporary one, which is removed")
    arguments = parsed(parser, argv)
    data = Path(arguments.data)
    if not (data / SHOP).is_dir():
        print(f"skipped: no {SHOP} under {data}; set NIGHTJAR_DATA to where the raw data lies")
        return
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    with features(data, arguments.root) as lake:
        known = dataset_as_of(lake, FIT_DAY)
        question = question_of(lake, VALIDATION_DAY if arguments.validation else TEST_DAY)
        tried = tried_settings(arguments)
        rows = [judged_variant(name, tried, arguments.seeds, known, question) for name in arguments.variants]
    benchmark = Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME}",
        date=date.today().isoformat(),
        hardware=hardware(),
        data=DATA,
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
        figures.append(hit_rate_and_ndcg(ranks_of(model, question)))
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


def _peer_rows() -> list[dict[str, Any]]:
    return [
        {"model": model, "ours": False, "source": SOURCE, "hr@10": hit_rate, "ndcg@10": ndcg}
        for model, hit_rate, ndcg in PEERS
    ]


if __name__ == "__main__":
    main()
