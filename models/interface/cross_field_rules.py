"""Rules of a config that no single setting can keep; bounds of single ones stand at their fields."""

from __future__ import annotations

from typing import Protocol


class _HasHeads(Protocol):
    """A config whose network has attention heads."""

    @property
    def embedding_dim(self) -> int:
        """Width of a vector."""

    @property
    def num_heads(self) -> int:
        """How many heads share it."""


def require_heads_divide(config: _HasHeads) -> None:
    """Refuses attention heads of unequal length.

    Raises:
        ValueError: `num_heads` does not divide `embedding_dim`.
    """
    if config.embedding_dim % config.num_heads:
        raise ValueError(
            f"`num_heads` must divide `embedding_dim`. Received: {config.num_heads} and {config.embedding_dim}"
        )
