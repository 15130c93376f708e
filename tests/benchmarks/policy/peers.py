"""Agents of maintained libraries on the same log, candidates and features as ours; see `policy`.

They learn from what each place earned on its day, with its propensity: a conditional contextual bandit (Vowpal Wabbit)
and conservative Q-learning (d3rlpy). Each lives in a process of its own, in an environment that holds the libraries.
What they are and how they are set stands in `tests/benchmarks/policy/peers_fit.py`; settings were chosen by two worlds
whose seeds lie below `FIRST_SEED` (for the bandit passes, step sizes and what it learns from, for Q-learning steps,
discount and conservatism).
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np

from expectations.runtime.code_version import REPOSITORY
from models.slates.slate_features import FEATURES_OF_USER
from models.slates.slates import CandidateSets, Slates
from tests.benchmarks.policy.simulated_nights import Log

PROGRAM = Path(__file__).with_name("peers_fit.py")
PEERS = {"contextual bandit": "bandit", "conservative Q-learning": "cql"}


class PeerPolicy:
    """A peer that has learnt from a log and makes its best lists, until it is left as a context.

    Attributes:
        library: its name and version.
    """

    def __init__(self, name: str, log: Log, python: str) -> None:
        """Fits the peer.

        Args:
            name: of PEERS's values.
            python: of the environment that holds it.

        Raises:
            RuntimeError: it could not learn; what it said stands above.
        """
        self._folder = TemporaryDirectory(prefix="nightjar-")
        path = Path(self._folder.name) / "log.npz"
        np.savez(path, allow_pickle=False, **told_of(log.candidates), **learnt_from(log))
        self._command = [python, str(PROGRAM), name, str(path)]
        self._process = subprocess.Popen(
            self._command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.library = self._answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._process.communicate()
        self._folder.cleanup()

    def draw(self, candidates: CandidateSets, top_k: int, rng: np.random.Generator | None) -> Slates:
        """Its best lists, of at most as many places as those that it learnt from; see `SlatePolicy`."""
        question, answer = (Path(self._folder.name) / name for name in ("question.npz", "answer.npz"))
        np.savez(question, allow_pickle=False, **told_of(candidates))
        assert self._process.stdin is not None
        self._process.stdin.write(f"{question}\t{answer}\n")
        self._process.stdin.flush()
        self._answer()
        with np.load(answer) as found:
            slots = found["place"][:, :top_k]
        return Slates(slots, np.ones(slots.shape))

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"A peer ended with {self._process.wait()}: {' '.join(self._command)}")
        return line


def told_of(candidates: CandidateSets) -> dict[str, np.ndarray]:
    """What a peer may look at to make lists."""
    assert candidates.history is not None
    return {name: getattr(candidates, name) for name in ("features", "item", "is_candidate", "history")}


def learnt_from(log: Log) -> dict[str, Any]:
    """What it learns from besides."""
    candidates = log.candidates
    return {
        "user": candidates.user,
        "day": candidates.day,
        "place": log.slates.slots,
        "propensity": log.slates.propensity,
        "earned": log.immediate_reward,
        "num_user_features": len(FEATURES_OF_USER),
        "num_kinds": candidates.kind.max() + 1,
        "num_items": candidates.item.max() + 1,
    }
