"""How well do the graph models rank? Gowalla, by the published split, over the full catalogue.

The pairs are all there is: no features, no edges between items, no weights.

    python -m tests.benchmarks.accuracy.gowalla_graph --variants light attention --seeds 1 2 3
    python -m tests.benchmarks.accuracy.gowalla_graph --validation --set num_layers=2 epochs=30
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.benchmarks.accuracy.gowalla import run

PAIRS_ALONE: dict[str, Any] = {"feature_dim": 0, "edge_exponent": 0.0, "item_item_weight": 0.0, "node_dropout": 0.0}
OF_GOWALLA: dict[str, Any] = {**PAIRS_ALONE, "min_steps": 1, "weight_decay": 0.45}
VARIANTS = {
    "light": {**OF_GOWALLA, "embedding_dim": 256},
    "attention": {**OF_GOWALLA, "propagation": "attention", "embedding_dim": 64},
}
"""What each says in place of models/configs/graph.toml; chosen on the held-back training pairs."""


def main(argv: Sequence[str] | None = None) -> None:
    """Fits every variant with every seed and tells the figures; exits 0 without the data, saying so."""
    run("gowalla_graph", __doc__ or "", argv, "graph", VARIANTS)


if __name__ == "__main__":
    main()
