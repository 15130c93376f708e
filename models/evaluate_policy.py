"""Judges a policy that never ran, from a file that tells what another one showed.

    python -m models.evaluate_policy --log shown.parquet

The file, Parquet or CSV, has one row for each thing that was shown, and these columns; what else it has is not read:

    reward              what it earned, such as 1 for a click
    propensity          with which probability the policy of the log chose it
    target_probability  with which probability the policy in question would have chosen it there and then
    unit                whose row it is; rows of one user are resampled together. Optional
    predicted, predicted_target
                        a reward model's answer for what was shown, and the mean of its answers under the policy in
                        question; for `dm`, `dr` and `switch_dr`. Optional

Prints every estimate and its gain over the policy of the log, with intervals, and how far the log can be trusted.
`models.off_policy.estimators` says what the estimators are.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds

from expectations.runtime.program import run_program
from expectations.tables import NightError
from models.evaluation.resampling import MIN_UNITS, TOO_FEW_USERS
from models.off_policy.estimators import evaluate
from models.off_policy.report import Estimate, OffPolicyReport

REQUIRED = ("reward", "propensity", "target_probability")
OPTIONAL = ("unit", "predicted", "predicted_target")
FORMATS = {".parquet": "parquet", ".csv": "csv"}


def main(argv: Sequence[str] | None = None) -> None:
    """Reads, judges and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--log", required=True, type=Path, help="a .parquet or .csv file")
    parser.add_argument("--switch-at", type=float, default=10.0, help="the largest weight that switch_dr trusts")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the intervals")
    parser.add_argument("--seed", type=int, default=1, help="of the resamples")
    arguments = parser.parse_args(argv)
    columns = read_columns(arguments.log)
    try:
        report = evaluate(
            **columns, seed=arguments.seed, switch_at=arguments.switch_at, confidence=arguments.confidence
        )
    except ValueError as err:
        raise NightError(f"{arguments.log}: {err}") from err
    print(report_text(report))


def read_columns(path: Path) -> dict[str, Any]:
    """Reads the columns that `evaluate` takes, by its names for them.

    Raises:
        NightError: there is no such file, it is of another kind, or lacks a column.
    """
    if path.suffix not in FORMATS or not path.is_file():
        raise NightError(f"--log must be a file that is there and ends in {' or '.join(FORMATS)}. Received: {path}")
    rows = ds.dataset(path, format=FORMATS[path.suffix])
    missing = [name for name in REQUIRED if name not in rows.schema.names]
    if missing:
        raise NightError(f"{path}: missing columns {missing}. Found: {rows.schema.names}. Rename yours to these.")
    table = rows.to_table([name for name in (*REQUIRED, *OPTIONAL) if name in rows.schema.names])
    columns = {name: table[name].to_numpy() for name in table.column_names}
    return {name: column if name == "unit" else column.astype(np.float64) for name, column in columns.items()}


def report_text(report: OffPolicyReport) -> str:
    """The report as a table, with what to make of it below."""
    overlap, mean = report.overlap, report.overlap.mean_weight
    heads = "".join(f"{head:>11}" for head in ("value", "low", "high", "gain", "low", "high"))
    lines = [f"{report.num_rows:,} rows of {report.num_units:,} units", "", f"{'':<10}{heads}", _line(report.on_policy)]
    lines += [_line(*pair) for pair in zip(report.estimates, report.gains, strict=True)]
    if report.num_units < MIN_UNITS:
        lines.append(f"{TOO_FEW_USERS}: rows of one unit come along together, and say nothing of another")
    lines += [
        "",
        f"rests on {overlap.rewarded_rows:,} rows with a reward; as good as {overlap.effective_rows:,.0f} rows "
        f"({overlap.effective_share:.1%}) of equal weight",
        f"largest weight {overlap.largest_weight:.1f}; {overlap.share_without_weight:.1%} of the rows show what the "
        "policy never would",
        f"mean weight {mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f}): {_mean_weight_text(mean)}",
    ]
    return "\n".join(lines)


def _line(*estimates: Estimate) -> str:
    figures = [figure for estimate in estimates for figure in (estimate.value, estimate.low, estimate.high)]
    return f"{estimates[0].estimator:<10}" + "".join(f"{figure:>11.4g}" for figure in figures)


def _mean_weight_text(mean_weight: Estimate) -> str:
    if mean_weight.high < 1:
        return "below 1: the policy shows what the log never does, or the propensities are too high"
    if mean_weight.low > 1:
        return "above 1: the propensities are too low, or the policy's probabilities too high"
    return "around 1, as it should be"


if __name__ == "__main__":
    run_program(main)
