"""From `git clone` to the first own list with a stranger's export: how many typed lines, and how many minutes?

Makes an export of GA4 (a file a day, as BigQuery has it) and one of Shopify's orders (one file), and types the lines of
docs/own_shop.md in a fresh clone of this repository for each: with the export's place for the one that they name, and
for the night the line that `make shop` printed. Nothing is attached to a terminal, so that no question is answered. A
run counts when the night has published a list for some user; the minutes are those of the slower export, installation
included.

    python -m tests.benchmarks.own_shops.first_list
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from expectations.runtime.code_version import REPOSITORY
from tests.benchmarks.harness.parts import record_part
from tests.benchmarks.harness.variants import OURS
from tests.benchmarks.own_shops.exports import write_ga4, write_shopify
from tests.docs.pages import blocks

NAME, PART = "own_shops", "first own list"
_PRINTED_NIGHT = re.compile(r"make nightly SHOP=\S+ DS=[\d-]+")
_KEPT = ("HOME", "LANG", "TMPDIR", "USER", "JAVA_HOME", "http_proxy", "https_proxy", "no_proxy", "GIT_SSL_CAINFO")
_KEPT_PREFIXES = ("UV_", "PIP_", "SSL_", "NIX_", "REQUESTS_", "HTTP", "NO_PROXY")


def documented_lines() -> list[str]:
    """The lines of the block of docs/own_shop.md that begins with the clone."""
    (text,) = [block.text for block in blocks("bash") if block.page == "docs/own_shop.md" and "git clone" in block.text]
    return [line.partition("  #")[0].strip() for line in text.splitlines() if line.strip()]


def minutes_to_first_list(export: Path, folder: Path, lines: Sequence[str]) -> dict[str, float]:
    """Types the lines in an empty folder. Returns the minutes of each, and of all.

    Raises:
        RuntimeError: a line failed, or nobody has a list.
    """
    clone, _, night = lines[0], *lines[-2:]
    assert clone.startswith("git clone") and night.startswith("make nightly"), lines
    environment = {
        name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    environment["PATH"] = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if ".venv" not in part)
    printed, seconds = "", {}
    for number, line in enumerate(lines):
        typed = re.sub(r"URL", str(REPOSITORY), line) if number == 0 else re.sub(r"FILE=\S+", f"FILE={export}", line)
        if line.startswith("make nightly"):
            found = _PRINTED_NIGHT.search(printed)
            if found is None:
                raise RuntimeError(f"make shop printed no line for the night:\n{printed[-2000:]}")
            typed = found[0]
        started = time.monotonic()
        command = typed if number == 0 else f"cd nightjar && {typed}"
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds[typed] = time.monotonic() - started
        printed += ended.stdout
        if ended.returncode:
            raise RuntimeError(
                f"{typed} ended with {ended.returncode}:\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
            )
        print(f"{seconds[typed]:7.1f} s  {typed}", flush=True)
    if (
        not DeltaTable(str(folder / "nightjar" / "data" / "tables" / "user_recommendations"))
        .to_pyarrow_table()
        .num_rows
    ):
        raise RuntimeError("the night published no list")
    return {line: round(of / 60, 2) for line, of in seconds.items()}


def measured(rows: int, seed: int) -> dict[str, Any]:
    """Returns the row of the result."""
    lines = documented_lines()
    exports: dict[str, tuple[str, Callable[[Path, int, int], None]]] = {
        "ga4": ("ga4_export", write_ga4),
        "shopify": ("orders_export.csv", write_shopify),
    }
    minutes: dict[str, float] = {}
    for name, (file, write) in exports.items():
        with tempfile.TemporaryDirectory(prefix="first_list_") as temporary:
            folder = Path(temporary)
            export = folder / file
            if name == "ga4":
                export.mkdir()
            write(export, rows, seed)
            minutes[name] = round(sum(minutes_to_first_list(export, folder, lines).values()), 1)
    return {
        "model": PART,
        "ours": True,
        "source": OURS,
        "rows": rows,
        "lines": len(lines),
        "minutes": max(minutes.values()),
        **{f"minutes_{name}": of for name, of in minutes.items()},
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, prints, and replaces its row of the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    row = measured(arguments.rows, arguments.seed)
    print(record_part(NAME, PART, [row]).text())


if __name__ == "__main__":
    main()
