"""Answers sessions of one shop on loopback: `mlflow models serve` with the session model of its last night.

The server takes over this process, so that Ctrl-C or a signal ends it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from expectations.runtime.program import root_for
from expectations.runtime.tracking_config import TrackingConfig, tracking_server_from
from expectations.shop.shop import load_shop
from expectations.tables import NightError
from models.serving.model_registry import serving_uri

HOST = "127.0.0.1"
ENVIRONMENT = {
    # One request is small work: threads of its own in each of them would only fight over the cores.
    **dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1"),
    # A line for each request, and for each file that is read at the start, hides the lines that matter.
    "UVICORN_ACCESS_LOG": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def command(model_uri: str, port: str) -> list[str]:
    """What is run; the packages are those of this environment, which the model was saved with."""
    return [
        "mlflow", "models", "serve", "--model-uri", model_uri, "--host", HOST, "--port", port,
        "--env-manager", "local", "--workers", "1",
    ]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Parses, looks for the model, becomes the server.

    Raises:
        NightError: no night of the shop has registered a session model.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shop", default=os.environ.get("SHOP", "demo"), help="a name or a .toml file (SHOP)")
    parser.add_argument("--port", default=os.environ.get("SERVE_PORT", "5001"), help="on loopback (SERVE_PORT)")
    arguments = parser.parse_args(argv)
    shop = load_shop(arguments.shop)
    root = root_for(shop, os.environ.get("NIGHTJAR_ROOT"))
    tracking = TrackingConfig(root, tracking_server_from(os.environ))
    model_uri = serving_uri(tracking, shop.name)
    if model_uri is None:
        raise NightError(
            f"No session model of the shop {shop.name!r} is registered under {tracking.uri}. Run `make nightly` "
            f"with `sequence` among `models` of the shop file; it registers one when the tables are published."
        )
    os.environ.update({"MLFLOW_TRACKING_URI": tracking.uri, **ENVIRONMENT})
    print(f"Answers at http://{HOST}:{arguments.port}/invocations as soon as it has loaded {model_uri}.", flush=True)
    os.execvp("mlflow", command(model_uri, arguments.port))


if __name__ == "__main__":
    try:
        main()
    except NightError as err:
        print(f"ERROR {err}", file=sys.stderr)
        sys.exit(1)
