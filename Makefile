# The few things one does with a checkout; `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
# Test processes at the same time; a file's tests stay in one of them.
WORKERS ?= auto
# Shared data sets lie beside the checkout where there are any; tests that need them skip elsewhere.
export TEST_DATA ?= $(abspath $(wildcard ../shared/data))

.DEFAULT_GOAL := help
.PHONY: help demo serve test lint bench docs clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/'

demo: .venv/demo ## fit, calibrate and score real pictures over HTTP; write demo-output/demo.png
	@$(BIN)/python -m demo

serve: .venv/demo ## serve console and API on http://127.0.0.1:8000 (docs at /docs)
	@$(BIN)/gatewatch serve

test: .venv/dev lint ## check style, types and layers, then run all tests with coverage
	$(BIN)/coverage erase
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --cov

lint: .venv/dev ## check style, types and layers only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/oxlint --deny-warnings app/console
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/dev ## measure detection on a folder: make bench SET=path/to/set
	$(BIN)/gatewatch bench $(SET) --out bench-output

docs: .venv/dev ## build the documentation in site/, its reference from the code
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean: ## remove the environment and everything made
	rm -rf .venv demo-output bench-output dist site .coverage* .mypy_cache .ruff_cache .import_linter_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gatewatch needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[demo]'
	@touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
