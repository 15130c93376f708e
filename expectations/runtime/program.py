"""How every program of the night starts and how it ends: the same flags, one log format, one-line errors.

The flags' defaults come from the environment (`NIGHTJAR_ROOT`, `NIGHTJAR_DATA`, `SHOP`, `DS`), and so does MLflow's
server (`MLFLOW_TRACKING_URI`). The environment is read only here: below `main()` everything is passed in.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import NoReturn

from expectations.runtime.borrowed_jvm import give_back
from expectations.runtime.days import backtest_days
from expectations.runtime.drops import DropFolder
from expectations.runtime.failures import EXIT_CODE, failure_line
from expectations.runtime.lake import Lake
from expectations.runtime.run_pins import BY_HAND, Pin, pin_run, read_pin
from expectations.runtime.tracking_config import RunTags, TrackingConfig, tracking_server_from
from expectations.shop.shop import Shop, load_shop
from expectations.shop.toml_settings import settings_from_mapping
from expectations.tables import NightError, ds_from_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Night:
    """What a program was asked to work on.

    Attributes:
        data: where raw data lies, for `{data}` in shop files.
        now: when the program started, in UTC: the one reading of the clock.
        tracking_server: MLflow's server; None where runs are logged to a file under the root.
        code: the version of the code when the run began; None where no run pinned it.
        connections: environment variable -> what it holds, of those that the shop names for sources that are tables.
    """

    lake: Lake
    data: str
    shop: Shop
    ds: str
    run_id: str
    now: datetime
    tracking_server: str | None = None
    code: str | None = None
    connections: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def drop_folder(self) -> DropFolder:
        """The raw drops of the shop."""
        return DropFolder(self.shop, self.lake.root, self.data, self.connections)

    @property
    def tracking(self) -> TrackingConfig:
        """Where this night's runs are logged."""
        return TrackingConfig(self.lake.root, self.tracking_server)

    @property
    def run_tags(self) -> RunTags:
        """The tags of this night's runs."""
        return RunTags(self.shop.name, self.ds, self.run_id)

    @property
    def backtest_days(self) -> tuple[str, ...]:
        """The days that the backtest's models may know up to, one a window, the latest first."""
        shop = self.shop
        return backtest_days(self.ds, shop.horizon_days, shop.weekly_backtest, shop.num_windows)

    @property
    def backtest_as_of(self) -> str:
        """The latest of `backtest_days`."""
        return self.backtest_days[0]


def night_parser(module_doc: str | None) -> argparse.ArgumentParser:
    """A parser with the flags that every program takes."""
    parser = argparse.ArgumentParser(
        description=module_doc, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    env = os.environ
    parser.add_argument("--ds", default=env.get("DS"), help="the last complete day of data, YYYY-MM-DD (DS)")
    parser.add_argument("--shop", default=env.get("SHOP", "demo"), help="a name, or a path to a .toml file (SHOP)")
    parser.add_argument(
        "--root", default=env.get("NIGHTJAR_ROOT", "./data"), help="where all is written (NIGHTJAR_ROOT)"
    )
    parser.add_argument("--data", default=env.get("NIGHTJAR_DATA", "../shared/data"), help="raw data (NIGHTJAR_DATA)")
    parser.add_argument(
        "--models", default=env.get("MODELS"), help="comma-separated; in place of the shop file's `models` (MODELS)"
    )
    parser.add_argument(
        "--top-k", default=env.get("TOP_K"), help="items per user; in place of the shop file's `top_k` (TOP_K)"
    )
    parser.add_argument("--run-id", default=env.get("RUN_ID", BY_HAND), help="noted in run_manifest (RUN_ID)")
    return parser


def add_as_of(parser: argparse.ArgumentParser) -> None:
    """Adds `--as-of`, for programs that work once for the backtest and once for the refit of the same night."""
    parser.add_argument(
        "--as-of",
        default=os.environ.get("AS_OF", "refit"),
        help="the day that may be known up to: YYYY-MM-DD, `refit` (ds), or `backtest` (ds - horizon_days, with "
        "`weekly_backtest` the Sunday before, and as many horizons earlier as the shop has `num_windows`, one after "
        "another) (AS_OF)",
    )


def days_from(arguments: argparse.Namespace, night: Night) -> tuple[str, ...]:
    """The days that `--as-of` means for this night; more than one for a backtest of several windows.

    Raises:
        NightError: neither a day nor one of the two words, or a day after `ds`: a night knows nothing of it.
    """
    if arguments.as_of == "backtest":
        return night.backtest_days
    as_of = night.ds if arguments.as_of == "refit" else ds_from_text(arguments.as_of)
    if as_of > night.ds:
        raise NightError(f"--as-of must not lie after ds={night.ds}. Received: {as_of}")
    return (as_of,)


def night_and_days(module_doc: str | None, argv: Sequence[str] | None) -> tuple[Night, tuple[str, ...]]:
    """What a program that takes only the common flags and `--as-of` was asked for."""
    parser = night_parser(module_doc)
    add_as_of(parser)
    arguments = parser.parse_args(argv)
    night = night_from(arguments)
    return night, days_from(arguments, night)


def night_from(arguments: argparse.Namespace, is_pinned: bool = True) -> Night:
    """Checks the common flags at the door.

    Args:
        is_pinned: whether the run's own pin counts, where it has one: the shop as it was, and the lake as the run sees
            it. Programs that come before the pin say no.

    Raises:
        NightError: no `ds`, or one that is no day; a shop file that cannot be; a root of another shop.
    """
    if not arguments.ds:
        raise NightError("No day was given. Set --ds (or DS) to the last complete day of data, such as 2011-11-09.")
    ds = ds_from_text(arguments.ds)
    pin = read_pin(Lake(arguments.root), arguments.run_id, ds) if is_pinned else None
    shop = _shop_of(arguments, pin)
    data = arguments.data if "://" in arguments.data else str(Path(arguments.data).resolve())
    lake = Lake(arguments.root, pin.view if pin else None)
    lake.bind_shop(shop.name)
    now, server = datetime.now(timezone.utc), tracking_server_from(os.environ)
    code, connections = pin.code if pin else None, _connections(shop, os.environ)
    return Night(lake, data, shop, ds, arguments.run_id, now, server, code, connections)


def root_for(shop: Shop, given: str | None) -> str:
    """Where the night writes: what the user says, else ./data, else (it belongs to another shop) ./data-<shop>."""
    if given:
        return given
    try:
        Lake("./data").bind_shop(shop.name)
    except NightError:
        return f"./data-{shop.name}"
    return "./data"


def pinned_night(night: Night) -> Night:
    """Fixes what the run of this night reads from now on. Returns the night as its later programs will see it.

    A night that no run started stays as it is.
    """
    if night.run_id == BY_HAND:
        return night
    lake = replace(night.lake, run=None)
    pin = pin_run(lake, night.run_id, night.ds, night.backtest_days, night.shop, night.now)
    return replace(night, lake=replace(lake, run=pin.view), code=pin.code)


def _connections(shop: Shop, environment: Mapping[str, str]) -> dict[str, str]:
    """What the shop's sources need of the environment; what is not set is missed where it is used."""
    raws = (*shop.event_sources.values(), shop.items, shop.users)
    tables = [raw.table for raw in raws if raw and raw.table]
    return {table.connection: environment[table.connection] for table in tables if table.connection in environment}


def _shop_of(arguments: argparse.Namespace, pin: Pin | None) -> Shop:
    """The shop as pinned, where it is; of its file only the bounds on publishing count then, and only if it is sound.

    These change no row. Who is told that a bound stopped a night changes it, and clears that task alone.
    """
    if pin is None:
        return _overridden(load_shop(arguments.shop), arguments.models, arguments.top_k)
    try:
        return replace(pin.shop, publish=load_shop(arguments.shop).publish)
    except NightError as err:
        logger.warning("the shop file counts as it was when the run began: %s", err)
        return pin.shop


def _overridden(shop: Shop, models: str | None, top_k: str | None) -> Shop:
    """The shop with what the trigger form or a flag says in place of its file; empty text says nothing."""
    changes: dict[str, object] = {}
    if models:
        changes["models"] = tuple(name.strip() for name in models.split(",") if name.strip())
    if top_k:
        if not top_k.isdecimal():
            raise NightError(f"--top-k must be a whole number from 1. Received: {top_k!r}")
        changes["top_k"] = int(top_k)
    return settings_from_mapping(Shop, asdict(shop) | changes, f"shop {shop.name}") if changes else shop


def run_program(main: Callable[[Sequence[str] | None], None]) -> None:
    """Runs `main` as a program: logs to standard error, and ends with the reason on the last line where it failed.

    Exits 1 where the program itself gave the reason, which another try would give again; with the code of
    `expectations.runtime.failures`, after the trace, where it was unexpected.
    """
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for noisy in ("py4j", "great_expectations", "matplotlib", "alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    started = time.monotonic()
    try:
        main(None)
        give_back()
    except NightError as err:
        give_back()
        logger.debug("stopped", exc_info=True)
        _end_with(str(err), 1)
    except Exception as err:
        logger.exception("unexpected")
        _end_with(failure_line(_program_name(), err), EXIT_CODE)
    logger.info("finished: seconds=%.1f", time.monotonic() - started)


def _end_with(reason: str, exit_code: int) -> NoReturn:
    print("ERROR", " ".join(reason.split()), file=sys.stderr, flush=True)
    sys.exit(exit_code)


def _program_name() -> str:
    """What `python -m` was told, such as `jobs.ingest`."""
    spec = sys.modules["__main__"].__spec__
    return spec.name if spec else Path(sys.argv[0]).name
