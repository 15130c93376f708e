"""The public benchmarks on a GPU, to the end: how fast, how much of the chip, and is it what a CPU computes?

Needs Keras's JAX backend, which counts the operations of a compiled step; skipped, saying so, where there is no GPU.
The features of Beauty are made by Spark, beforehand where the GPU worker has none:

    python -m tests.benchmarks.accuracy.beauty_sequence --root FOLDER --validation --seeds 1
    KERAS_BACKEND=jax NIGHTJAR_DATA=../shared/data python -m tests.benchmarks.performance.gpu --beauty FOLDER

Every model is fitted with one seed and judged on the test, as its own benchmark does. For one step of training, from
the same weights on the same batch, the gradients of the GPU are compared with those of the CPU: the figure is the
length of the difference over the length of the CPU's. The share of the chip is the operations of all steps of the last
epoch over its time, held against the rate of a product of two 8192 × 8192 matrices at the same precision in the same
run.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from expectations.runtime.lake import Lake
from models.data.dataset import Dataset
from models.interface.model import Model
from models.interface.registry import build_model
from tests.benchmarks.accuracy import beauty, beauty_content, beauty_sequence, gowalla, gowalla_graph, gowalla_two_tower
from tests.benchmarks.harness.report import RESULTS, Benchmark, hardware, num_gpus
from tests.benchmarks.harness.variants import OURS, data_folder

NAME = "gpu"
PRODUCT_SIZE = 8192
logger = logging.getLogger(__name__)

Judge = Callable[[Model], tuple[float, float]]


@dataclass(frozen=True)
class Case:
    """A row of another benchmark, to be fitted here.

    Attributes:
        asked: what is fitted on, and what judges it.
    """

    benchmark: str
    model: str
    variant: str
    changes: Mapping[str, Any]
    asked: Callable[[argparse.Namespace], tuple[Dataset, Judge]]

    @property
    def label(self) -> str:
        return f"{self.model} ({self.variant})"


def _of_gowalla(arguments: argparse.Namespace) -> tuple[Dataset, Judge]:
    folder = Path(arguments.data) / gowalla.FOLDER
    train, test = gowalla.read_pairs(folder, "train"), gowalla.read_pairs(folder, "test")
    dataset = gowalla.dataset_of(train, *gowalla.sizes(train, test))
    return dataset, gowalla.judge_of(dataset, train, test)


def _of_beauty_sequence(arguments: argparse.Namespace) -> tuple[Dataset, Judge]:
    lake = Lake(arguments.beauty)
    question = beauty.question_of(lake, beauty.TEST_DAY)
    return beauty.dataset_as_of(lake, beauty.FIT_DAY), beauty.judge_of(question)


def _of_beauty_content(arguments: argparse.Namespace) -> tuple[Dataset, Judge]:
    lake = Lake(arguments.beauty)
    known = beauty.dataset_as_of(lake, beauty.FIT_DAY)
    is_withheld = beauty_content.withheld_items(known.num_items)
    question = beauty_content.asked_about(beauty.question_of(lake, beauty.TEST_DAY), is_withheld)
    return beauty_content.without_items(known, is_withheld), beauty.judge_of(question)


CASES = (
    Case("gowalla_graph", "graph", "light", gowalla_graph.VARIANTS["light"], _of_gowalla),
    Case("gowalla_two_tower", "two_tower", "cosine", gowalla_two_tower.VARIANTS["cosine"], _of_gowalla),
    Case("beauty_sequence", "sequence", "transformer", beauty_sequence.VARIANTS["transformer"], _of_beauty_sequence),
    Case("beauty_sequence", "sequence", "gru", beauty_sequence.VARIANTS["gru"], _of_beauty_sequence),
    Case("beauty_content", "content", "all", beauty_content.VARIANTS["all"], _of_beauty_content),
)


def main(argv: Sequence[str] | None = None) -> None:
    """Fits, judges and records; exits 0 without a GPU or the data, saying so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("NIGHTJAR_DATA", "../shared/data"), help="(NIGHTJAR_DATA)")
    parser.add_argument("--beauty", required=True, help="the root that `beauty_sequence --root` left its features in")
    parser.add_argument("--cases", nargs="+", type=int, default=range(len(CASES)), help="which of: " + _listed())
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, help="a shorter fit, to try the program: nothing is recorded")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder that the figures are written to")
    arguments = parser.parse_args(argv)
    if keras.backend.backend() != "jax" or not num_gpus():
        print(f"skipped: needs a GPU and KERAS_BACKEND=jax; found {num_gpus()} GPUs and {keras.backend.backend()}")
        return
    if data_folder(arguments, gowalla.FOLDER) is None:
        return
    peak = product_rate()
    logger.info("a product of %d × %d matrices: %.1f TFLOP/s", PRODUCT_SIZE, PRODUCT_SIZE, peak / 1e12)
    rows = []
    for number in arguments.cases:
        rows.append(measured(CASES[number], arguments, peak))
        print(json.dumps(rows[-1]), flush=True)
    benchmark = Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME} --beauty FOLDER",
        date=date.today().isoformat(),
        hardware=hardware(),
        data=f"{gowalla.DATA}; {beauty.DATA}",
        protocol=(
            f"as the benchmark of each model, one seed ({arguments.seed}): HR@10 and NDCG@10 on Beauty, Recall@20 and "
            "NDCG@20 on Gowalla; float32 as the chip multiplies it by default; gradients: the difference to a CPU's of "
            f"the same step; share of chip: of the {peak / 1e12:.0f} TFLOP/s of a product of large matrices; Keras "
            f"{keras.__version__} on JAX"
        ),
        rows=rows,
    )
    print(benchmark.text())
    if not arguments.epochs:
        print(f"written: {benchmark.write(arguments.results)}")


def _listed() -> str:
    return ", ".join(f"{number} {case.label}" for number, case in enumerate(CASES))


def measured(case: Case, arguments: argparse.Namespace, peak: float) -> dict[str, Any]:
    """A row of the benchmark."""
    dataset, judge = case.asked(arguments)
    changes = {**case.changes, **({"epochs": arguments.epochs} if arguments.epochs else {})}
    step = training_step(build_model(case.model, changes), dataset)
    difference, flops = step.difference_to_cpu(), step.flops()
    model, started = build_model(case.model, changes), time.monotonic()
    facts = model.fit(dataset).facts
    seconds = time.monotonic() - started
    found, ndcg = judge(model)
    steps = facts["steps_per_second"]
    return {
        "model": case.label,
        "ours": True,
        "source": OURS,
        "hr or recall": round(found, 4),
        "ndcg": round(ndcg, 4),
        "ndcg on a CPU": cpu_ndcg(case),
        "gradients": float(f"{difference:.1e}"),
        "steps/s": round(steps, 2),
        "examples/s": round(steps * facts["examples"] / step.num_steps),
        "TFLOP/s": round(flops * steps / 1e12, 3),
        "share of chip": round(flops * steps / peak, 4),
        "seconds a fit": round(seconds, 1),
    }


def cpu_ndcg(case: Case) -> float | None:
    """What the committed result of the model's own benchmark says; None before there is one."""
    path = RESULTS / f"{case.benchmark}.json"
    rows = json.loads(path.read_text("utf-8"))["rows"] if path.is_file() else []
    found = [row for row in rows if row["ours"] and row["model"] == case.label]
    return next((value for row in found for name, value in row.items() if name.startswith("ndcg@")), None)


@dataclass(frozen=True)
class TrainingStep:
    """A network as it is trained, its loss, one batch, and how many an epoch has."""

    network: keras.Model
    loss: keras.losses.Loss
    batch: tuple[Any, ...]
    num_steps: int

    def difference_to_cpu(self) -> float:
        """‖gradient here − gradient on the CPU‖ / ‖gradient on the CPU‖, over all weights."""
        import jax

        here = [np.asarray(values) for values in self._compiled(jax.devices()[0])]
        there = [np.asarray(values) for values in self._compiled(jax.devices("cpu")[0])]
        square = sum(float(np.square(one.astype(np.float64) - two).sum()) for one, two in zip(here, there, strict=True))
        return float(np.sqrt(square / sum(float(np.square(values.astype(np.float64)).sum()) for values in there)))

    def flops(self) -> float:
        """Operations of one step, forwards and backwards, as the compiler counts them."""
        import jax

        analysis: Any = jax.jit(self._gradient).lower(*self._state()).compile().cost_analysis()
        return float(analysis["flops"])

    def _compiled(self, device: Any) -> list[Any]:
        import jax

        with jax.default_device(device):
            gradients: list[Any] = jax.jit(self._gradient)(*jax.device_put(self._state(), device))
        return gradients

    def _state(self) -> tuple[list[Any], list[Any], dict[str, Any]]:
        trainable = [np.asarray(variable.value) for variable in self.network.trainable_variables]
        return trainable, [np.asarray(v.value) for v in self.network.non_trainable_variables], self.batch[0]

    def _gradient(self, trainable: list[Any], others: list[Any], inputs: dict[str, Any]) -> list[Any]:
        import jax

        def loss(trainable: list[Any]) -> Any:
            # Without dropout: what chance leaves out differs between devices.
            answer, _ = self.network.stateless_call(trainable, others, inputs, training=False)
            return self.loss(ops.convert_to_tensor(self.batch[1]), answer, *map(ops.convert_to_tensor, self.batch[2:]))

        gradients: list[Any] = jax.grad(loss)(trainable)
        return gradients


def training_step(model: Any, dataset: Dataset) -> TrainingStep:
    """The first step of a fit."""
    network, batches = model.training(dataset, {})
    batch = batches[0]
    network(batch[0])  # builds it
    return TrainingStep(network, model.loss(batches), batch, len(batches))


def product_rate(repeats: int = 20) -> float:
    """Operations a second of a product of two large float32 matrices, at the chip's default precision; the median."""
    import jax

    one, two = (keras.random.normal((PRODUCT_SIZE, PRODUCT_SIZE), seed=seed) for seed in (1, 2))
    product, seconds = jax.jit(ops.matmul), []
    jax.block_until_ready(product(one, two))
    for _ in range(repeats):
        started = time.monotonic()
        jax.block_until_ready(product(one, two))
        seconds.append(time.monotonic() - started)
    return 2 * PRODUCT_SIZE**3 / statistics.median(seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
