"""What the benchmarks of the models share: their flags, fitting variants with several seeds, telling the figures."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from models.data.dataset import Dataset
from models.interface.model import Model
from models.interface.registry import build_model
from tests.benchmarks.harness.report import Benchmark, hardware

OURS = "this repository"

logger = logging.getLogger(__name__)


def benchmark_parser(told: str, variants: Iterable[str]) -> argparse.ArgumentParser:
    """The flags of `seeds_parser`, and `--variants`, `--validation`, `--set`."""
    parser = seeds_parser(told)
    parser.add_argument("--variants", nargs="+", choices=tuple(variants), default=list(variants))
    parser.add_argument("--validation", action="store_true", help="judge where settings are chosen, and write nothing")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings to try, as JSON values")
    return parser


def data_parser(told: str | None) -> argparse.ArgumentParser:
    """The flag `--data`."""
    parser = argparse.ArgumentParser(description=told, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("NIGHTJAR_DATA", "../shared/data"), help="(NIGHTJAR_DATA)")
    return parser


def seeds_parser(told: str) -> argparse.ArgumentParser:
    """Flags: `--data`, `--seeds`."""
    parser = data_parser(told)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    return parser


def parsed(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; settings are tried where they are chosen alone."""
    arguments = parser.parse_args(argv)
    if arguments.set and not arguments.validation:
        parser.error("--set is for trying settings with --validation; what is reported stands in the file")
    return arguments


def data_folder(arguments: argparse.Namespace, shop: str) -> Path | None:
    """Where the raw data of `shop` lies; None, having said so, where it is absent."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    folder = Path(arguments.data) / shop
    if folder.is_dir():
        return folder
    print(f"skipped: no {shop} under {arguments.data}; set NIGHTJAR_DATA to where the raw data lies")
    return None


def judged_variants(
    model: str,
    variants: Mapping[str, Mapping[str, Any]],
    arguments: argparse.Namespace,
    known: Dataset,
    metrics: tuple[str, str],
    judge: Callable[[Model], tuple[float, float]],
) -> list[dict[str, Any]]:
    """Fits the variants asked for with every seed.

    Args:
        model: a name of models/configs.
        variants: name -> what it says in place of the config file.
        known: what is fitted on, whatever its seed.
        metrics: the names of the two figures that `judge` gives; the second one's spread over the seeds is told.
    """
    rows = []
    for name in arguments.variants:
        started, figures = time.monotonic(), []
        for seed in arguments.seeds:
            fitted = build_model(model, {**variants[name], **tried_settings(arguments)})
            history = fitted.fit(replace(known, seed=seed))
            figures.append(judge(fitted))
            told = " ".join(f"{metric}={value:.4f}" for metric, value in zip(metrics, figures[-1], strict=True))
            logger.info("judged: variant=%s seed=%d %s loss=%s", name, seed, told, history.curves)
        rows.append(
            {
                "model": f"{model} ({name})",
                "ours": True,
                "source": OURS,
                **{m: round(float(v), 4) for m, v in zip(metrics, np.mean(figures, axis=0), strict=True)},
                "spread of ndcg": round(float(np.ptp([figure[1] for figure in figures])), 4),
                "seconds a fit": round((time.monotonic() - started) / len(arguments.seeds), 1),
            }
        )
    return rows


def peer_rows(peers: Iterable[tuple[str, float, float]], source: str, metrics: tuple[str, str]) -> list[dict[str, Any]]:
    """What others reached: a model and its two figures each."""
    return [
        {"model": model, "ours": False, "source": source, **dict(zip(metrics, figures, strict=True))}
        for model, *figures in peers
    ]


def tell(name: str, arguments: argparse.Namespace, data: str, protocol: str, rows: Sequence[dict[str, Any]]) -> None:
    """Prints the figures, and records them unless they are of the validation."""
    asked = {flag: getattr(arguments, flag, None) for flag in ("variants", "seeds")}
    flags = [f"--{flag} {shlex.join(map(str, values))}" for flag, values in asked.items() if values]
    benchmark = Benchmark(
        name=name,
        command=" ".join([f"python -m tests.benchmarks.{name}", *flags]),
        date=date.today().isoformat(),
        hardware=hardware(),
        data=data,
        protocol=f"{protocol}; mean of seeds {arguments.seeds}",
        rows=rows,
    )
    print(benchmark.text())
    if not getattr(arguments, "validation", False):
        print(f"written: {benchmark.write()}")


def tried_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `--set` says."""
    return {key: _value(text) for key, _, text in (pair.partition("=") for pair in arguments.set)}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
