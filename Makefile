# Run `make help` for the list of targets.
.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

UV_VERSION := 0.13.9
COPIER_VERSION := 9.19.1
UV := $(or $(shell command -v uv),.tools/bin/uv)
ARGS ?=

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: new
new: .tools/copier/bin/copier ## Make a project: make new DEST=../my-project ARGS="--defaults -d use_redis=true"
	@[ -n "$(DEST)" ] || { echo 'Say where: make new DEST=../my-project' >&2; exit 2; }
	@.tools/copier/bin/copier copy --vcs-ref HEAD $(ARGS) "$(CURDIR)" "$(DEST)"

.tools/copier/bin/copier: | $(UV)
	$(UV) venv --quiet --clear .tools/copier
	$(UV) pip install --quiet --python .tools/copier copier==$(COPIER_VERSION)

.tools/bin/uv:
	@python3 -m venv .tools || { echo "Install uv, or Python's venv module (Debian: python3-venv)." >&2; exit 1; }
	.tools/bin/python -m pip install --quiet uv==$(UV_VERSION)

.PHONY: setup
setup: .venv/installed ## Install what the tests need into .venv

.venv/installed: requirements-dev.txt | $(UV)
	$(UV) venv --quiet --clear
	$(UV) pip sync --quiet --require-hashes requirements-dev.txt
	@touch $@

.PHONY: test
test: setup ## Run every test
	.venv/bin/pytest --numprocesses auto $(ARGS)

.PHONY: test-fast
test-fast: setup ## Run the tests that need no delivered project to run
	.venv/bin/pytest --numprocesses auto -m "not slow" $(ARGS)

.PHONY: lint
lint: setup ## Check the style and format of the tests
	.venv/bin/ruff check .
	.venv/bin/black --check .

.PHONY: format
format: setup ## Mend the style and format of the tests
	.venv/bin/ruff check --fix .
	.venv/bin/black .

.PHONY: bench
bench: setup ## Measure what the documentation says about speed
	.venv/bin/python tests/bench.py

.PHONY: lock
lock: setup ## Pin the delivered packages and our own again: make lock ARGS=--upgrade
	$(UV) pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-annotate --custom-compile-command "make lock" $(ARGS) --group dev --output-file requirements-dev.txt pyproject.toml
	.venv/bin/python tests/lock.py $(ARGS)
