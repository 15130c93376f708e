"""Runs every part of the benchmark `backfill`, or those that are named; each is a program of this folder as well.

python -m tests.benchmarks.backfill scheduled_night
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

PARTS = ("scheduled_night",)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the parts one after the other; each replaces its own rows of the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all of them by default")
    arguments = parser.parse_args(argv)
    for part in arguments.parts or PARTS:
        import_module(f"{__package__}.{part}").main([])


if __name__ == "__main__":
    main()
