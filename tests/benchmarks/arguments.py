"""The flags that the benchmarks of the models share."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any


def benchmark_parser(told: str, variants: Iterable[str]) -> argparse.ArgumentParser:
    """The flags of `seeds_parser`, and `--variants`, `--validation`, `--set`."""
    parser = seeds_parser(told)
    parser.add_argument("--variants", nargs="+", choices=tuple(variants), default=list(variants))
    parser.add_argument("--validation", action="store_true", help="judge where settings are chosen, and write nothing")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings to try, as JSON values")
    return parser


def seeds_parser(told: str) -> argparse.ArgumentParser:
    """Flags: `--data`, `--seeds`."""
    parser = argparse.ArgumentParser(description=told, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("NIGHTJAR_DATA", "../shared/data"), help="(NIGHTJAR_DATA)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    return parser


def parsed(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; settings are tried where they are chosen alone."""
    arguments = parser.parse_args(argv)
    if arguments.set and not arguments.validation:
        parser.error("--set is for trying settings with --validation; what is reported stands in the file")
    return arguments


def tried_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `--set` says."""
    return {key: _value(text) for key, _, text in (pair.partition("=") for pair in arguments.set)}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
