"""Tells whether two roots publish the same rows for a day: what a change of the code must not change.

    python -m tests.benchmarks.harness.same_rows OLD_ROOT NEW_ROOT --ds 2011-11-09

Compares every published table, key by key, but for what names a version, a run or a moment. Scores may differ in their
last digits where a model is not fitted bit by bit alike; the largest difference is told. Exits 1 where rows differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from expectations.tables import OUTPUT_TABLES, RUN_MANIFEST, TABLES

VERSIONS = {
    "model_version",
    "generated_at",
    "expires_at",
    "run_id",
    "code_version",
    "input_fingerprint",
    "table_version",
    "rollback",
}
TOLERANCE = 1e-4
"""The largest share by which a number may differ."""
TOLD_IN_WORDS = {"metrics", "model_versions"}
"""Columns of JSON, whose figures hang on versions and on names that may change."""


def published_rows(root: str, table: str, ds: str) -> pd.DataFrame:
    """The rows of a day in the order of the key, without what names a version, a run or a moment.

    A table that the shop does not publish, such as one of several domains, has none.
    """
    try:
        rows = DeltaTable(f"{root}/tables/{table}").to_pandas(partitions=[("ds", "=", ds)])
    except TableNotFoundError:
        return pd.DataFrame()
    rows = rows.drop(columns=[name for name in rows if name in VERSIONS | TOLD_IN_WORDS])
    for name in rows:
        if rows[name].map(lambda value: isinstance(value, np.ndarray | list)).any():
            rows[name] = rows[name].map(lambda value: json.dumps(list(value)) if value is not None else None)
    return rows.sort_values(list(TABLES[table].key), kind="stable").reset_index(drop=True)


def differences(old: pd.DataFrame, new: pd.DataFrame) -> Iterator[str]:
    """What differs, in words; nothing where the rows are the same."""
    if len(old) != len(new) or list(old) != list(new):
        yield f"{len(old)} rows of {list(old)} against {len(new)} of {list(new)}"
        return
    for name in old:
        if pd.api.types.is_float_dtype(old[name]):
            gap = (old[name] - new[name]).abs() / old[name].abs().clip(lower=1e-9)
            differing, largest = int((gap > TOLERANCE).sum()), float(gap.max())
            if differing or (old[name].isna() != new[name].isna()).any():
                yield f"{name}: {differing} rows differ, by a share of {largest:.2g} at most"
        else:
            is_other = ~((old[name] == new[name]) | (old[name].isna() & new[name].isna()))
            if is_other.any():
                first = int(np.flatnonzero(is_other)[0])
                example = f"{old[name][first]!r} and {new[name][first]!r}"
                yield f"{name}: {int(is_other.sum())} rows differ, such as {example}"


def num_differing(table: str, old: pd.DataFrame, new: pd.DataFrame) -> int:
    """How many rows one of the two has and the other has not, or has otherwise."""
    if old.empty or new.empty or list(old) != list(new):
        return max(len(old), len(new))
    key = list(TABLES[table].key)
    both = old.merge(new, on=key, how="outer", suffixes=("", " of new"), indicator="in")
    is_other = both["in"] != "both"
    for name in (name for name in old if name not in key):
        one, other = both[name], both[f"{name} of new"]
        if pd.api.types.is_float_dtype(old[name]):
            is_same = (one - other).abs() <= TOLERANCE * one.abs().clip(lower=1e-9)
        else:
            is_same = one == other
        is_other |= ~(is_same | (one.isna() & other.isna()))
    return int(is_other.sum())


def largest_gap(old: pd.DataFrame, new: pd.DataFrame) -> float:
    """The largest difference of a number, as a share of it."""
    names = [name for name in old if pd.api.types.is_float_dtype(old[name])]
    gaps = [((old[name] - new[name]).abs() / old[name].abs().clip(lower=1e-9)).max() for name in names]
    return float(np.nanmax([0.0, *gaps]))


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a line a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old_root")
    parser.add_argument("new_root")
    parser.add_argument("--ds", required=True, help="the day, YYYY-MM-DD")
    arguments = parser.parse_args(argv)
    num_differing = 0
    for table in (*OUTPUT_TABLES, RUN_MANIFEST.name):
        if not any(
            DeltaTable.is_deltatable(f"{root}/tables/{table}") for root in (arguments.old_root, arguments.new_root)
        ):
            print(f"{table}: in neither root")
            continue
        old, new = (published_rows(root, table, arguments.ds) for root in (arguments.old_root, arguments.new_root))
        found = list(differences(old, new))
        num_differing += bool(found)
        same = (
            f"the same {len(old)} rows, numbers within {largest_gap(old, new):.1g}" if not found else "; ".join(found)
        )
        print(f"{table}: {same}")
    sys.exit(1 if num_differing else 0)


if __name__ == "__main__":
    main()
