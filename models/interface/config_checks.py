"""What settings of a model may be; each refusal names the setting, the rule and what came."""

from __future__ import annotations

from typing import Any


def require_at_least(lowest: float, config: Any, *names: str) -> None:
    """Refuses numbers below `lowest`.

    Raises:
        ValueError: names the first setting that is.
    """
    for name in names:
        if getattr(config, name) < lowest:
            rule = "must not be negative" if lowest == 0 else f"must be at least {lowest}"
            raise ValueError(f"`{name}` {rule}. Received: {getattr(config, name)}")


def require_in_unit(config: Any, *names: str) -> None:
    """Refuses numbers outside of [0, 1].

    Raises:
        ValueError: names the first setting that does not lie in [0, 1].
    """
    for name in names:
        if not 0 <= getattr(config, name) <= 1:
            raise ValueError(f"`{name}` must lie in [0, 1]. Received: {getattr(config, name)}")


def require_in_half_open_unit(config: Any, *names: str) -> None:
    """Refuses numbers outside of [0, 1), such as a dropout that would leave nothing.

    Raises:
        ValueError: names the first setting that does not lie in [0, 1).
    """
    for name in names:
        if not 0 <= getattr(config, name) < 1:
            raise ValueError(f"`{name}` must lie in [0, 1). Received: {getattr(config, name)}")


def require_divisor(config: Any) -> None:
    """Refuses attention heads of unequal length.

    Raises:
        ValueError: `num_heads` does not divide `embedding_dim`.
    """
    if config.embedding_dim % config.num_heads:
        raise ValueError(
            f"`num_heads` must divide `embedding_dim`. Received: {config.num_heads} and {config.embedding_dim}"
        )
