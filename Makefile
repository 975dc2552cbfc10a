# Run `make help` for the list of targets.
.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

UV_VERSION := $(shell sed -n 's/.* uv_version = "\(.*\)".*/\1/p' extensions/pins.jinja)
COPIER_VERSION := $(shell sed -n 's/.*"copier==\(.*\)".*/\1/p' pyproject.toml)
UV := $(or $(shell command -v uv),.tools/bin/uv)
# If the home directory is not writable, uv keeps its Python in this folder and uses no cache.
ifneq ($(shell test -w "$${HOME-}" && echo writable),writable)
UV_NO_CACHE := 1
UV_PYTHON_INSTALL_DIR ?= $(CURDIR)/.tools/python
export UV_NO_CACHE UV_PYTHON_INSTALL_DIR
endif
COPIER := .tools/copier-$(COPIER_VERSION)/bin/copier
export DEST
ARGS ?=
RUNS ?= 45
SEED ?= 0
# The tests need uv on the path; if the machine has none, it is in .tools.
PYTEST := PATH="$$PATH:$(CURDIR)/.tools/bin" .venv/bin/pytest

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Copier records this folder as the source of the project, and only this machine has it. The address
# of the origin takes its place, without a password, if the origin has the same files.
define RECORD_ORIGIN
address=$$(git remote get-url origin 2>/dev/null | sed -E 's,^(https?://)[^/]*@,\1,') || address=; \
case "$$address" in \
  file://* | /* | .*) address= ;; \
  git@* | *://*.git | https://github.com/* | https://gitlab.com/*) ;; \
  *:*) address="git+$$address" ;; \
  *) address= ;; \
esac; \
answers="$$DEST/.copier-answers.yml"; \
commit=$$(sed -n "s/^_commit: //p" "$$answers" 2>/dev/null | tr -d "'") || commit=HEAD; \
reason=; \
if [ -z "$$address" ] || [ -n "$$(git rev-parse --show-prefix)" ]; then reason="this checkout has no origin with an address"; \
elif [ -n "$$(git status --porcelain)" ]; then reason="this checkout has uncommitted changes"; \
elif [ -z "$$(git for-each-ref --count=1 --contains "$$commit" refs/remotes/origin 2>/dev/null)" ]; then reason="the origin of this checkout lacks the commit"; fi; \
if [ -n "$$reason" ]; then \
  echo "Only this machine can update the project: it records $(CURDIR), because $$reason. See docs/update.md of this checkout." >&2; \
elif [ -f "$$answers" ]; then \
  ADDRESS="$$address" awk '/^[^ ]/ {old = /^_src_path:/; if (old) print "_src_path: " ENVIRON["ADDRESS"]} !old' "$$answers" >"$$answers.new"; \
  mv "$$answers.new" "$$answers"; \
fi
endef

.PHONY: new
new: $(if $(DEST),$(COPIER)) ## Make a project: make new DEST=../my-project
	@[ -n "$$DEST" ] || { echo 'Set the new folder: make new DEST=../my-project' >&2; exit 2; }
	@[[ "$$DEST" != "~"* ]] || { echo "The shell took $$DEST for a plain name. Write the path of your home folder in full." >&2; exit 2; }
	@[ -d "$$DEST" ] || [ ! -e "$$DEST" ] || { echo "$$DEST is a file. Set a new folder: make new DEST=../my-project" >&2; exit 2; }
	@command -v git >/dev/null || { echo "Install git, then run make again." >&2; exit 1; }
	@$(COPIER) copy $(if $(filter -r --vcs-ref --vcs-ref=%,$(ARGS)),,--vcs-ref HEAD) $(ARGS) "$(CURDIR)" "$$DEST"
	@$(RECORD_ORIGIN)

$(COPIER): | $(UV)
	@echo "Fetching Copier $(COPIER_VERSION) into .tools"
	@$(UV) venv --quiet --clear --python '>=3.10' .tools/copier-$(COPIER_VERSION)
	@$(UV) pip install --quiet --python .tools/copier-$(COPIER_VERSION) copier==$(COPIER_VERSION) \
	  || { echo "Connect to the network, then run make again." >&2; exit 1; }

# The link comes last, so that make runs an interrupted download again.
.tools/bin/uv:
	@python3 -m venv --clear .tools/uv \
	  || { echo "Install uv, or Python 3 with its venv module (Debian: python3-venv), then run make again." >&2; exit 1; }
	@.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) \
	  || { echo "Install uv, or connect to the network, then run make again." >&2; exit 1; }
	@mkdir -p .tools/bin
	@ln -sf ../uv/bin/uvx .tools/bin/uvx
	@ln -sf ../uv/bin/uv $@

.PHONY: setup
setup: .venv/installed ## Install the tools of the tests into .venv

.venv/installed: requirements-dev.txt | $(UV)
	@echo "Installing the tools of the tests into .venv"
	@rm -rf .venv
	@$(UV) venv --quiet .venv
	@$(UV) pip sync --quiet --python .venv --require-hashes requirements-dev.txt
	@touch $@

.PHONY: test
test: setup ## Run all tests: make test SHARD=1/4 FRESH=1 (repeat passed checks)
	$(PYTEST) --numprocesses auto --dist loadgroup $(ARGS)

.PHONY: test-fast
test-fast: setup ## Run the tests that do not run a generated project
	$(PYTEST) --numprocesses auto --dist loadgroup -m "not slow" $(ARGS)

.PHONY: test-update
test-update: setup ## Update random projects, and kill updates: make test-update RUNS=1000
	RUNS=$(RUNS) SEED=$(SEED) $(PYTEST) --numprocesses auto $(addprefix tests/updating/,test_random.py test_kills.py test_year.py) $(ARGS)

.PHONY: start-page
start-page: setup ## Build the start page: make start-page ADDRESS=https://… FROM=v1.0.0
	.venv/bin/python -m start_page.build --address "$${ADDRESS-}" --from "$${FROM-}"

.PHONY: picture
picture: start-page ## Take the README's picture of the start page
	.venv/bin/python -m start_page.picture

.PHONY: lint
lint: setup ## Check code style and format with Ruff and Black
	.venv/bin/ruff check .
	.venv/bin/black --check .

.PHONY: format
format: setup ## Fix lint errors and reformat
	.venv/bin/ruff check --fix .
	.venv/bin/black .

.PHONY: bench
bench: setup ## Measure the figures of docs/speed.md
	.venv/bin/python -m tests.maintenance.bench $(ARGS)

.PHONY: docs
docs: setup ## Build the website from docs/; a broken link is an error
	@.venv/bin/python -m tests.maintenance.website

.PHONY: session
session: setup ## Record docs/first-five-minutes.md again
	@.venv/bin/python -m tests.maintenance.session

.PHONY: release
release: setup ## Release the commit on main: make release VERSION=1.0.0
	@[ -n "$${VERSION-}" ] || { echo 'Set the version: make release VERSION=1.0.0' >&2; exit 2; }
	@.venv/bin/python -m tests.maintenance.release "$$VERSION"

.PHONY: release-diff
release-diff: setup ## Compare a project of two versions: make release-diff FROM=v1.0.0 TO=main
	@[ -n "$${FROM-}" ] || { echo 'Set the versions: make release-diff FROM=v1.0.0 TO=main' >&2; exit 2; }
	@.venv/bin/python -m tests.maintenance.release_diff "$$FROM" "$${TO:-HEAD}" $(ARGS)

.PHONY: lock
lock: setup ## Recompile all lock files: make lock ARGS=--upgrade
	@echo "Compiling requirements-dev.txt, and the lock files of the generated projects"
	@$(UV) pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-annotate --custom-compile-command "make lock" $(ARGS) --group dev --output-file requirements-dev.txt pyproject.toml
	@.venv/bin/python -m tests.maintenance.lock $(ARGS)
	@.venv/bin/python -m tests.maintenance.npm_lock
