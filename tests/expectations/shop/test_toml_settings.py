"""A settings file that cannot mean what it says is refused, with the place named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from expectations.shop.toml_settings import SettingsError, settings_from_mapping, with_current_keys


@dataclass(frozen=True)
class Layer:
    width: int = field(metadata={"old_names": ("num_cells", "cells")})
    dropout: float = 0.0


@dataclass(frozen=True)
class Network:
    name: str
    layers: tuple[Layer, ...] = ()
    is_deep: bool = True
    weights: dict[str, float] = field(default_factory=dict)
    note: str | None = None
    cell: Literal["gru", "lstm"] = "gru"

    def __post_init__(self) -> None:
        if self.name == "":
            raise ValueError("`name` must not be empty")


def test_nested_tables_lists_and_whole_numbers_for_floats_are_taken() -> None:
    values = {"name": "n", "layers": [{"width": 8, "dropout": 1}], "weights": {"view": 2}, "note": "x"}
    network = settings_from_mapping(Network, values, "net.toml")
    assert network == Network("n", (Layer(8, 1.0),), True, {"view": 2.0}, "x")
    assert isinstance(network.layers[0].dropout, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "n", "cell": "rnn"}, "net.toml cell must be one of 'gru', 'lstm'. Received: 'rnn'"),
        ({"nam": "n"}, "net.toml: unknown key 'nam'. Did you mean 'name'?"),
        (
            {"name": "n", "zzz": 1},
            "net.toml: unknown key 'zzz'. Known keys: name, layers, is_deep, weights, note, cell.",
        ),
        ({}, "net.toml: the key 'name' is missing."),
        ({"name": 3}, "net.toml name must be text. Received: 3"),
        ({"name": "n", "is_deep": 1}, "net.toml is_deep must be true or false. Received: 1"),
        ({"name": "n", "layers": [{"width": 1.5}]}, "net.toml layers[0] width must be a whole number. Received: 1.5"),
        ({"name": "n", "layers": [{"width": True}]}, "net.toml layers[0] width must be a whole number. Received: True"),
        ({"name": "n", "layers": [{}]}, "net.toml layers[0]: the key 'width' is missing."),
        ({"name": "n", "layers": {"width": 1}}, "net.toml layers must be a list. Received: {'width': 1}"),
        ({"name": "n", "layers": [8]}, "net.toml layers[0] must be a table. Received: 8"),
        ({"name": "n", "weights": {"view": "2"}}, "net.toml weights.view must be a number. Received: '2'"),
        ({"name": "n", "note": 5}, "net.toml note must be text. Received: 5"),
        ({"name": ""}, "net.toml: `name` must not be empty"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from_mapping(Network, values, "net.toml")
    assert str(caught.value) == message


def test_an_old_key_is_read_and_the_new_one_is_named(caplog: pytest.LogCaptureFixture) -> None:
    old = {"name": "n", "layers": [{"cells": 8}]}
    new = {"name": "n", "layers": [{"width": 8}]}
    assert settings_from_mapping(Network, old, "old.toml") == settings_from_mapping(Network, new, "new.toml")
    assert settings_from_mapping(Network, old, "old.toml").layers[0].width == 8
    message = "old.toml layers[0]: `cells` is now `width`; the old name is read until the next release"
    assert caplog.messages == [message], "said once, however often the table is read"
    assert with_current_keys(Network, old, "old.toml") == new


@pytest.mark.parametrize("twice", [{"width": 8, "cells": 8}, {"cells": 8, "width": 8}, {"cells": 8, "num_cells": 8}])
def test_a_key_under_two_of_its_names_is_refused(twice: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"layers\[0\]: `width` is given under an old name, too"):
        settings_from_mapping(Network, {"name": "n", "layers": [twice]}, "net.toml")
