"""The table of settings holds every setting that the shop file, the configs and the programs know."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields

import pytest

from expectations.shop.shop import SHIPPED_SHOPS, Shop
from models.interface.registry import CONFIGS
from tests.docs.settings_table import REPOSITORY, settings_rows

ROWS = settings_rows()
NAMES = {(row["kind"], row["table"], row["name"]) for row in ROWS}


def test_each_row_says_what_its_setting_is_for() -> None:
    assert len(NAMES) == len(ROWS), "a setting stands in the table once"
    assert all(row.keys() == {"kind", "table", "name", "type", "default", "bounds", "about"} for row in ROWS)
    assert not [row for row in ROWS if row["kind"] == "shop file" and not row["about"]]
    assert {row["kind"] for row in ROWS} == {
        "shop file",
        "model config",
        "flag",
        "environment variable",
        "DAG form",
        "make variable",
        "compose",
        "Airflow pool",
    }


def test_every_key_of_the_commented_shop_file_stands_in_it() -> None:
    demo = tomllib.loads((SHIPPED_SHOPS / "demo.toml").read_text(encoding="utf-8"))
    named = {row["name"] for row in ROWS if row["kind"] == "shop file" and not row["table"]}
    tables = {row["table"].partition(".")[0] for row in ROWS if row["kind"] == "shop file"}
    assert set(demo) <= named | tables
    assert {f.name for f in fields(Shop)} - {"folder"} <= named | tables


def test_every_key_of_a_model_config_stands_in_it_with_its_value() -> None:
    for path in CONFIGS.rglob("*.toml"):
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        for name, value in values.items():
            table = f"{path.stem}.{name}" if isinstance(value, dict) else path.stem
            for key in value if isinstance(value, dict) else [name]:
                assert ("model config", table, key) in NAMES


def test_every_environment_variable_that_a_program_reads_stands_in_it() -> None:
    read: set[str] = set()
    for folder in ("jobs", "models", "expectations"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            read |= set(re.findall(r'env(?:iron)?\.get\(\s*"([A-Z_]+)"', path.read_text(encoding="utf-8")))
    assert read <= {name for kind, _, name in NAMES if kind == "environment variable"}


def test_a_bound_is_worded_as_its_refusal_is() -> None:
    bounds = {(row["table"], row["name"]): row["bounds"] for row in ROWS if row["kind"] == "shop file"}
    assert bounds["", "top_k"] == "be at least 1"
    assert bounds["publish", "min_coverage"] == "lie between 0 and 1"


@pytest.mark.parametrize(
    ("table", "name", "bound"),
    [
        ("sequence", "item_dropout", "lie in [0, 1)"),
        ("sequence", "dropout", "lie in [0, 1)"),
        ("sequence", "max_length", "be at least 2: a start and an event"),
        ("sequence", "feature_dim", ""),
        ("content", "feature_dim", "be at least 1"),
        ("graph", "user_weight_exponent", "be 0 or more"),
        ("graph", "propagation", "be one of light, attention"),
        ("deep_cf", "precision", "be one of float32, mixed_bfloat16, mixed_float16"),
        ("deep_cf", "hidden_units", "name at least one layer"),
        ("deep_cf.sampling", "uniform_share", "lie in (0, 1]"),
        ("item_item", "half_life_days", "be more than 0"),
        ("q_learning", "weight_cap", "be at least 1"),
    ],
)
def test_a_models_bound_is_worded_as_its_refusal_is(table: str, name: str, bound: str) -> None:
    bounds = {(row["table"], row["name"]): row["bounds"] for row in ROWS if row["kind"] == "model config"}
    assert bounds[table, name] == bound
