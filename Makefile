# Crossdock's commands. `make` alone lists them.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# What one may pass on: make demo KEEP=1 STORE=http, make test ARGS="-k glopal"
KEEP   ?=
STORE  ?=
ARGS   ?=

PACKAGES := models ledger clients stores tasks reports flows sandbox cli
CODE     := $(PACKAGES) $(wildcard benchmarks) tests
CHECKS   := check-lint check-format check-types check-layers check-dependencies check-deployments check-lock check-size

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export DO_NOT_TRACK := 1

.DEFAULT_GOAL := help
.PHONY: help install demo up test test-slow test-nightly check bench bench-full lock clean $(CHECKS)

help: ## List these commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## Install Crossdock and its locked dependencies into .venv

demo: install ## Land 200 simulated orders with faults on (KEEP=1 keeps it running, STORE=embedded|http)
	@$(BIN)/crossdock demo $(if $(filter-out 0,$(KEEP)),--keep) $(if $(STORE),--store $(STORE)) $(ARGS)

up: install ## Start a local Prefect server and serve the deployments of prefect.yaml
	@$(BIN)/crossdock serve $(ARGS)

test: install ## Run the tests
	@$(BIN)/python -m pytest $(ARGS)

test-slow: install ## Run the tests that need many seconds each
	@$(BIN)/python -m pytest -m slow $(ARGS)

test-nightly: install ## Run the longest suites: every step by every fault, many seeds, mutants
	@$(BIN)/python -m pytest -m nightly $(ARGS)

check: install ## Run every static check; all are run, even when one fails
	@$(MAKE) --no-print-directory --keep-going $(CHECKS)

bench: install ## Measure Crossdock beside a bare loop and the naive Prefect way
	@$(BIN)/python -m benchmarks $(ARGS)

bench-full: install ## The same, peak memory up to 20,000 orders, and long histories (half an hour)
	@$(BIN)/python -m benchmarks --memory --full-history $(ARGS)

lock: install ## Compile requirements.lock anew from pyproject.toml (UPGRADE=1 takes newer versions)
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	    --group dev $(if $(filter-out 0,$(UPGRADE)),--upgrade) pyproject.toml --output-file requirements.lock >/dev/null
	@$(MAKE) --no-print-directory check-lock

clean: ## Remove the virtual environment and all caches (never .crossdock/, which holds the ledger)
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The parts of `make check`.

check-lint:
	@echo "== ruff: lint"
	@$(BIN)/ruff check --quiet .

check-format:
	@echo "== ruff: format"
	@$(BIN)/ruff format --check --quiet --output-format concise . || { echo "mend with: $(BIN)/ruff format ."; exit 1; }

check-types:
	@echo "== mypy: types"
	@$(BIN)/mypy --strict --no-error-summary $(CODE)

check-layers:
	@echo "== import-linter: who may import whom"
	@out=$$($(BIN)/lint-imports --no-cache 2>&1) || { printf '%s\n' "$$out"; exit 1; }

check-dependencies:
	@echo "== deptry: declared and used dependencies"
	@out=$$($(BIN)/deptry . --no-ansi 2>&1) || { printf '%s\n' "$$out"; exit 1; }

check-deployments:
	@echo "== prefect.yaml: keys, schedules, triggers, parameters"
	@$(BIN)/python -m cli.lint_prefect prefect.yaml

check-lock:
	@echo "== requirements.lock: no addresses (docs/decisions/0001)"
	@! grep -nE '[a-z+]+://|^ *--(index|extra-index|find-links|trusted)|^[A-Za-z0-9._-]+ *@' requirements.lock

check-size:
	@echo "== no Python file over 400 lines"
	@find $(CODE) -name '*.py' -exec awk 'END { if (NR > 400) print FILENAME ": " NR " lines; split it" }' {} \; \
	    | { ! grep .; }

# Installing. Two stamps, so that a change to pyproject.toml alone does not read the whole lock again.
# --no-deps: the lock is complete, and pip would else look for a newer version of anything asked for with an extra.

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@out=$$($(BIN)/python -m pip check 2>&1) || { printf '%s\n' "$$out"; exit 1; }
	@touch $@

$(VENV)/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Crossdock needs Python 3.11 or newer, and '$(PYTHON)' is older: make install PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "Python could not make a virtual environment: install its venv module (on Debian: python3-venv)" >&2; exit 1; }
	@echo "Installing the locked dependencies into $(VENV) (a minute or two the first time) ..."
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	@touch $@
