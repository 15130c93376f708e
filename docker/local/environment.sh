# The Airflow of one machine, for `make` and for your own shell:   . docker/local/environment.sh && airflow dags list
# SQLite, a few processes, nothing that listens beyond loopback.

# shellcheck shell=bash
nightjar="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"

export PATH="$nightjar/.venv/bin:$PATH"
# Which nights come first is a policy that Airflow looks for here.
export PYTHONPATH="$nightjar:$nightjar/docker/airflow/policies"
export NIGHTJAR_DATA="${NIGHTJAR_DATA:-../shared/data}"

export AIRFLOW_HOME="${AIRFLOW_HOME:-$nightjar/.airflow}"
export AIRFLOW_PORT="${AIRFLOW_PORT:-8080}"
export MLFLOW_PORT="${MLFLOW_PORT:-5000}"
export SERVE_PORT="${SERVE_PORT:-5001}"

export AIRFLOW__CORE__DAGS_FOLDER="$nightjar/dags"
export AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__CORE__EXECUTOR=LocalExecutor
# Tasks at once. Each is a Spark or a TensorFlow of its own, and both take every core.
export AIRFLOW__CORE__PARALLELISM="${AIRFLOW__CORE__PARALLELISM:-2}"
# How long a task that has ended may still hold a place, in seconds; by default five, of tasks that take two.
export AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL=1
# Whoever can reach loopback is an administrator here; docker/compose.yaml asks for a password.
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=True
export AIRFLOW__API__HOST=127.0.0.1
export AIRFLOW__API__PORT="$AIRFLOW_PORT"
export AIRFLOW__API__WORKERS=1
export AIRFLOW__API__BASE_URL="http://127.0.0.1:$AIRFLOW_PORT"
export AIRFLOW__CORE__EXECUTION_API_SERVER_URL="http://127.0.0.1:$AIRFLOW_PORT/execution/"
export AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL=60
export AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES=1

# What a shop trains is nobody else's business; and nothing here uses the server's own background jobs.
export MLFLOW_DISABLE_TELEMETRY=true
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false

# Nobody waits for a pause of a batch: without G1's care for short ones, a night without deep models takes 7 % less time on
# two cores. Your own options take the place of this one, since a JVM refuses two collectors.
export SPARK_SUBMIT_OPTS="${SPARK_SUBMIT_OPTS--XX:+UseParallelGC}"
# A third less time to start a Spark program; see docker/local/speedups. NIGHTJAR_SPEEDUPS=0 turns that folder off.
if [ "${NIGHTJAR_SPEEDUPS:-1}" != 0 ] && [ -d "$nightjar/docker/local/speedups" ] && [ -f "$nightjar/.venv/spark.jsa" ]; then
    export SPARK_SUBMIT_OPTS="-XX:SharedArchiveFile=$nightjar/.venv/spark.jsa -Xshare:auto -Xlog:cds*=off $SPARK_SUBMIT_OPTS"
fi
