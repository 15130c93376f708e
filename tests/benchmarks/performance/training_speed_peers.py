"""Times the training steps of a peer; a script of its own, for an environment that holds the peers and not Nightjar.

    python training_speed_peers.py rectools_sasrec PAIRS.npz SETTINGS
    python training_speed_peers.py recbole_lightgcn PAIRS.npz SETTINGS

PAIRS.npz holds `users` and `items`, counted from 0, each user's in order. SETTINGS is JSON: batch_size, dim, length,
num_layers, seconds, threads. Prints one line of JSON. Works with RecTools 0.19 and RecBole 1.2.1.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

NUM_WARM_UP = 3
"""Steps before the clock starts."""


def rectools_sasrec(users: np.ndarray, items: np.ndarray, settings: dict[str, Any]) -> dict[str, Any]:
    """Every place of a padded sequence predicts the next item, in a softmax over the whole catalogue."""
    import pandas as pd
    import rectools
    from pytorch_lightning import Callback, Trainer
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    # RecTools fits with a copy of the trainer, callbacks included, so that these are no attribute of one.
    ends: list[float] = []

    class Clock(Callback):
        """Ends the fit when the time is over."""

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            ends.append(time.perf_counter())
            trainer.should_stop = is_over(ends, settings["seconds"])

    order = np.arange(len(users))
    frame = pd.DataFrame(
        {"user_id": users, "item_id": items, "weight": 1.0, "datetime": pd.to_datetime(order, unit="s")}
    )

    def trainer() -> Any:
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        return Trainer(max_epochs=1000, min_epochs=0, accelerator="cpu", callbacks=[Clock()], **quiet)

    model = SASRecModel(
        n_factors=settings["dim"],
        n_blocks=settings["num_layers"],
        n_heads=2,
        session_max_len=settings["length"],
        batch_size=settings["batch_size"],
        loss="softmax",
        dataloader_num_workers=0,
        get_trainer_func=trainer,
    )
    model.fit(Dataset.construct(frame))
    return summary(f"RecTools {rectools.__version__}", ends)


def recbole_lightgcn(users: np.ndarray, items: np.ndarray, settings: dict[str, Any]) -> dict[str, Any]:
    """Each step propagates over the whole graph and compares one wanted item of a pair with one drawn."""
    import recbole
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, init_seed

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "pairs"
        place.mkdir()
        lines = "\n".join(f"{user}\t{item}" for user, item in zip(users, items, strict=True))
        (place / "pairs.inter").write_text(f"user_id:token\titem_id:token\n{lines}\n", encoding="utf-8")
        config = Config(
            model="LightGCN",
            dataset="pairs",
            config_dict={
                "data_path": folder,
                "load_col": {"inter": ["user_id", "item_id"]},
                "embedding_size": settings["dim"],
                "n_layers": settings["num_layers"],
                "train_batch_size": settings["batch_size"],
                "eval_args": {"split": {"RS": [1, 0, 0]}, "order": "RO", "group_by": None, "mode": "full"},
                "use_gpu": False,
                "show_progress": False,
                "state": "ERROR",
            },
        )
        init_seed(1, reproducibility=True)
        dataset = create_dataset(config)
        batches, _, _ = data_preparation(config, dataset)
        model = get_model("LightGCN")(config, batches.dataset).to(config["device"])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)

    def step(batch: Any) -> None:
        optimizer.zero_grad()
        model.calculate_loss(batch).backward()
        optimizer.step()

    return summary(f"RecBole {recbole.__version__}", step_ends(step, batches, settings["seconds"]))


def step_ends(step: Callable[[Any], None], batches: Iterable[Any], seconds: float) -> list[float]:
    """Steps until the time is over. Returns when each ended."""
    ends: list[float] = []
    while True:
        for batch in batches:
            step(batch)
            ends.append(time.perf_counter())
            if is_over(ends, seconds):
                return ends


def is_over(ends: list[float], seconds: float) -> bool:
    """Whether the clock, which starts after the warm-up, has run so long."""
    return len(ends) > NUM_WARM_UP + 1 and ends[-1] - ends[NUM_WARM_UP] > seconds


def summary(library: str, ends: list[float]) -> dict[str, Any]:
    """Steps a second after the warm-up."""
    return {"library": library, "steps_per_second": (len(ends) - 1 - NUM_WARM_UP) / (ends[-1] - ends[NUM_WARM_UP])}


def main(name: str, pairs: str, settings_text: str) -> None:
    """See the module's docstring."""
    settings = json.loads(settings_text)
    torch.set_num_threads(settings["threads"])
    peers = {"rectools_sasrec": rectools_sasrec, "recbole_lightgcn": recbole_lightgcn}
    with np.load(pairs) as arrays:
        print(json.dumps(peers[name](arrays["users"], arrays["items"], settings)))


if __name__ == "__main__":
    main(*sys.argv[1:])
