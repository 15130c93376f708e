"""What a session model answers to whoever did nothing yet and is not known: the night's lists by segment.

They are those of `new_user_recommendations`, word for word. A night that published none, as that of a shop's first try,
leaves this empty, and what sells answers instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from expectations.runtime.lake import Lake
from expectations.runtime.published_tables import dataset_of, published_table
from expectations.tables import EVERYBODY, NEW_USER_RECOMMENDATIONS

_COLUMNS = {
    "segment": pa.string(),
    "rank": pa.int32(),
    "item_id": pa.string(),
    "score": pa.float64(),
    "source": pa.string(),
    "reason_code": pa.string(),
    "reason": pa.string(),
}


@dataclass(frozen=True)
class NewcomerLists:
    """Rows of each segment, best first, with the names of _COLUMNS but for the segment."""

    by_segment: Mapping[str, Sequence[dict[str, Any]]]

    def find(self, segments: Sequence[str]) -> Sequence[dict[str, Any]]:
        """The list of the first segment that has one, or of everybody."""
        return next((self.by_segment[name] for name in (*segments, EVERYBODY) if name in self.by_segment), ())

    @classmethod
    def published(cls, lake: Lake, ds: str) -> Self:
        """Those of a night; none before it is published."""
        published = published_table(lake, NEW_USER_RECOMMENDATIONS, ds)
        if published is None:
            return cls({})
        return cls._of_rows(dataset_of(published).to_table(list(_COLUMNS), filter=pc.field("ds") == ds))

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls._of_rows(pq.read_table(path))

    def save(self, path: Path, metadata: Mapping[bytes, bytes]) -> None:
        rows = [{"segment": segment, **row} for segment, listed in self.by_segment.items() for row in listed]
        pq.write_table(pa.Table.from_pylist(rows, pa.schema(list(_COLUMNS.items()), metadata)), path)

    @classmethod
    def _of_rows(cls, rows: pa.Table) -> Self:
        found: dict[str, list[dict[str, Any]]] = {}
        for row in rows.sort_by([("segment", "ascending"), ("rank", "ascending")]).to_pylist():
            found.setdefault(row.pop("segment"), []).append(row)
        return cls(found)
