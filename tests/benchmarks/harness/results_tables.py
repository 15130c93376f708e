"""Writes the tables of docs/results.md from the committed results, so that no figure is typed by hand.

    python -m tests.benchmarks.harness.results_tables

A table stands between `<!-- results NAME -->` and `<!-- end -->`. Rows that say `detail` are left to the file.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from expectations.runtime.code_version import REPOSITORY
from tests.benchmarks.harness.report import RESULTS

RESULTS_PAGE = REPOSITORY / "docs" / "results.md"
TABLES = re.compile(r"(<!-- results (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Rewrites the page in place."""
    RESULTS_PAGE.write_text(with_results(RESULTS_PAGE.read_text("utf-8"), RESULTS), "utf-8")


def with_results(text: str, results: Path) -> str:
    """Returns `text` with each table as its result file has it."""
    return TABLES.sub(lambda found: found[1] + _table(results / f"{found[2]}.json") + found[3], text)


def _table(path: Path) -> str:
    result: dict[str, Any] = json.loads(path.read_text("utf-8"))
    rows = [row for row in result["rows"] if not row.get("detail")]
    names = list(dict.fromkeys(name for row in rows for name in row if name not in ("ours", "model")))
    lines = [f"| model | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for row in rows:
        model = f"**{row['model']}**" if row["ours"] else row["model"]
        lines.append(f"| {model} | {' | '.join(_cell(row.get(name)) for name in names)} |")
    told = f"`{result['command']}`, {result['date']}, {result['hardware']}. {result['protocol']}."
    return "\n".join([*lines, "", told, ""])


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
