"""Bounds that many settings share; each carries the words in which `toml_settings` refuses what lies outside."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

AtLeastOne = Annotated[int, Field(ge=1), "must be at least 1"]
NotNegativeInt = Annotated[int, Field(ge=0), "must be 0 or more"]
ZeroForNoBound = Annotated[int, Field(ge=0), "must be 0 (no bound) or more"]
Share = Annotated[float, Field(ge=0, le=1), "must lie between 0 and 1"]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1), "must lie in [0, 1)"]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False), "must be a number from 0"]


def one_of(*words: str) -> Any:
    """A text setting's choices."""
    return Field(pattern=f"^({'|'.join(words)})$")
