"""What do policies that look ahead earn? Simulated nights of the demo world, against greedy lists and plainer ones.

For each seed a shop opens in the world of `jobs.demo_shop`, learns a ranker from its own log, and shows lists drawn by
it, with their propensities. From that log alone two agents learn. Then every policy leads a twin of the same shop
through the same 60 days, the ranker learning on from the twin's own log. Told: what users earned the shop, and who
stayed; what the log alone said of five policies beforehand, beside what they then earned; and the same in a world
without satiation, where there is less to gain by looking ahead. Agents of other libraries learn from the same log, in
an environment of their own:

    python -m venv peers
    peers/bin/pip install vowpalwabbit==9.11.9 d3rlpy==2.8.1
    python -m tests.benchmarks.policy.policy --peers peers/bin/python
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from expectations.tables import AGENTS
from tests.benchmarks.harness.report import RESULTS, Benchmark, hardware
from tests.benchmarks.harness.variants import OURS
from tests.benchmarks.policy.charts import movement_figure, nights_figure, values_figure
from tests.benchmarks.policy.checkpoints import Run, SeedResult
from tests.benchmarks.policy.contenders import GREEDY
from tests.benchmarks.policy.intervals import gain_over, kept_share, mean_reward
from tests.benchmarks.policy.one_seed import SETTINGS, run_seed

NAME = "policy"
FIRST_SEED = 201
"""Settings were chosen on seeds below."""
AS_IT_IS = next(iter(SETTINGS))
logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs all seeds of both settings, tells the figures and draws the charts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="worlds of each setting")
    parser.add_argument("--nights", type=int, default=60, help="that policies are judged by")
    parser.add_argument("--log-nights", type=int, default=75, help="that are logged before")
    parser.add_argument("--users", type=int, default=1500, help="on the first day")
    parser.add_argument("--items", type=int, default=420, help="on the first day")
    parser.add_argument("--processes", type=int, default=2, help="seeds at once")
    parser.add_argument("--peers", help="Python of an environment with the peers; without it, ours alone are judged")
    parser.add_argument("--keep", type=Path, help="a folder for finished seeds, which are not run again")
    parser.add_argument("--folder", type=Path, default=RESULTS, help="where figures and charts go")
    arguments = parser.parse_args(argv)
    runs = [
        Run(setting, FIRST_SEED + n, arguments.users, arguments.items, arguments.log_nights, arguments.nights)
        for setting in SETTINGS
        for n in range(arguments.seeds)
    ]
    found = all_results(runs, arguments.processes, arguments.keep, arguments.peers)
    results = sorted(found, key=lambda result: runs.index(result.run))
    benchmark = benchmark_of(results, arguments)
    print(benchmark.text())
    print(f"written: {benchmark.write(arguments.folder)}")
    as_it_is = [result for result in results if result.run.setting == AS_IT_IS]
    for name, figure in (
        ("nights", nights_figure(as_it_is)),
        ("values", values_figure(as_it_is)),
        ("movement", movement_figure(as_it_is)),
    ):
        path = arguments.folder / f"{NAME}_{name}.svg"
        figure.savefig(path, metadata={"Date": None})
        print(f"drawn: {path}")


def all_results(runs: Sequence[Run], num_processes: int, keep: Path | None, peers: str | None) -> Iterator[SeedResult]:
    """Each run in a process of its own, as they end, after those that are kept."""
    kept = [run for run in runs if keep and (keep / run.file_name).is_file()]
    for run in kept:
        yield SeedResult.load((keep or Path()) / run.file_name)
    with ProcessPoolExecutor(num_processes, get_context("spawn"), max_tasks_per_child=1) as pool:
        for done in as_completed([pool.submit(run_seed, run, peers) for run in runs if run not in kept]):
            result = done.result()
            if keep:
                result.save(keep)
            gains = {name: f"{gain_over([result], name, GREEDY)[0]:+.3f}" for name in result.outcomes}
            logger.info("done: setting=%s seed=%d %s %s", result.run.setting, result.run.seed, gains, result.seconds)
            yield result


def benchmark_of(results: Sequence[SeedResult], arguments: argparse.Namespace) -> Benchmark:
    """Returns what docs/results.md shows."""
    num_seconds = sum(result.seconds["all"] for result in results)
    with_peers = " --peers PYTHON" if arguments.peers else ""
    return Benchmark(
        name=NAME,
        command=f"python -m tests.benchmarks.{NAME} --seeds {arguments.seeds}{with_peers}",
        date=date.today().isoformat(),
        hardware=hardware(),
        data="Simulated: the world of jobs/demo_shop with its constants as they are, but for the size",
        protocol=(
            f"{arguments.seeds} seeds of {arguments.users:,} users and {arguments.items:,} items; "
            f"{arguments.log_nights} nights are logged under a policy that draws from the ranker's candidates, then "
            f"each policy leads a twin of the shop for {arguments.nights} nights; reward per user of the first "
            "morning: click 1, cart 2, purchase 5; users kept: have not left by the end; 95 % intervals: users drawn "
            "with replacement within each seed, gains on the same users; OPE: what a list earns on its day, estimated "
            "from the log alone (sequential_snips), and as it turned out when the policy led the shop. "
            f"{num_seconds / 60:.0f} minutes of one core"
        ),
        rows=[*rows_of_nights(results), *rows_of_values(results)],
    )


def rows_of_nights(results: Sequence[SeedResult]) -> Iterator[dict[str, Any]]:
    """One row a policy and setting."""
    for setting in SETTINGS:
        of_setting = [result for result in results if result.run.setting == setting]
        for name in of_setting[0].outcomes:
            figures = {"reward per user": mean_reward(of_setting, name), "users kept": kept_share(of_setting, name)}
            library = of_setting[0].libraries.get(name)
            source = f"{library}, same log, same run" if library else OURS
            row = {"model": f"{name}, {setting}", "ours": name in AGENTS, "source": source}
            for told, (value, low, high) in figures.items():
                row |= {told: round(value, 4)}
                if told == "reward per user":
                    row |= {"low": round(low, 4), "high": round(high, 4)}
            if name != GREEDY:
                gain, low, high = gain_over(of_setting, name, GREEDY)
                row |= {"gain_over_greedy": round(gain, 4), "gain_low": round(low, 4), "gain_high": round(high, 4)}
            yield row


def rows_of_values(results: Sequence[SeedResult]) -> Iterator[dict[str, Any]]:
    """What the log said of each policy, what it then earned, and how far both agree on their order."""
    judged = [result for result in results if result.truth]
    truth = {name: float(np.mean([result.truth[name] for result in judged])) for name in judged[0].truth}
    told = {name: float(np.mean([result.estimate[name] for result in judged])) for name in truth}
    tau = kendalltau(list(truth.values()), list(told.values())).statistic
    of_seeds = [kendalltau(list(r.truth.values()), list(r.estimate.values())).statistic for r in judged]
    yield {
        "model": "five policies judged by the log alone",
        "ours": True,
        "source": OURS,
        "ope_kendall_tau": round(float(tau), 4),
        "ope_kendall_tau of one seed": round(float(np.mean(of_seeds)), 4),
    }
    for name, value in truth.items():
        row = {"model": f"a list of: {name}", "ours": True, "source": OURS, "detail": True}
        yield row | {"earned": round(value, 4), "estimated": round(told[name], 4)}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    main()
