"""The charts of `tests.benchmarks.policy.policy`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from expectations.tables import AGENTS
from tests.benchmarks.policy.contenders import GREEDY, NO_LISTS
from tests.benchmarks.policy.intervals import by_night

WEEK = 7
# Texts as paths and fixed ids, so that a chart is the same wherever it is drawn.
STYLE: Any = {"svg.hashsalt": "nightjar", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


def nights_figure(results: Sequence[Any]) -> Figure:
    """Reward per user and night, means of a week; greedy lists and our agents with their 95 % bands."""
    with rc_context(STYLE):
        figure = Figure(figsize=(8, 4.8), layout="constrained")
        axes = figure.subplots()
        for name, style in styles(results[0].outcomes).items():
            mean, low, high = by_week(by_night(results, name))
            nights = WEEK * np.arange(len(mean)) + (WEEK + 1) / 2
            axes.plot(nights, mean, **style)
            if name in (GREEDY, *AGENTS):
                axes.fill_between(nights, low, high, color=style["color"], alpha=0.15, linewidth=0)
        axes.set(xlabel="night", ylabel="reward per user and night, mean of a week")
        _legend_below(figure, axes)
    return figure


def styles(names: Iterable[str]) -> dict[str, Any]:
    """How each policy is drawn, the same in all charts: ten colours, then these again in dashes."""
    return {
        name: {"label": name, "color": f"C{number % 10}", "linestyle": "--" if number >= 10 else "-", "linewidth": 1.5}
        for number, name in enumerate(names)
    }


def by_week(nights: np.ndarray) -> np.ndarray:
    """Means of whole weeks; what is left over at the end is left out. Shape (3, num_weeks)."""
    num_weeks = max(nights.shape[1] // WEEK, 1)
    whole = nights[:, : num_weeks * WEEK]
    return np.asarray(whole.reshape(len(whole), num_weeks, -1).mean(axis=2))


def values_figure(results: Sequence[Any]) -> Figure:
    """What the log said of a list of each policy against what such lists earned, a small point a seed."""
    judged = [result for result in results if result.truth]
    with rc_context(STYLE):
        figure = Figure(figsize=(5, 4.2), layout="constrained")
        axes = figure.subplots()
        for number, name in enumerate(judged[0].truth):
            truth, told = (np.array([getattr(result, of)[name] for result in judged]) for of in ("truth", "estimate"))
            colour = f"C{number}"
            axes.scatter(truth, told, s=10, alpha=0.45, linewidths=0, color=colour)
            axes.scatter(truth.mean(), told.mean(), s=60, color=colour, label=name)
        bounds = [min(axes.get_xlim()[0], axes.get_ylim()[0]), max(axes.get_xlim()[1], axes.get_ylim()[1])]
        axes.plot(bounds, bounds, color="0.6", linewidth=0.8, zorder=0)
        axes.set(xlabel="what a list earned when the policy led the shop", ylabel="what the log said beforehand")
        axes.legend(fontsize=8, frameon=False)
    return figure


def movement_figure(results: Sequence[Any]) -> Figure:
    """How far lists are from the ranker's own, and how many shelves they hold, night by night."""
    with rc_context(STYLE):
        figure = Figure(figsize=(10, 4.4), layout="constrained")
        overlap, kinds = figure.subplots(1, 2)
        for name, style in styles(results[0].outcomes).items():
            if name == NO_LISTS:
                continue
            told = np.mean([result.outcomes[name].overlap for result in results], axis=0)
            # Lists that are not chosen from the ranker's candidates are all alike to what was counted.
            if name == GREEDY or told.min() < 1:
                overlap.plot(np.arange(1, len(told) + 1), told, **style)
            shelves = np.mean([result.outcomes[name].kinds for result in results], axis=0)
            kinds.plot(np.arange(1, len(shelves) + 1), shelves, **style)
        overlap.set(xlabel="night", ylabel="share of a list that greedy would show")
        kinds.set(xlabel="night", ylabel="shelves in a list of ten")
        _legend_below(figure, kinds)
    return figure


def _legend_below(figure: Figure, axes: Any) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8, frameon=False)
