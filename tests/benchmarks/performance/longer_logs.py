"""Does a day cost more when the log grows longer? With a shop that forgets who stays away, it should not.

Makes shops of equal trade a day and of more and more days, whose customers stay for 60 days and are then followed by
others. For each, with and without `retention_days`: prepares the last but one day from the whole log, then takes in the
last day and builds its features by increment, which is what is measured: seconds, bytes, rows.

    python -m tests.benchmarks.performance.longer_logs --days 100 400
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from expectations.runtime.days import days_before
from expectations.runtime.lake import Lake
from expectations.runtime.spark_session import spark_session
from expectations.tables import HISTORIES, INTERACTIONS, USERS
from tests.benchmarks.harness.generated_shop import LAST_DS, NUM_ITEMS, GeneratedShop, write_shop
from tests.benchmarks.harness.measured_program import Measured, measured
from tests.benchmarks.harness.report import Benchmark, hardware
from tests.benchmarks.harness.variants import OURS

NAME = "longer_logs"
STAY_DAYS = 60
RETENTION_DAYS = 60

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures each length and tells the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, nargs="+", default=[100, 400], help="how long the logs are")
    parser.add_argument("--events", type=int, default=12_500, help="a day")
    parser.add_argument("--driver-memory", default="3g", help="of the JVM, which is driver and executor in one here")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    os.environ["SPARK_DRIVER_MEMORY"] = arguments.driver_memory
    rows = []
    for retention_days in (RETENTION_DAYS, 0):
        for num_days in arguments.days:
            shop = GeneratedShop(arguments.events * num_days, num_days, STAY_DAYS, retention_days)
            with tempfile.TemporaryDirectory(prefix="nightjar-") as folder:
                rows.append(measured_shop(Path(folder), shop))
    benchmark = Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME} --days {' '.join(map(str, arguments.days))} "
        f"--events {arguments.events}",
        date=date.today().isoformat(),
        hardware=hardware(),
        data=f"generated: {arguments.events:,} events a day, {NUM_ITEMS:,} items, customers who stay {STAY_DAYS} days",
        protocol="features of one more day by increment; local Spark, driver and executor in one JVM; MB of features "
        "written and shuffled, by Spark's event log; the features of the day before are there already",
        rows=rows,
    )
    print(benchmark.text())
    print(f"written: {benchmark.write()}")


def measured_shop(folder: Path, generated: GeneratedShop) -> dict[str, Any]:
    """What the last day costs."""
    root = folder / "root"
    spark = spark_session("generate", "local[*]", os.environ["SPARK_DRIVER_MEMORY"])
    shop = write_shop(spark, root, generated)
    spark.stop()
    for module, ds in (
        ("jobs.ingest", days_before(LAST_DS, 1)),
        ("jobs.preprocess", days_before(LAST_DS, 1)),
        ("jobs.ingest", LAST_DS),
    ):
        _run(module, root, shop, ds)
    run = _run("jobs.preprocess", root, shop, LAST_DS)
    lake = Lake(str(root))
    rows = {table.name: lake.require(table, LAST_DS).rows for table in (USERS, INTERACTIONS, HISTORIES)}
    forgets = f"forgets after {generated.retention_days} days" if generated.retention_days else "forgets nobody"
    return {
        "model": f"{generated.num_days} days, {generated.num_events / 1e6:g} M events: {forgets}",
        "ours": True,
        "source": OURS,
        "seconds": round(run.seconds, 1),
        "written MB": round(run.total.written / 1e6, 1),
        "shuffled MB": round(run.total.shuffled / 1e6, 1),
        **{f"rows of {name}": count for name, count in rows.items()},
    }


def _run(module: str, root: Path, shop: Path, ds: str) -> Measured:
    run = measured(module, ["--root", str(root), "--shop", str(shop), "--ds", ds, "--data", str(root)])
    logger.info("ran: program=%s ds=%s seconds=%.1f", module, ds, run.seconds)
    return run


if __name__ == "__main__":
    main()
