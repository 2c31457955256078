# Everything a person needs, each target on one line in `make help`.
# A virtual environment in .venv with the pinned packages; nothing global, nothing that isn't ours is touched.

PYTHON ?= python3
BIN := .venv/bin
STATE ?= var
OURS := run nodes logs cluster.id control.lock supervisor.lock ports.json state.sqlite*
COMPILED_TESTS := tests/unit/wire tests/unit/loadbalancer/aio tests/conformance \
	--ignore tests/conformance/kafka --ignore tests/unit/loadbalancer/aio/test_hedge.py \
	--ignore tests/unit/loadbalancer/aio/test_replicas.py # nothing of it is compiled; they fake what is
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev up build docker-up down restart reload status events logs ps test test-unittest test-slow check format readme bench fast test-fast bench-door bench-queue profile-door analysis drills drills-docker drills-queue chaos demo clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Carousel needs Python 3.11 or later; name one by PYTHON=…"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "No venv module: on Debian, apt install python3-venv"; exit 1; }

.venv/.run: requirements.lock pyproject.toml | .venv/bin/python
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps -e .
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.run
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

setup: .venv/.run ## Make the virtual environment (the other targets do it too)
setup-dev: .venv/.dev ## The same, with what the tests and checks need

up: setup ## Run the whole system here in the foreground: http://127.0.0.1:5000; Ctrl-C ends it
	@exec $(BIN)/carousel up --state-dir $(STATE) $(ARGS)

build: setup ## Build both images; where python:3.11-slim can't be pulled, on a base made from Debian's packages
	@deploy/build

docker-up: build ## Run the whole system in containers, in the foreground: docker compose up
	@if docker compose version >/dev/null 2>&1; then exec docker compose up; else exec docker-compose up; fi

down: setup ## End the system that runs in ./var
	@$(BIN)/carousel down --state-dir $(STATE)

restart: setup ## End it if it runs, then run it here
	@$(BIN)/carousel down --state-dir $(STATE) >/dev/null
	@$(MAKE) --no-print-directory up

reload: setup ## New settings and code, no request lost
	@$(BIN)/carousel reload --state-dir $(STATE)

status: setup ## The replicas and their states
	@$(BIN)/carousel status --state-dir $(STATE)

events: setup ## What happened to whom, when and why
	@$(BIN)/carousel events --state-dir $(STATE)

logs: ## The replicas' own logs, as they grow
	@tail -n 20 -F $(STATE)/logs/*.log

ps: setup ## Our processes and their memory
	@$(BIN)/carousel ps --state-dir $(STATE)

demo: setup ## Two producers, two consumers, and who got what; in the running system, or one of its own
	@$(BIN)/python -m client.examples.demo --state-dir $(STATE) $(ARGS)

test: setup-dev ## All everyday tests
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadgroup -m "not slow"

test-unittest: setup-dev ## The unit twins by unittest's own discovery, warnings as errors
	@$(BIN)/python -W error tests/discover.py

test-slow: setup-dev ## The longer suites: drills at a smaller size, more examples
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup -m "slow and not alone"
	@$(BIN)/python -m pytest -q -m "slow and alone"

check: setup-dev ## Formatting, lint, types, import arrows
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/pyright

format: setup-dev ## Format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

readme: setup-dev ## Fill the README: the table of settings, the figures last measured
	@$(BIN)/python -m analysis.readme

bench: setup-dev ## The ring's figures and the fault drills, printed and kept as JSON in analysis/results
	@$(BIN)/python -m analysis.ring_shares --json analysis/results/ring.json
	@$(BIN)/python -m analysis.drills --json analysis/results/drills.json

fast: setup-dev ## Compile the data path (C compiler, Python's headers; half a minute): a quarter less CPU a request
	@$(BIN)/python deploy/compile

test-fast: fast ## The tests of the data path, compiled
	@PYTHONPATH=tests $(BIN)/python -m pytest -q -p support.compiled -m "not slow" $(COMPILED_TESTS)

bench-door: fast ## nginx, HAProxy and the front door side by side: requests/s, p99, CPU per request (needs these, and wrk)
	@$(BIN)/python -m analysis.door_bench --json analysis/results/door.json $(ARGS)

bench-queue: setup-dev ## The queue, Kafka, Redis, JetStream, RabbitMQ side by side (those that are installed; 45 minutes on an idle machine)
	@$(BIN)/python -m analysis.queue_bench --json analysis/results/queue.json $(ARGS)

profile-door: setup-dev ## Where the microseconds of one request go
	@$(BIN)/python -m analysis.door_profile --json analysis/results/door_profile.json $(ARGS)

analysis: setup-dev ## The analyses A-1 to A-4 on ten thousand requests each, with pictures, in analysis/results
	@$(BIN)/python -m analysis all $(ARGS)

drills: setup-dev ## One drill or all of them: make drills ARGS="kill --requests 5000"
	@$(BIN)/python -m analysis.drills $(ARGS)

drills-docker: setup-dev build ## The fault drills with containers: the compose system, harmed from outside
	@$(BIN)/python -m analysis.drills.containers --json analysis/results/containers.json $(ARGS)

drills-queue: setup-dev ## The queue's servers killed, moved, crowded, stalled, and a judge: make drills-queue ARGS="kill --times 20"
	@$(BIN)/python -m analysis.queue_drills $(or $(ARGS),--json analysis/results/queue_drills.json)

chaos: setup-dev ## Replicas harmed at random for minutes, and a judge: make chaos ARGS="--seconds 60 --seed 7"
	@$(BIN)/python -m analysis.chaos $(or $(ARGS),--json analysis/results/chaos.json)

clean: ## End what is ours (./var, the compose system) and remove it, its volumes, and the virtual environment
	@deploy/clean
	@if [ -x $(BIN)/carousel ]; then $(BIN)/carousel down --state-dir $(STATE) >/dev/null; fi
	@cd $(STATE) 2>/dev/null && [ -e cluster.id ] && rm -rf $(OURS) && rmdir "$$PWD" 2>/dev/null || true
	@rm -rf .venv wheelhouse wheelhouse.new *.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis
