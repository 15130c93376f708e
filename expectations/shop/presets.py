"""Shop files of well-known exports, to start from: `preset = "ga4"` takes what jobs/shops/presets/ga4.toml says.

What a shop file says itself stands before what its preset says, key by key; a list takes the place of a list.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from expectations.shop.toml_settings import SettingsError

PRESETS = Path(__file__).resolve().parents[2] / "jobs" / "shops" / "presets"


def with_preset(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Returns the tables of a shop file together with those of the preset that it names.

    Raises:
        SettingsError: there is no such preset.
    """
    own = dict(values)
    name = own.pop("preset", None)
    if name is None:
        return own
    known = sorted(path.stem for path in PRESETS.glob("*.toml"))
    if name not in known:
        close = get_close_matches(str(name), known, n=1)
        hope = f"Did you mean {close[0]!r}? " if close else ""
        raise SettingsError(f"{where}: there is no preset {name!r}. {hope}Known: {', '.join(known)}.")
    return laid_over(tomllib.loads((PRESETS / f"{name}.toml").read_text(encoding="utf-8")), own)


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the one table says, key by key, before what the one below it says; a list takes a list's place."""
    both = {key: below[key] for key in below if key not in above}
    for key, value in above.items():
        is_table = isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
        both[key] = laid_over(below[key], value) if is_table else value
    return both
