"""The model files speak Keras alone, so that a machine with JAX in place of TensorFlow trains them as well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from expectations.program import REPOSITORY
from models.registry import MODELS


@pytest.mark.parametrize(
    ("backend", "precision"),
    [("tensorflow", "float32"), ("jax", "float32"), ("tensorflow", "mixed_bfloat16")],
)
def test_every_deep_model_trains_under_each_backend(backend: str, precision: str, tmp_path: Path) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    found = subprocess.run(
        [sys.executable, "-m", "tests.models.one_epoch", str(tmp_path), precision],
        cwd=REPOSITORY,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    told = json.loads(found.stdout.splitlines()[-1])
    assert told.pop("backend") == backend
    assert set(told) == {name for name, entry in MODELS.items() if entry.kind == "deep"}
    for name, fit in told.items():
        assert fit["finite"], name
        assert np.isfinite(fit["loss"]), name
