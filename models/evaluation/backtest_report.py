"""The backtest for people: a table for the terminal and figures for the tracking server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from expectations.shop.shop import Shop
from expectations.tables import BACKTEST_GAINS, BACKTEST_SLICES, BACKTESTS, Table
from models.evaluation.list_evaluation import Row
from models.evaluation.ranking_metrics import METRICS
from models.evaluation.resampling import MIN_UNITS, TOO_FEW_USERS, interval_text

_LIKE = ("coverage", "novelty", "diversity", "popularity_lift")
_HEADS = {
    "hit_rate": "hits",
    "coverage": "covers",
    "novelty": "novel",
    "diversity": "divers",
    "popularity_lift": "lift",
}


@dataclass(frozen=True)
class Backtest:
    """Rows of `backtests`, `backtest_slices` and `backtest_gains` of one night."""

    rows: list[Row]
    slices: list[Row]
    gains: list[Row]

    def by_table(self) -> dict[Table, list[Row]]:
        """`backtests` last."""
        return {BACKTEST_SLICES: self.slices, BACKTEST_GAINS: self.gains, BACKTESTS: self.rows}

    def tasks(self) -> list[str]:
        """In the order of the rows."""
        return list(dict.fromkeys(row["task"] for row in self.rows))

    def at(self, task: str, k: int) -> list[Row]:
        """The rows of `backtests` of one task, the best model first."""
        rows = [row for row in self.rows if (row["task"], row["k"]) == (task, k)]
        return sorted(rows, key=lambda row: -row["ndcg"])

    def gain(self, task: str, model: str, rival: str) -> Row:
        """The row of `backtest_gains` of two models."""
        names = (task, model, rival)
        return next(row for row in self.gains if (row["task"], row["model"], row["rival"]) == names)


def backtest_text(backtest: Backtest, ds: str, shop: Shop, missing: Sequence[str] = ()) -> str:
    """The backtest at the shop's `top_k`: all models, who is better than whom, and the best model's slices."""
    top_k = shop.top_k
    windows = "" if shop.num_windows == 1 else f"{shop.num_windows} windows, one after another, each "
    sunday = ", on the Sunday before," if shop.weekly_backtest else ""
    lines = [
        f"Backtest ds={ds}: {windows}fitted {shop.horizon_days} days earlier{sunday} and judged on the "
        f"{shop.horizon_days} days after, "
        f"full catalogue of {backtest.rows[0]['num_items']:,} items, k={top_k}"
    ]
    for task in backtest.tasks():
        rows = backtest.at(task, top_k)
        lines += ["", f"{task} ({rows[0]['num_users']:,} users judged)", *_model_lines(rows)]
        lines += [f"  {line}" for line in _gain_lines(backtest, task, rows, shop.primary_metric)]
        lines += _slice_lines(backtest, task, rows[0]["model"])
    if missing:
        lines += ["", f"Not judged, because they have no lists of that day: {', '.join(missing)}"]
    return "\n".join(lines)


def _model_lines(rows: Sequence[Row]) -> list[str]:
    others = [metric for metric in METRICS if metric != "ndcg"]
    heads = [f"{_HEADS.get(name, name):>8}" for name in (*others, *_LIKE)]
    lines = [f"  {'model':<20}{'ndcg':>8}  {'95 % interval':>15}{''.join(heads)}"]
    for row in rows:
        cells = [f"{row['ndcg']:>8.4f}  {_interval_cell(row):>15}"]
        cells += [f"{row[metric]:>8.4f}" for metric in others] + [f"{row[name]:>8.3f}" for name in _LIKE]
        lines.append(f"  {row['model']:<20}{''.join(cells)}")
    return lines


def _interval_cell(row: Row) -> str:
    return "too few users" if row["num_users"] < MIN_UNITS else f"{row['ndcg_low']:.4f}–{row['ndcg_high']:.4f} "


def _gain_lines(backtest: Backtest, task: str, rows: Sequence[Row], metric: str) -> Iterable[str]:
    """How sure it is that the best is better than the second, in what the gate compares."""
    if len(rows) > 1:
        best, second = rows[0]["model"], rows[1]["model"]
        gain = backtest.gain(task, best, second)
        in_metric = "" if metric == "ndcg" else f" in {metric}"
        yield (
            f"{best} against {second}{in_metric}: {gain['gain']:+.4f}, "
            f"{interval_text(gain['gain_low'], gain['gain_high'], rows[0]['num_users'])}, p = {gain['p_value']:.3f}"
        )


def _slice_lines(backtest: Backtest, task: str, model: str) -> list[str]:
    rows = [row for row in backtest.slices if (row["task"], row["model"]) == (task, model)]
    details = [f"{row['slice']} {row['ndcg']:.4f} ({row['num_users']:,})" for row in rows]
    lines = [f"  ndcg of {model} by slice (users):"] if details else []
    return lines + [f"    {' · '.join(details[start : start + 3])}" for start in range(0, len(details), 3)]


def backtest_figures(backtest: Backtest, top_k: int) -> dict[str, Figure]:
    """Name -> figure: what each model reached, what its lists are like, and how it does by slice."""
    figures = {"backtest": _ndcg_figure(backtest, top_k), "backtest_lists": _lists_figure(backtest, top_k)}
    return figures | ({"backtest_slices": _slices_figure(backtest, top_k)} if backtest.slices else {})


def _ndcg_figure(backtest: Backtest, top_k: int) -> Figure:
    """Bars of ndcg at `top_k` with their intervals, one panel a task."""
    tasks = backtest.tasks()
    figure = Figure(figsize=(5 * len(tasks), 3.6), layout="constrained")
    for axes, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks, strict=True):
        shown = backtest.at(task, top_k)
        means = [row["ndcg"] for row in shown]
        # A percentile interval need not hold the mean when there are few users.
        below = [max(row["ndcg"] - row["ndcg_low"], 0.0) for row in shown]
        above = [max(row["ndcg_high"] - row["ndcg"], 0.0) for row in shown]
        axes.barh([row["model"] for row in shown], means, xerr=[below, above], capsize=3, color="#4c72b0")
        axes.invert_yaxis()
        axes.set_title(f"{task} ({shown[0]['num_users']:,} users)")
        bars = TOO_FEW_USERS if shown[0]["num_users"] < MIN_UNITS else "95 % bootstrap interval"
        axes.set_xlabel(f"ndcg@{top_k}, {bars}")
    return figure


def _lists_figure(backtest: Backtest, top_k: int) -> Figure:
    """What being right costs: ndcg against coverage, novelty, diversity and lift, one row of panels a task."""
    tasks, colours = backtest.tasks(), _colours(backtest)
    figure = Figure(figsize=(4 * len(_LIKE), 3.4 * len(tasks)), layout="constrained")
    for panels, task in zip(figure.subplots(len(tasks), len(_LIKE), squeeze=False), tasks, strict=True):
        for axes, name in zip(panels, _LIKE, strict=True):
            for row in backtest.at(task, top_k):
                axes.plot(row[name], row["ndcg"], "o", color=colours[row["model"]], label=row["model"])
            axes.set(xlabel=name.replace("_", " "), ylabel=f"ndcg@{top_k}", title=task)
            axes.locator_params(axis="x", nbins=5)
        panels[-1].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _colours(backtest: Backtest) -> dict[str, Any]:
    """A model's colour, the same in all panels: the ten strong ones of a palette first, then their pale ones."""
    palette = [colormaps["tab20"](place) for place in range(20)]
    models = sorted({row["model"] for row in backtest.rows})
    return dict(zip(models, cycle(palette[::2] + palette[1::2]), strict=False))


def _slices_figure(backtest: Backtest, top_k: int) -> Figure:
    """ndcg by slice, a bar a model, one panel a task; the three best models of the task."""
    tasks, colours = backtest.tasks(), _colours(backtest)
    figure = Figure(figsize=(11, 3.8 * len(tasks)), layout="constrained")
    for axes, task in zip(figure.subplots(len(tasks), 1, squeeze=False)[:, 0], tasks, strict=True):
        slices = list(dict.fromkeys(row["slice"] for row in backtest.slices if row["task"] == task))
        models = [row["model"] for row in backtest.at(task, top_k)][:3]
        found = {(row["model"], row["slice"]): row["ndcg"] for row in backtest.slices if row["task"] == task}
        for place, model in enumerate(models):
            offsets = np.arange(len(slices)) + (place - 1) * 0.27
            axes.bar(offsets, [found[model, name] for name in slices], width=0.27, color=colours[model], label=model)
        axes.set_xticks(range(len(slices)), slices, rotation=30, ha="right", fontsize=8)
        axes.set(ylabel=f"ndcg@{top_k}", title=task)
        axes.legend(fontsize=8)
    return figure
