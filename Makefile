# `make demo` and `make test` set everything up by themselves. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup run demo test check bench system clean

help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## the virtual environment with everything in it

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "orchtax needs Python 3.11 or newer; set PYTHON=…"; exit 1; }
	@echo "setting up $(VENV) (a few minutes the first time: the embedded engine is a large download)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: $(STAMP) ## serve with ./orchtax.yaml, or the built-in defaults
	$(BIN)/orchtax serve

demo: $(STAMP) ## five demo fleets through the proxy, their tax side by side, and the page
	$(BIN)/orchtax demo

system: ## Debian packages that tests need (a browser); needs root where they are missing
	@sh tests/system.sh

test: $(STAMP) system ## all checks and all tests
	$(MAKE) check
	$(BIN)/pytest

check: $(STAMP) ## lint, format, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP) ## latency, throughput and memory beside direct and beside a bare pass-through, in one run
	$(BIN)/python -m tests.bench

clean: ## remove what setup and runs made
	rm -rf $(VENV) .orchtax build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
