"""Of small shops whose exports are odd in one way each, how many come out right?

Each is taken into an empty lake; what came of it is held against the right value (tests/worlds/odd_shops/):
`right` counts the equal ones, `refused_by_name` those of them whose right value is a refusal that says what is wrong,
`silent` those that come out otherwise without a word.

    python -m tests.benchmarks.own_shops cases
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from expectations.runtime.spark_session import session_from_environment
from tests.benchmarks.harness.parts import record_part
from tests.benchmarks.harness.variants import OURS
from tests.worlds.odd_shops.sample_shops import folder_of_samples, is_right, outcome, right_values

NAME, PART = "own_shops", "cases"


def main(argv: Sequence[str] | None = None) -> None:
    """Takes all in, says which come out otherwise, and replaces the row of the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(argv)
    spark, samples = session_from_environment("cases"), folder_of_samples(Path(os.environ["NIGHTJAR_DATA"]))
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, value in right_values().items():
            found[name] = outcome(spark, samples / name, Path(folder) / name, value.get("say", {}))
    right = {name for name, value in right_values().items() if is_right(found[name], value)}
    for name in sorted(found.keys() - right):
        print(f"otherwise: {name}: {found[name]}")
    row = {
        "cases": len(found),
        "right": len(right),
        "refused_by_name": sum("refused" in found[name] for name in right),
        "silent": sum("refused" not in found[name] for name in found.keys() - right),
    }
    print(record_part(NAME, PART, [{"model": PART, "ours": True, "source": OURS, **row}]).text())


if __name__ == "__main__":
    main()
