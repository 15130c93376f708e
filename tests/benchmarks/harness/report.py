"""How every benchmark tells its figures: a table on the terminal, and a JSON file that docs/results.md is made from."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"


@dataclass(frozen=True)
class Benchmark:
    """One run of a benchmark.

    Attributes:
        date: of the run, YYYY-MM-DD.
        protocol: what was fitted and judged on what, so that a stranger could repeat it.
        rows: each with `model`, `ours`, `source` (where the figure is from), the metrics, and `seconds` where known;
            `detail` where docs/results.md need not show it.
    """

    name: str
    command: str
    date: str
    hardware: str
    data: str
    protocol: str
    rows: Sequence[dict[str, Any]]

    def write(self, folder: Path = RESULTS) -> Path:
        """Replaces the file of this benchmark, the committed one by default."""
        folder.mkdir(exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    def text(self) -> str:
        """The rows as a table, in their order; `*` marks ours."""
        metrics = list(
            dict.fromkeys(key for row in self.rows for key in row if key not in ("model", "ours", "source", "detail"))
        )
        width = {metric: max(8, len(metric) + 2) for metric in metrics}
        heads = [f"  {'model':<42}", *(f"{metric:>{width[metric]}}" for metric in metrics)]
        lines = [self.name, self.data, self.protocol, self.hardware, "", "".join(heads)]
        for row in self.rows:
            cells = [f"{_shown(row.get(metric)):>{width[metric]}}" for metric in metrics]
            lines.append(f"{'*' if row['ours'] else ' '} {row['model']:<42}{''.join(cells)}   {row['source']}")
        return "\n".join(lines)


def hardware() -> str:
    """The machine in words: cores, processor, memory, and GPUs where models train on them."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores ({_processor()}), {memory:.0f} GiB, {_gpus()}"


def num_gpus() -> int:
    """How many Keras trains on; none where nothing has loaded Keras."""
    keras = sys.modules.get("keras")
    try:
        return len(keras.distribution.list_devices("gpu")) if keras else 0
    except RuntimeError:  # how JAX says that there is none
        return 0


def _gpus() -> str:
    if not num_gpus():
        return "no GPU used"
    asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    names = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split("\n")
    return f"GPU: {', '.join(name for name in names if name)}"


def _processor() -> str:
    """The processor's name where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 1 else f"{value:.1f}"
    return str(value)
