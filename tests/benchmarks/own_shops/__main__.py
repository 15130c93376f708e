"""Runs one part of the benchmark `own_shops` with its own flags; each is a program of this folder as well.

python -m tests.benchmarks.own_shops ingest --before ../earlier
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

PARTS = ("cases", "malformed", "first_list", "ingest")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the part; it replaces its own rows of the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    arguments, of_the_part = parser.parse_known_args(argv)
    import_module(f"{__package__}.{arguments.part}").main(of_the_part)


if __name__ == "__main__":
    main()
