# Forewarn's recipes. `make run` and `make test` each work alone on a bare machine that has
# Python 3.11 to 3.13 and make; everything else they need they install into .venv.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,13))' \
	2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
SOURCES := forewarn.py data features models training serving experiments tests

# No telemetry, no pickle, and threads that wait asleep: on a busy machine LightGBM's threads
# would otherwise spin away the cores they wait for. The same for every recipe.
export BENTOML_DO_NOT_TRACK := True
export MLFLOW_DISABLE_TELEMETRY := true
export OMP_WAIT_POLICY := PASSIVE
export MLFLOW_ALLOW_PICKLE_DESERIALIZATION := false
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup assets run test lint check format lock clean

help:  ## list the recipes
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# without npm all but the console works, and it says what it lacks
setup: .venv/.installed  ## only install
	@$(MAKE) --no-print-directory assets || true

.venv/.installed: requirements-uv.lock requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "expected Python 3.11 to 3.13 on PATH, found none; fix: install one, or make PYTHON=/path/to/python"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

VENDOR := serving/console/static/vendor/versions.json
assets: $(VENDOR)  ## fetch the libraries that the console's pages load (needs Node.js with npm)

$(VENDOR): serving/console/package-lock.json serving/console/vendor.mjs
	@command -v npm >/dev/null || { echo "the console is not built: expected npm on PATH, found none; fix: install Node.js with npm, then make assets"; exit 2; }
	cd serving/console && npm ci --loglevel=error && npm run --silent vendor

run: setup  ## simulated city, features, tuned models, service and live stream; Ctrl-C stops all
	$(BIN)/forewarn demo

test: setup  ## the whole test suite
	$(BIN)/pytest -n 2 --dist loadfile

lint: setup  ## style, types, layers
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## all that CI runs

format: setup  ## mend what a tool can mend
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

# Universal locks (3.11 to 3.13, Linux and Apple silicon) with hashes and no index addresses.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header
lock: setup  ## renew the lock files within the bounds of pyproject.toml
	$(COMPILE) --all-extras pyproject.toml -o requirements.lock
	cp requirements.lock requirements-serving.lock  # what stands in the output is preferred
	$(COMPILE) --extra serving pyproject.toml -o requirements-serving.lock
	cp requirements.lock requirements-uv.lock
	echo "uv" | $(COMPILE) - -o requirements-uv.lock

clean:  ## remove the environment and all that runs made (var/ holds your keys and history!)
	rm -rf .venv var .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
