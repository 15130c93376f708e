"""Load that does not wait: requests are sent when they are due, whether or not the ones before were answered.

Latency counts from the moment a request was due, so that time spent in a queue, in the server's or in this generator's
own, is time a shopper waits. Arrivals are those of independent shoppers: exponential gaps, drawn from a seed.

    python -m tests.benchmarks.harness.open_loop ADDRESS BODIES.json RATE SECONDS

prints one line of JSON. BODIES.json is a list of request bodies; without any, the path is asked by GET.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import numpy as np

SEED = 7


def main(address: str, bodies: str, rate: str, seconds: str) -> None:
    """Sends the load and prints what came of it."""
    told = asyncio.run(load(address, json.loads(Path(bodies).read_text("utf-8")), float(rate), float(seconds)))
    print(json.dumps(told))


async def load(address: str, bodies: Sequence[str], rate: float, seconds: float) -> dict[str, float]:
    """Percentiles of the latency in milliseconds, of so many requests a second for so many seconds."""
    rng = np.random.default_rng(SEED)
    due = np.cumsum(rng.exponential(1 / rate, int(rate * seconds)))
    chosen = rng.integers(0, max(1, len(bodies)), len(due))
    latencies, failed = np.zeros(len(due)), np.zeros(len(due), dtype=bool)
    # No bound on connections: a bound would hold requests back before they are counted.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        start = time.perf_counter() + 0.1

        async def send(n: int) -> None:
            asked = client.post(address, data=bodies[chosen[n]], headers=JSON) if bodies else client.get(address)
            try:
                async with asked as response:
                    await response.read()
                    failed[n] = response.status != 200
            except aiohttp.ClientError:
                failed[n] = True
            latencies[n] = time.perf_counter() - start - due[n]

        async with asyncio.TaskGroup() as sent:
            for n, moment in enumerate(due):
                wait = start + moment - time.perf_counter()
                if wait > 0:
                    await asyncio.sleep(wait)
                sent.create_task(send(n))
        took = time.perf_counter() - start
    p50, p90, p99, longest = (float(p) for p in np.percentile(1000 * latencies, [50, 90, 99, 100]))
    answered = len(due) - int(failed.sum())
    return {
        "answered a second": answered / took,
        "p50 ms": p50,
        "p90 ms": p90,
        "p99 ms": p99,
        "longest ms": longest,
        "requests": len(due),
        "failed": int(failed.sum()),
    }


JSON = {"Content-Type": "application/json"}

if __name__ == "__main__":
    main(*sys.argv[1:])
