# One verb per job. Only Python 3.11+, make and git are assumed; everything else comes by `make setup`.

PYTHON ?= python3
BIN    := .venv/bin
# Stack tests in the order in which a failure says most. Folders that do not exist yet are left out.
STACK_TESTS := $(wildcard tests/contract tests/integration tests/replay tests/faults)

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo live test test-unit test-fidelity test-stack faults fidelity mutants check bench bench-peers lock clean clean-cache

help: ## list these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## fetch and build every part (Python packages, Java, Kafka, InfluxDB, Postgres); quick when done
	@$(PYTHON) infra/local/bootstrap.py

setup-dev:
	@$(PYTHON) infra/local/bootstrap.py --dev

demo: setup ## play the shipped recording through the whole stack until Ctrl-C
	@$(BIN)/dutchbook up

live: setup ## paper trading on the venues' live books (see README for keys)
	@$(BIN)/dutchbook up --live

test: test-unit test-fidelity test-stack ## unit tests, the venue fault matrix (no stack), then the tests on the running stack

test-unit: setup-dev
	$(BIN)/pytest -n 2 tests/unit

test-fidelity: test-unit
	$(BIN)/pytest -n 2 tests/fidelity

test-stack: test-fidelity
ifneq ($(STACK_TESTS),)
	$(BIN)/pytest -m "not long" $(STACK_TESTS)
endif

faults: setup-dev ## kill every process at several moments on both tapes (long)
	$(BIN)/pytest -s -m long tests/faults

fidelity: setup-dev ## print the fault matrix of both venues (in process, in virtual time)
	@$(BIN)/python -m tests.fidelity

mutants: setup-dev build/mutmut/locked ## break the core in every way and see its tests fail (long; FILES="streams/core/..." for some files)
	@$(BIN)/python -m tests.mutants $(FILES) $(if $(TESTS),--tests $(TESTS)) $(if $(FRESH),--fresh)

build/mutmut/locked: infra/local/locks/mutants.txt
	@rm -rf $(@D)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target $(@D) -r $<
	@touch $@

check: setup-dev ## style, types, and which room may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(BIN)/python -m infra.terraform.check

bench: setup ## measure this machine: books per second, latencies
	@$(BIN)/python -m bench

bench-peers: setup ## measure this machine's peers and ours in one run (see docs/benchmarks.md; long at first)
	@$(BIN)/python -m bench.peers

lock: setup-dev ## resolve again and rewrite every lock file in infra/local/locks
	@$(BIN)/python -m infra.local.lock

clean: ## remove the environment, run data and tool caches of this clone
	rm -rf .venv build data .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-cache: ## remove the downloaded and built parts shared by all clones of this user
	@$(PYTHON) infra/local/bootstrap.py --clean-cache
