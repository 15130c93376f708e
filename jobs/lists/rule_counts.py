"""Counts what each rule of the shop did to the lists, while their rows pass by: no second look at them."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Observation


class RuleCounts:
    """Sums over the rows of a job, known once it has run.

    Rows are counted when Spark computes them. Between a counted frame and a range partitioning, which computes its
    input twice to find the ranges, there must lie an exchange, so that the counted part is computed once.
    """

    def __init__(self) -> None:
        self._observed: list[tuple[Observation, tuple[str, ...]]] = []

    def observe(self, rows: DataFrame, counts: dict[str, Column]) -> DataFrame:
        """`rows`, counted by aggregates under their names."""
        observation = Observation()
        self._observed.append((observation, tuple(counts)))
        return rows.observe(observation, *(count.alias(name) for name, count in counts.items()))

    def get(self) -> dict[str, int]:
        """Returns all counts, once a job has computed the rows; 0 where there were none to compute."""
        return {name: int(seen.get(name) or 0) for o, names in self._observed for seen in (o.get,) for name in names}
