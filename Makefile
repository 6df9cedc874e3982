# Everything one does with a checkout. Needs Python 3.11 or later with its venv module, make, and a package index
# that pip reaches by its own settings; everything else is installed into .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SEEDS  ?= 1 2 3
PIP    := $(BIN)/python -m pip --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.PHONY: help demo test fmt lint types imports chaos bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.service ## Start the service, run an example workflow on it over REST, watch it, stop again
	@$(BIN)/python examples/demo/demo.py

test: $(VENV)/.checks lint types ## Format, lint, types, import rules, all tests
	$(BIN)/python -m pytest -n 2

fmt: $(VENV)/.checks ## Format the code and sort its imports
	$(BIN)/ruff check --select I --fix --quiet
	$(BIN)/ruff format

lint: $(VENV)/.checks ## Check format and style
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.checks ## Check types
	$(BIN)/mypy

imports: $(VENV)/.checks ## Check which part imports which
	$(BIN)/python -m pytest tests/architecture

chaos: $(VENV)/.checks ## Kill, freeze and cut off what runs a cluster, under load, for the seeds in SEEDS
	$(BIN)/python -m pytest -s tests/chaos tests/galera/test_service.py $(addprefix --chaos-seed=,$(SEEDS))

bench: $(VENV)/.service ## Measure throughput and latency on this machine
	@$(BIN)/python -m bench.main_job

clean: ## Remove the environment and everything that tools left
	rm -rf $(VENV) .venv-keystone .venv-keystone.lock .mypy_cache .ruff_cache .pytest_cache .hypothesis build src/*.egg-info

# Each stamp stands for an installation that follows from pyproject.toml as it is.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Python 3.11 or later is needed; name one with: make PYTHON=python3.12 …' >&2; exit 1; }
	@echo 'Creating $(VENV)'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.service: $(VENV)/.python pyproject.toml
	@echo 'Installing Tramontane and the libraries that it needs'
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.checks: $(VENV)/.service
	@echo 'Installing what the tests need'
	@$(PIP) install --group test
	@touch $@
