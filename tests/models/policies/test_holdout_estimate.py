"""How sure a gain on users held out is."""

from __future__ import annotations

import numpy as np
import pytest

from models.policies.holdout_estimate import CAUTION, HoldoutEstimate


def test_a_gain_is_sure_beyond_the_error_that_drawing_users_anew_shows() -> None:
    rng = np.random.default_rng(0)
    user, earned = np.repeat(np.arange(200), 3), np.repeat(rng.normal(0.2, 1, 200), 3) + rng.normal(0, 1, 600)
    one, other = (np.stack([w * earned, w, 0.1 * w, np.ones(600)], axis=1) for w in rng.uniform(0.5, 2, (2, 600)))
    one[:, 0] += 0.3

    def gain(lists: np.ndarray) -> float:
        return HoldoutEstimate(one[lists], 0.5).value - HoldoutEstimate(other[lists], 0.5).value

    told = HoldoutEstimate(one, 0.5).sure_gain(HoldoutEstimate(other, 0.5), user)
    drawn = [gain((3 * rng.integers(0, 200, 200)[:, None] + np.arange(3)).ravel()) for _ in range(2000)]
    assert (gain(np.arange(600)) - told) / CAUTION == pytest.approx(np.std(drawn), rel=0.1)
    assert HoldoutEstimate(one, 0.5).value == pytest.approx(
        one[:, 0].sum() / one[:, 1].sum() - 0.5 * one[:, 2].sum() / 600
    )
