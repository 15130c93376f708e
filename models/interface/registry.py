"""Which models exist: their names, their kinds, and how each is built from its config file.

A model's module is imported only when the model is built, so that planning a night does not load Keras.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from expectations.shop.shop import Shop
from expectations.shop.toml_settings import SettingsError, settings_from_mapping, with_current_keys
from models.interface.model import Model

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


@dataclass(frozen=True)
class ModelEntry:
    """Where a model is found: its module holds the classes `<class_name>` and `<class_name>Config`."""

    module: str
    class_name: str
    kind: Literal["baseline", "deep"]
    role: Literal["retrieval", "ranking", "blending", "policy"]


MODELS: dict[str, ModelEntry] = {
    "all_time_popularity": ModelEntry(
        "models.families.all_time_popularity", "AllTimePopularity", "baseline", "retrieval"
    ),
    "recent_demand": ModelEntry("models.families.recent_demand", "RecentDemand", "baseline", "retrieval"),
    "item_item": ModelEntry("models.families.item_item", "ItemItem", "baseline", "retrieval"),
    "two_tower": ModelEntry("models.families.two_tower", "TwoTower", "deep", "retrieval"),
    "sequence": ModelEntry("models.families.sequence", "SequenceModel", "deep", "retrieval"),
    "content": ModelEntry("models.families.content", "Content", "deep", "retrieval"),
    "graph": ModelEntry("models.families.graph", "Graph", "deep", "retrieval"),
    "cross_domain": ModelEntry("models.families.cross_domain", "CrossDomain", "deep", "retrieval"),
    "deep_cf": ModelEntry("models.families.deep_cf", "DeepCf", "deep", "ranking"),
    "blend": ModelEntry("models.families.blend", "Blend", "deep", "blending"),
}


RERANKER = ModelEntry("models.policies.agents", "FittedAgent", "deep", "policy")
"""Not a model that a shop runs: what an agent of `models.policies.agents` learnt stands in `fitted_models` as this."""


def require_known(names: Iterable[str]) -> None:
    """Refuses a model that does not exist.

    Raises:
        SettingsError: names the unknown model and the known ones.
    """
    for name in names:
        if name not in MODELS:
            close = get_close_matches(name, MODELS, n=1)
            hint = f"Did you mean {close[0]!r}? " if close else ""
            raise SettingsError(
                f"`models` and `settings` must name models of models/configs. Received: {name!r}. {hint}"
                f"Known: {', '.join(MODELS)}"
            )


def trained_models(names: Iterable[str]) -> list[str]:
    """Those that `models.train` fits: all but what joins the lists of others."""
    return [name for name in names if MODELS[name].role != "blending"]


def deep_models(names: Iterable[str]) -> list[str]:
    """Those of `trained_models` that are networks, each with a task of its own."""
    return [name for name in trained_models(names) if MODELS[name].kind == "deep"]


def model_class(name: str) -> type[Model]:
    """The class of a known model."""
    require_known([name])
    cls: type[Model] = getattr(import_module(MODELS[name].module), MODELS[name].class_name)
    return cls


def config_values(name: str) -> dict[str, Any]:
    """What the model's config file says; old keys come out under their new names."""
    require_known([name])
    return file_values(_config_class(name), CONFIGS / f"{name}.toml")


def file_values(config_class: type[Any], path: Path) -> dict[str, Any]:
    """What a config file says, under the current names of its keys: a fit does not depend on which were written.

    Raises:
        SettingsError: the file gives a setting under two of its names.
    """
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    return with_current_keys(config_class, values, str(path.relative_to(CONFIGS.parents[1])))


def shop_values(shop: Shop, name: str) -> dict[str, Any]:
    """What the model's config file says, with what the shop file says under `[settings.<model>]` in its place.

    Old keys come out under their new names, so that a fit does not depend on which were written.
    """
    changes = shop.settings.get(name, {})
    where = f"shop {shop.name} [settings.{name}]"
    return _merged(config_values(name), with_current_keys(_config_class(name), changes, where) if changes else changes)


def raw_settings(shop: Shop, name: str) -> list[Any]:
    """What the model's config file says and what the shop file changes of it, as they are written.

    Unlike `shop_values` it takes no look at the model's module, which may load Keras.
    """
    return [tomllib.loads((CONFIGS / f"{name}.toml").read_text(encoding="utf-8")), shop.settings.get(name, {})]


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables within tables are merged, too."""
    both = {key: (values.get(key), change) for key, change in changes.items()}
    return {**values} | {
        key: _merged(value, change) if isinstance(value, Mapping) and isinstance(change, Mapping) else change
        for key, (value, change) in both.items()
    }


def build_model(name: str, changes: Mapping[str, Any] | None = None) -> Model:
    """A model, not yet fitted, with the config that ships, but for `changes`.

    Args:
        changes: settings in place of the config file's, such as a shop's `shop_values`.

    Raises:
        SettingsError: there is no such model, or its settings say something that they cannot mean.
    """
    require_known([name])
    config = model_config(name, changes)
    model: Model = model_class(name)(config)  # type: ignore[call-arg]
    return model


def model_config(name: str, changes: Mapping[str, Any] | None = None) -> Any:
    """The config that ships, but for `changes`; see `build_model`."""
    where = f"models/configs/{name}.toml" + (" with [settings] in place of some" if changes else "")
    return settings_from_mapping(_config_class(name), {**config_values(name), **(changes or {})}, where)


def _config_class(name: str) -> type[Any]:
    cls: type[Any] = getattr(import_module(MODELS[name].module), f"{MODELS[name].class_name}Config")
    return cls


def shop_config(shop: Shop, name: str) -> Any:
    """The config of a model as the shop wants it."""
    return model_config(name, shop_values(shop, name))
