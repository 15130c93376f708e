"""The agents speak Keras alone, too; see tests.models.nn.test_backends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from expectations.runtime.code_version import REPOSITORY


def test_both_agents_learn_under_jax() -> None:
    if find_spec("jax") is None:
        pytest.skip("jax is not installed")
    found = subprocess.run(
        [sys.executable, "-m", "tests.models.subprocesses.one_policy"],
        cwd=REPOSITORY,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    told = json.loads(found.stdout.splitlines()[-1])
    assert told.pop("backend") == "jax"
    assert set(told) == {"policy_gradient", "q_learning"}
    for agent in told.values():
        assert np.isfinite(agent["loss"])
        assert agent["finite"]
