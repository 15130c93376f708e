#!/usr/bin/env bash
# Makes .venv hold exactly requirements.lock, hashes checked. uv does the work; pip only fetches uv, by its hash.
set -euo pipefail
cd "$(dirname "$0")/../.."

python="$(bash docker/local/check_machine.sh)"
[ -x .venv/bin/python ] || "$python" -m venv .venv
quiet=(--quiet --disable-pip-version-check)
[ -x .venv/bin/uv ] || .venv/bin/python -m pip install "${quiet[@]}" --require-hashes --no-deps -r docker/local/uv.txt
echo "Installing requirements.lock into .venv …"
# Without uv's own line in the list, sync would remove the uv that runs.
VIRTUAL_ENV="$PWD/.venv" .venv/bin/uv pip sync --quiet --require-hashes requirements.lock docker/local/uv.txt
if [ -d docker/local/speedups ]; then
    echo "Sharing Spark's classes …"
    PYTHONPATH="$PWD" .venv/bin/python docker/local/speedups/class_data_sharing.py > /dev/null 2>&1 ||
        echo "Not shared: Spark will start more slowly."
fi
