"""The backtest for people: a table for the terminal and a figure for the tracking server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from models.metrics import METRICS

Row = dict[str, Any]


def backtest_text(rows: Sequence[Row], ds: str, horizon_days: int, top_k: int, missing: Sequence[str] = ()) -> str:
    """The backtest at `top_k` in full, and ndcg at the other cut-offs; the best model first."""
    lines = [
        f"Backtest ds={ds}: fitted {horizon_days} days earlier, judged on the days between, "
        f"full catalogue of {rows[0]['num_items']:,} items, k={top_k}"
    ]
    other_ks = sorted({row["k"] for row in rows} - {top_k})
    for task in _in_order(row["task"] for row in rows):
        at_top_k = [row for row in rows if row["task"] == task and row["k"] == top_k]
        heads = [f"{'ndcg@' + str(top_k):>8}  {'95 % interval':>15}"]
        heads += [f"{metric:>10}" for metric in METRICS if metric != "ndcg"]
        heads += [f"{'coverage':>10}", *(f"{'ndcg@' + str(k):>9}" for k in other_ks)]
        lines += ["", f"{task} ({at_top_k[0]['num_users']:,} users judged)", f"  {'model':<20}{''.join(heads)}"]
        for row in sorted(at_top_k, key=lambda row: -row["ndcg"]):
            same = {r["k"]: r["ndcg"] for r in rows if (r["task"], r["model"]) == (task, row["model"])}
            cells = [f"{row['ndcg']:>8.4f}  {row['ndcg_low']:>7.4f}–{row['ndcg_high']:.4f} "]
            cells += [f"{row[metric]:>10.4f}" for metric in METRICS if metric != "ndcg"]
            cells += [f"{row['coverage']:>10.3f}", *(f"{same[k]:>9.4f}" for k in other_ks)]
            lines.append(f"  {row['model']:<20}{''.join(cells)}")
    if missing:
        lines += ["", f"Not judged, because they have no lists of that day: {', '.join(missing)}"]
    return "\n".join(lines)


def backtest_figure(rows: Sequence[Row], top_k: int) -> Figure:
    """Bars of ndcg at `top_k` with their intervals, one panel a task."""
    tasks = _in_order(row["task"] for row in rows)
    figure = Figure(figsize=(5 * len(tasks), 3.6), layout="constrained")
    for axes, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        shown = [row for row in rows if row["task"] == task and row["k"] == top_k]
        means = [row["ndcg"] for row in shown]
        # A percentile interval need not hold the mean when there are few users.
        below = [max(row["ndcg"] - row["ndcg_low"], 0.0) for row in shown]
        above = [max(row["ndcg_high"] - row["ndcg"], 0.0) for row in shown]
        axes.barh([row["model"] for row in shown], means, xerr=[below, above], capsize=3, color="#4c72b0")
        axes.invert_yaxis()
        axes.set_title(f"{task} ({shown[0]['num_users']:,} users)")
        axes.set_xlabel(f"ndcg@{top_k}, 95 % bootstrap interval")
    return figure


def _in_order(values: Any) -> list[str]:
    return list(dict.fromkeys(values))
