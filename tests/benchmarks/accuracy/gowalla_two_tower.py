"""How well does the two-tower model rank? Gowalla, by the published split, over the full catalogue.

The pairs have no time, so that the model learns all of a user's pairs from what is left of them when half is hidden.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.accuracy.gowalla_two_tower --seeds 1 2 3
    python -m tests.benchmarks.accuracy.gowalla_two_tower --validation --set embedding_dim=128
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.benchmarks.accuracy.gowalla import run

VARIANTS: dict[str, dict[str, Any]] = {
    "cosine": {
        "objective": "hidden_items",
        "similarity": "cosine",
        "weight_decay": 0.5,
        "embedding_dim": 256,
        "hidden_dim": 64,
        "batch_size": 512,
        "num_candidates": 8192,
        "epochs": 60,
    }
}
"""What it says in place of models/configs/two_tower.toml; chosen on the held-back training pairs."""


def main(argv: Sequence[str] | None = None) -> None:
    """Fits the model with every seed and tells the figures; exits 0 without the data, saying so."""
    run("gowalla_two_tower", __doc__ or "", argv, "two_tower", VARIANTS)


if __name__ == "__main__":
    main()
