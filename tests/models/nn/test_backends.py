"""The model files speak Keras alone, so that a machine with JAX in place of TensorFlow trains them as well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from expectations.runtime.code_version import REPOSITORY
from expectations.tables import NightError
from models.interface.registry import MODELS, trained_models
from models.nn.training_setup import prepare_training

pytestmark = pytest.mark.slow

DEEP = {name for name in trained_models(MODELS) if MODELS[name].kind == "deep"}


def short_fit(folder: Path, backend: str, *names: str, **changes: Any) -> dict[str, Any]:
    """What tests.models.subprocesses.short_fit prints, with two devices where the backend can split a CPU."""
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    found = subprocess.run(
        [sys.executable, "-m", "tests.models.subprocesses.short_fit", str(folder), json.dumps(changes), *names],
        cwd=REPOSITORY,
        env={**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    details: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    assert details.pop("backend") == backend
    return details


@pytest.fixture(scope="module")
def under_jax(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return short_fit(tmp_path_factory.mktemp("jax"), "jax")


def test_every_deep_model_trains_under_tensorflow_in_half_precision(tmp_path: Path) -> None:
    """In full precision, the tests of each family train it."""
    require_falling_losses(short_fit(tmp_path, "tensorflow", precision="mixed_bfloat16"))


def test_every_deep_model_trains_under_jax(under_jax: dict[str, Any]) -> None:
    require_falling_losses(under_jax)


def require_falling_losses(details: dict[str, Any]) -> None:
    assert details["num_devices"] == 1
    for name in DEEP:
        losses = details[name]["losses"]
        assert details[name]["finite"], name
        assert np.isfinite(losses).all(), name
        assert np.mean(losses[len(losses) // 2 :]) < losses[0], name


def test_two_devices_that_share_the_batches_learn_what_one_does(under_jax: dict[str, Any], tmp_path: Path) -> None:
    shared = short_fit(tmp_path, "jax", "sequence", data_parallel=True)
    assert shared["num_devices"] == 2
    assert shared["sequence"]["losses"][0] == pytest.approx(under_jax["sequence"]["losses"][0], rel=1e-4)


def test_tensorflow_is_refused_where_devices_are_to_share_batches() -> None:
    with pytest.raises(NightError, match=r"needs a backend that shares .* Received: tensorflow. Set KERAS_BACKEND=jax"):
        prepare_training(seed=0, data_parallel=True)
