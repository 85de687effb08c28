# Which Python runs a sample: STORES_PYTHON, else the one remembered by `make setup`, else the newest that works.
# `python3` alone may be older than 3.11 or a shim that only prints an error. Trying them takes some 0.3 s: hence the memory.
DATA_DIR ?= var
export DATA_DIR
HERE := $(dir $(lastword $(MAKEFILE_LIST)))
REMEMBERED = $(shell python=$$(cat "$(DATA_DIR)/python" 2>/dev/null) && [ -x "$$python" ] && echo "$$python")
NEWEST = $(shell cd "$(HERE).." && .ci/interpreters 2>/dev/null | head -n 1)
PYTHON ?= $(or $(STORES_PYTHON),$(REMEMBERED),$(NEWEST),python3)

# `make dev` in a fresh clone sets up by itself.
SETUP_IF_MISSING = [ -e "$(DATA_DIR)/python" ] || $(MAKE) -s setup

.PHONY: setup dev clean
setup:  ## make the data directory and what belongs into it; may be repeated
	@mkdir -p "$(DATA_DIR)"
	@"$(PYTHON)" . setup && command -v "$(PYTHON)" > "$(DATA_DIR)/python"

dev:  ## run it on 127.0.0.1:$PORT
	@$(SETUP_IF_MISSING)
	@exec "$(PYTHON)" -u . dev

clean:  ## forget everything
	rm -rf "$(DATA_DIR)"
