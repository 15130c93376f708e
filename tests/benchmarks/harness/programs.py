"""Runs the public programs, as a night does."""

from __future__ import annotations

import logging
import subprocess
import sys
import time

from expectations.runtime.code_version import REPOSITORY

logger = logging.getLogger(__name__)


def run(program: str, *flags: str) -> None:
    """Raises CalledProcessError when the program fails."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", program, *flags], check=True, cwd=REPOSITORY)
    logger.info("ran: program=%s seconds=%.1f", program, time.monotonic() - started)
