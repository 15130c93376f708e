# The front door. Everything here runs on this machine alone; docker/compose.yaml is the same night on several.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help shop nightly up down backfill stale serve test docs lock check

with_environment := . docker/local/environment.sh &&

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18
	@echo
	@echo "Variables: FILE (your export), SHOP (a name or a .toml file), DS (YYYY-MM-DD), MODELS (names, or all), TOP_K, NIGHTJAR_ROOT (./data), NIGHTJAR_DATA,"
	@echo "           AIRFLOW_PORT (8080), MLFLOW_PORT (5000), SERVE_PORT (5001), AT_ONCE (2, nights of a backfill). For example: make nightly SHOP=online_retail DS=2011-11-09"

shop: .venv/installed ## draft a shop file from your own export: FILE=export.csv; SPLIT=1 cuts a log into daily drops, OUT=shop.toml
	@: "$${FILE:?Set FILE to the files of your export, such as FILE=~/export.csv}"
	@$(with_environment) exec python -m jobs.draft_shop $(if $(SPLIT),--split) $(if $(FORCE),--force) $(if $(OUT),--out "$$OUT")

nightly: .venv/installed ## install, run one night through Airflow, show what it published
	@$(with_environment) exec python docker/local/run_night.py

up: .venv/installed ## start the web UIs of Airflow and MLflow, the scheduler and its workers, on loopback
	@$(with_environment) exec python docker/local/stack.py up

down: ## end everything that `make up` started
	@if [ -x .venv/bin/python ]; then $(with_environment) exec python docker/local/stack.py down; fi

backfill: .venv/installed ## with `make up` running: FROM=2011-11-05 TO=2011-11-07 builds these days (SHOP=…)
	@: "$${FROM:?Set FROM to the first day, such as FROM=2011-11-05}" "$${TO:?Set TO to the last day}"
	@$(with_environment) exec python docker/local/backfill.py

stale: .venv/installed ## list the published days that rest on older drops, settings or champions, with the backfill line (SHOP=…)
	@$(with_environment) exec python -m jobs.list_stale

serve: .venv/installed ## answer sessions in real time with the last night's sequence model, on loopback (SHOP=…)
	@$(with_environment) exec python docker/local/serve.py

test: .venv/installed ## all checks: style, types, import rules, tests
	@$(with_environment) \
	  ruff check . && ruff format --check . && mypy dags docker/local docs expectations jobs models tests && lint-imports && \
	  exec python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 15

docs: .venv/installed ## build the documents and the API reference as a site, in build/site
	@$(with_environment) NO_MKDOCS_2_WARNING=1 exec mkdocs build --strict

lock: .venv/installed ## resolve setup.cfg anew into requirements.lock and docker/*/requirements.lock
	@$(with_environment) exec bash docker/local/lock.sh

check:
	@bash docker/local/check_machine.sh > /dev/null

.venv/installed: requirements.lock docker/local/uv.txt | check
	@bash docker/local/install.sh
	@touch $@
