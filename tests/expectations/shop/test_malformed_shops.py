"""Shop files that are wrong in any way are refused by one line that names the file, never by a trace."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.shop.shop import load_shop
from expectations.shop.toml_settings import SettingsError
from tests.worlds.odd_shops.damaged_shop_files import SHIPPED, damaged_shop_file


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_malformed_shop_file_is_refused_by_one_line(tmp_path: Path, data: st.DataObject) -> None:
    def choose(of: Sequence[Any]) -> Any:
        return data.draw(st.sampled_from(of))

    text = damaged_shop_file(choose(SHIPPED).read_text(), data.draw(st.integers(1, 3)), choose)
    path = tmp_path / "shop.toml"
    path.write_text(text)
    try:
        load_shop(str(path))
    except SettingsError as err:
        assert str(path) in str(err)
        assert "\n" not in str(err)


SETTINGS: list[tuple[str, Any, str]] = [
    ("time_format", "%Y-%m-%d", "a pattern of Spark"),
    ("time_format", "YYYY-MM-DD", "write yyyy and dd"),
    ("time_format", "yyyy-MM-dd hh:mm:ss", "write HH"),
    ("time_format", "unix", "knows unix_seconds"),
    ("timezone", "Berlin", "Did you mean 'Europe/Berlin'"),
    ("timezone", "CST", "short names mean different zones"),
    ("encoding", "latin-99", "one that Python knows"),
    ("path", "{ds:%Y%m}/e.csv", "%Y, %m and %d"),
    ("path", "{day}/e.csv", "may hold {ds}"),
    ("decimal", ".", "auto, point or comma"),
]


@pytest.mark.parametrize(("key", "value", "rule"), SETTINGS, ids=[f"{key} {value}" for key, value, _ in SETTINGS])
def test_what_other_tools_mean_by_a_setting_is_named(tmp_path: Path, key: str, value: str, rule: str) -> None:
    events = {"path": "{ds}/e.csv", key: value}
    lines = [f'{name} = "{text}"' for name, text in events.items()]
    columns = 'event_time = "t"\nuser_id = "u"\nitem_id = "i"\nevent_type = "e"'
    path = tmp_path / "shop.toml"
    path.write_text('name = "s"\n[events]\n' + "\n".join(lines) + f"\n[events.columns]\n{columns}\n")
    assert tomllib.loads(path.read_text())
    with pytest.raises(SettingsError) as error:
        load_shop(str(path))
    assert rule in str(error.value)
    assert "events" in str(error.value)


@pytest.mark.parametrize(
    "setting",
    [
        'timezone = "+01:00"',
        'time_format = "dd.MM.yyyy hh:mm a"',
        "time_format = \"yyyy-MM-dd'T'HH:mm:ssXXX\"",
        'path = "x/{ds:%Y%m%d}/part-*.csv"',
        'encoding = "cp1252"',
    ],
)
def test_what_is_meant_well_is_taken(tmp_path: Path, setting: str) -> None:
    path = tmp_path / "shop.toml"
    head = setting if setting.startswith("path") else f'path = "{{ds}}.csv"\n{setting}'
    columns = 'event_time = "t"\nuser_id = "u"\nitem_id = "i"\nevent_type = "e"'
    path.write_text(f'name = "s"\n[events]\n{head}\n[events.columns]\n{columns}\n')
    assert load_shop(str(path)).name == "s"
