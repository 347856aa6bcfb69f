# `make demo` and `make test` do all set-up on a machine with Python 3.11+, Go and Maven.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: demo test lint parts soak bench cases lock schemas dashboards clean help

help:
	@echo 'make demo    show the main loop on a throwaway cluster (ARGS="--keep" or "--output json")'
	@echo 'make test    lint, types, layers and all tests on real parts'
	@echo 'make lint    lint, types and layers only'
	@echo 'make soak    chaos tests for SECONDS=600'
	@echo 'make bench   the figures (ONLY="name …" for some)'
	@echo 'make cases   docs/drift-cases.md, from what the engines say'
	@echo 'make lock    requirements.lock anew'
	@echo 'make schemas the JSON Schemas of the version under development'
	@echo 'make dashboards  what Grafana reads, from services/recorder/dashboards'
	@echo 'make clean   remove what make made here (not the cache of built parts)'

demo: $(VENV)/installed
	$(BIN)/setpoint demo $(ARGS)

test: lint parts
	$(BIN)/pytest $(ARGS)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Built before the tests, since the first build takes longer than a test may.
parts: $(VENV)/installed
	$(BIN)/python -m services.local.prepare

SECONDS ?= 600
soak: parts
	SETPOINT_SOAK_SECONDS=$(SECONDS) $(BIN)/pytest -s --timeout 0 tests/chaos $(ARGS)
	SETPOINT_KILLS=100 $(BIN)/pytest -s --timeout 0 tests/integration/test_recorder_killed.py

bench: parts
	ONLY="$(ONLY)" $(BIN)/python -m benchmarks $(ARGS)

cases: parts
	$(BIN)/python -m tests.cases.table

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Python 3.11 or newer is needed: name one with make PYTHON=python3.12'; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo 'Python has no venv module: on Debian, apt-get install python3-venv'; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

lock: $(VENV)/installed
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --python-version 3.11 \
	  --extra local --group dev pyproject.toml -o requirements.lock

schemas: $(VENV)/installed
	$(BIN)/python -m services.runtime.schemas_export

dashboards: $(VENV)/installed
	$(BIN)/python -m services.recorder.dashboards

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis benchmarks/out tests/out
