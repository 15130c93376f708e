"""What a seed of `tests.benchmarks.policy.policy` came to, and how it is kept between runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Self

import numpy as np

from tests.benchmarks.policy.simulated_nights import Outcome


@dataclass(frozen=True)
class Run:
    """What one seed is asked.

    Attributes:
        setting: of `policy_seeds.SETTINGS`.
        log_nights, num_nights: that are logged, and by which policies are judged.
    """

    setting: str
    seed: int
    num_users: int
    num_items: int
    log_nights: int
    num_nights: int

    @property
    def file_name(self) -> str:
        return "_".join(str(value).replace(" ", "-") for value in asdict(self).values()) + ".npz"


@dataclass(frozen=True)
class SeedResult:
    """What one seed gave.

    Attributes:
        outcomes: by policy.
        truth, estimate: what a list earns under each of the policies judged by the log: when they led the shop, and as
            the log says.
        seconds: by what they were spent on.
        libraries: name and version of the peers among the policies.
    """

    run: Run
    outcomes: dict[str, Outcome]
    truth: dict[str, float]
    estimate: dict[str, float]
    seconds: dict[str, float]
    libraries: dict[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Writes one file, without pickle."""
        told = {name: getattr(self, name) for name in ("truth", "estimate", "seconds", "libraries")}
        told |= {"run": asdict(self.run), "policies": list(self.outcomes)}
        arrays = {
            f"{number} {column.name}": np.asarray(getattr(outcome, column.name))
            for number, outcome in enumerate(self.outcomes.values())
            for column in fields(Outcome)
        }
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / self.run.file_name, allow_pickle=False, told=np.array(json.dumps(told)), **arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        with np.load(path) as kept:
            told = json.loads(str(kept["told"]))
            outcomes = {
                name: Outcome(*(kept[f"{number} {column.name}"] for column in fields(Outcome)))
                for number, name in enumerate(told["policies"])
            }
        return cls(Run(**told["run"]), outcomes, told["truth"], told["estimate"], told["seconds"], told["libraries"])
