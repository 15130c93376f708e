#!/usr/bin/env bash
# Resolves setup.cfg into the locks: requirements.lock for one machine, then each image's own at the same versions.
set -euo pipefail
cd "$(dirname "$0")/../.."

compile() { # compile LOCK EXTRA…   (no index is written down: it is the reader's own)
    local lock="$1" extras=()
    shift
    for extra in "$@"; do extras+=(--extra "$extra"); done
    if [ "$lock" != requirements.lock ]; then extras+=(--constraints requirements.lock); fi
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
        "${extras[@]}" setup.cfg --output-file "$lock"
    echo "$lock"
}

compile requirements.lock airflow spark tables train docs test
compile docker/airflow/requirements.lock airflow cluster tables
compile docker/spark/requirements.lock spark tables
compile docker/train/requirements.lock train
compile docker/train/requirements-gpu.lock train cuda
