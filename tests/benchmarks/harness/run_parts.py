"""Runs the parts of a benchmark that several programs make together."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module


def run_parts(package: str, parts: Sequence[str], doc: str | None, argv: Sequence[str] | None = None) -> None:
    """Runs every part, or those that are named, one after the other; each replaces its own rows of the result.

    Args:
        package: of the benchmark, such as `tests.benchmarks.one_night`; each part is a program of it.
        doc: tells `--help` what the benchmark is.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(parts)}; all of them by default")
    arguments = parser.parse_args(argv)
    for part in arguments.parts or parts:
        import_module(f"{package}.{part}").main([])
