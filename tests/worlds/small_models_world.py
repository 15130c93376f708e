"""A shop of two kinds of visitors and three items, in which everything about a policy can be computed by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CONTEXT = np.array([0.4, 0.6])
"""How often each kind of visitor comes."""
LOGGED = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
"""What the policy of the log shows to whom. Shape (contexts, actions), as all below."""
TARGET = np.array([[0.1, 0.1, 0.8], [0.5, 0.5, 0.0]])
EARNS = np.array([[0.1, 0.3, 0.6], [0.9, 0.2, 0.1]])
"""The chance of a click."""
UNIFORM = np.full((2, 3), 1 / 3)


@dataclass(frozen=True)
class Log:
    """Rows of a log; all of shape (num_rows,)."""

    context: np.ndarray
    action: np.ndarray
    reward: np.ndarray

    def of(self, table: np.ndarray) -> np.ndarray:
        """What a table of (contexts, actions) says of each row."""
        return table[self.context, self.action]

    def mean_of(self, model: np.ndarray, policy: np.ndarray) -> np.ndarray:
        """What `model` says of each row on average, if `policy` chose."""
        return (model * policy).sum(axis=1)[self.context]


def value(policy: np.ndarray, earns: np.ndarray = EARNS) -> float:
    """What a policy earns."""
    return float(CONTEXT @ (policy * earns).sum(axis=1))


def expected_log(policy: np.ndarray = LOGGED, num_rows: int = 1000) -> Log:
    """The log in which all happens exactly as often as it should: means over it are expectations."""
    joint = CONTEXT[:, None] * policy  # (contexts, actions)
    counts = num_rows * joint[..., None] * np.stack([1 - EARNS, EARNS], axis=-1)  # (contexts, actions, clicked)
    whole = np.round(counts).astype(int)
    np.testing.assert_allclose(whole, counts, atol=1e-9)
    context, action, clicked = (np.repeat(axis.ravel(), whole.ravel()) for axis in np.indices(whole.shape))
    return Log(context, action, clicked.astype(np.float64))


def drawn_log(policy: np.ndarray, num_rows: int, rng: np.random.Generator) -> Log:
    """A log as it might happen."""
    context = rng.choice(len(CONTEXT), num_rows, p=CONTEXT)
    action = (rng.random(num_rows)[:, None] > np.cumsum(policy[context], axis=1)[:, :-1]).sum(axis=1)
    return Log(context, action, (rng.random(num_rows) < EARNS[context, action]).astype(np.float64))
