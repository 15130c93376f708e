"""How well does the two-tower model rank? Gowalla, by the published split, over the full catalogue.

The pairs have no time, so that each is dealt to a day by chance, the same for every seed; the model learns a later part
of a user's pairs from an earlier one.

    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.gowalla_deep_cf --seeds 1 2 3
    NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.gowalla_deep_cf --validation --set embedding_dim=128
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.gowalla import run

VARIANTS: dict[str, dict] = {"two_tower": {}}
"""What it says in place of models/configs/two_tower.toml; chosen on the held-back training pairs."""


def main(argv: Sequence[str] | None = None) -> None:
    """Fits the model with every seed and tells the figures; exits 0 without the data, saying so."""
    run("gowalla_deep_cf", __doc__ or "", argv, "two_tower", VARIANTS)


if __name__ == "__main__":
    main()
