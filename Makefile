# `make` lists the commands. Everything happens in .venv/ (libraries) and var/ (state); both can be deleted at any time.
.DEFAULT_GOAL := help
SHELL := /bin/bash
# Any Python from 3.6 starts the set-up, which looks for one that fits.
PYTHON ?= $(firstword $(shell command -v python3 python3.13 python3.12 python3.11) python3)
BIN := .venv/bin
# Tests wait a quarter of their time, for disks and for other programs: one process more than there are cores.
AT_ONCE = --numprocesses=$(shell expr $$(getconf _NPROCESSORS_ONLN) + 1) --maxprocesses=4 --dist=loadfile --no-loadscope-reorder
# The variables of `make run`. Those given to make are in the environment of its commands.
PARAMETERS := pipeline/settings/parameters.py
# Without cached bytecode every Airflow task would compile TensorFlow's thousands of modules again.
unexport PYTHONDONTWRITEBYTECODE
# They belong to another Python. `$(shell)` gets them all the same, so its Python has `-I`.
unexport PYTHONHOME PYTHONPATH

.PHONY: .venv/ready
.venv/ready:
	@command -v $(firstword $(PYTHON)) > /dev/null || { printf '%s\n' 'The set-up needs Python.' 'Received: no $(PYTHON) on PATH' \
	  'To do: install Python 3.11 to 3.13. Debian, Ubuntu: `sudo apt-get install python3 python3-venv`.'; exit 2; }
	@$(PYTHON) -I setup/environment.py

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@$(PYTHON) $(PARAMETERS) help

.PHONY: setup
setup: .venv/ready ## install everything into .venv (the other commands do it by themselves)

.PHONY: run
run: .venv/ready ## run the DAG once through Airflow and print the results
	@$(BIN)/closecast run --airflow $(shell $(PYTHON) -I $(PARAMETERS) options)

.PHONY: test
test: .venv/ready ## run all tests but those of the slow suites below (test-programs, test-cluster, test-faults, test-containers)
	$(BIN)/python -m pytest $(AT_ONCE) $(ARGS)

.PHONY: test-programs
test-programs: .venv/ready ## run whole programs: the DAG through Airflow, another Python, JAX, the state of earlier versions
	$(BIN)/python -m pytest tests/programs $(AT_ONCE) $(ARGS)

.PHONY: images
images: .venv/ready ## take the pictures of docs/images from a running stack (Chromium, ../shared/data)
	CLOSECAST_TEST_IMAGES=docs/images $(BIN)/python -m pytest tests/programs/test_pages.py $(ARGS)

.PHONY: test-containers
test-containers: .venv/ready ## build the image and start compose.yaml for real (root, Debian's buildah and podman)
	CLOSECAST_TEST_CONTAINERS=1 $(BIN)/python -m pytest tests/containers $(ARGS)

.PHONY: docker-env
docker-env: ## make the secrets of docker/compose.yaml: docker/.env
	@$(PYTHON) docker/make_env.py docker/.env

.PHONY: lint
lint: .venv/ready ## check style, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: up
up: .venv/ready ## start Airflow and MLflow with their web pages, schedule on
	@$(BIN)/closecast up

.PHONY: down
down: .venv/ready ## stop what `make up` started
	@$(BIN)/closecast down

CLUSTER := CLOSECAST_CLUSTER=true CLOSECAST_VAR=$${CLOSECAST_VAR:-var}/cluster

.PHONY: up-cluster
up-cluster: .venv/ready ## the same with PostgreSQL, Redis and two Celery workers: see docs/cluster.md
	@$(CLUSTER) $(BIN)/closecast up

.PHONY: down-cluster
down-cluster: .venv/ready ## stop what `make up-cluster` started
	@$(CLUSTER) $(BIN)/closecast down

.PHONY: test-cluster
test-cluster: .venv/ready ## run the DAG there, and kill what it needs; takes PostgreSQL and Redis
	$(BIN)/python -m pytest tests/cluster $(ARGS)

.PHONY: test-faults
test-faults: .venv/ready ## kill, stop, starve and cut off what a run needs: see docs/faults.md
	$(BIN)/python -m pytest tests/faults $(ARGS)

.PHONY: bench-panel
bench-panel: .venv/ready ## score `daily` on a folder: make bench-panel PRICES=../shared/data/panel AS_OF=2020-12-11 ARGS='--seeds 0 1 2'
	$(BIN)/python bench/panel.py $(PRICES) $(AS_OF) $(ARGS)

.PHONY: bench-night
bench-night: .venv/ready ## time a scheduled night: make bench-night PRICES=../shared/data/panel AS_OF=2020-12-11 ARGS='--tickers 60'
	$(BIN)/python bench/night.py $(PRICES) $(AS_OF) $(ARGS)

.PHONY: bench
bench: .venv/ready ## time imports, training and a run
	$(BIN)/python bench/bench.py

.PHONY: bench-smoke
bench-smoke: .venv/ready ## run each benchmark at its smallest size, as `make test` does
	$(BIN)/python -m pytest tests/test_bench.py $(ARGS)

.PHONY: bench-tracking
bench-tracking: .venv/ready ## time MLflow's share of a night beside many versions: make bench-tracking ARGS='--versions 1 250'
	$(BIN)/python bench/tracking.py $(ARGS)

.PHONY: bench-history
bench-history: .venv/ready ## time commands and searches of pages beside few and many nights: make bench-history ARGS='--nights 2 100'
	$(BIN)/python bench/history.py $(ARGS)

.PHONY: bench-simulate
bench-simulate: .venv/ready ## simulate a night of many tickers: make bench-simulate ARGS='--tickers 1000'
	$(BIN)/python bench/simulate.py $(ARGS)

.PHONY: lock
lock: .venv/ready ## renew requirements.lock
	$(BIN)/uv pip compile --python $(BIN)/python --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --group dev --extra cluster --extra kubernetes --extra s3 --extra jax --extra lineage --upgrade --custom-compile-command "make lock" pyproject.toml --output-file requirements.lock
