"""How well does the sequence model tell what comes next? Amazon Beauty, leave-one-out, over the full catalogue.

python -m tests.benchmarks.accuracy.beauty_sequence --variants transformer gru --seeds 1 2 3
python -m tests.benchmarks.accuracy.beauty_sequence --validation --set dropout=0.4 epochs=30
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.benchmarks.accuracy.beauty import (
    DATA,
    FIT_DAY,
    METRICS,
    asked_features,
    dataset_as_of,
    judge_of,
    question_of,
)
from tests.benchmarks.harness.variants import judged_variants, peer_rows, tell

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


def main(argv: Sequence[str] | None = None) -> None:
    """Fits every variant with every seed and tells the figures; exits 0 without the data, saying so."""
    with asked_features(__doc__ or "", argv, VARIANTS) as (arguments, lake, judged_day):
        if lake is None:
            return
        known, question = dataset_as_of(lake, FIT_DAY), question_of(lake, judged_day)
        rows = judged_variants("sequence", VARIANTS, arguments, known, METRICS, judge_of(question))
    protocol = (
        "leave-one-out: fitted without each user's last two events, settings chosen on the one before the last, "
        f"judged once on the last over the full catalogue of {question.dataset.num_items - 2:,} items, items of "
        f"the history left out; {len(question.users):,} users"
    )
    tell(NAME, arguments, DATA, protocol, [*rows, *peer_rows(PEERS, SOURCE, METRICS)])


if __name__ == "__main__":
    main()
