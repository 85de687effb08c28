# Every target is a line or two that calls a real tool. `make dev` and `make test` need nothing but Python >= 3.11, git and make.
.DEFAULT_GOAL := help
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Tests start processes and wait for them: twice as many workers as a small laptop has cores keep it busy, not more
WORKERS ?= 4
export WORKERS

# What checks a page's accessibility; it is no part of this repository, and tests that need it say so where it is absent
AXE     = $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/stores-tests

.PHONY: help setup dev test test-browser test-oldest lint format bench lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## build .venv from the lock (the network is used once)

$(STAMP): requirements.lock pyproject.toml
	@python=$$(.ci/interpreters | head -n 1); \
	if [ -z "$$python" ]; then \
	  echo "No Python >= 3.11 that can make a virtual environment was found." >&2; \
	  echo "  Debian, Ubuntu:  sudo apt install python3 python3-venv" >&2; \
	  echo "  macOS:           brew install python@3.13" >&2; exit 1; fi; \
	.ci/venv "$$python" $(VENV)
	@touch $@

dev: $(STAMP)  ## start the sample remote environment and `stores run netshop reserve`
	@$(BIN)/python examples/remote -- $(BIN)/stores run netshop reserve

test: $(STAMP)  ## run the whole test suite
	$(BIN)/python -m pytest -n $(WORKERS)

test-oldest: $(STAMP)  ## run the suite on the oldest working interpreter too, if that is another one
	.ci/test-oldest

test-browser: $(STAMP)  ## run what drives a headless Chromium: installs stock apps of Vite, Next.js, Django, … and axe-core into a cache folder, once
	@test -d $(AXE)/node_modules/axe-core || npm install --no-save --no-audit --no-fund --prefix $(AXE) axe-core@4
	.ci/test-browser

lint: $(STAMP)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## measure, beside peers, and write the tables that docs/ includes
	$(BIN)/python -m bench

lock:  ## make requirements.lock anew (needs uv)
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	  --python-version 3.11 pyproject.toml --group dev --extra nats --extra redis --output-file requirements.lock --upgrade

clean:  ## remove what make built here (never the state of a running system: that is `stores down`)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache dist
