# Needs nothing beforehand but Python >= 3.11, git and make. Every target sees to .venv first.

SHELL := /bin/bash
# The first Python that is new enough; `make PYTHON=/path/to/python3 ...` takes another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
BIN := .venv/bin
READY := .venv/.ready
# More for pytest, as in `make test PYTEST_ARGS="tests/graph -x"`.
PYTEST_ARGS ?=
# Tests mostly wait for servers, each worker for its own.
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test lint format docs bench cluster cluster-down constraints clean

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1 \2/p' Makefile | \
	while read -r target what; do printf '  make %-13s %s\n' "$$target" "$$what"; done

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 found; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(READY)  ## the redis and backend story, in a sandbox
	$(BIN)/gitsync demo

test: $(READY)  ## all tests (the first run builds the test control plane; that takes minutes)
	$(BIN)/python -m tests.controlplane build
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: $(READY)  ## ruff, mypy, import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## let ruff put the code in shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(READY)  ## write docs/settings.md anew from the settings
	$(BIN)/python -m gitsync.settings > docs/settings.md.new
	mv docs/settings.md.new docs/settings.md

bench: $(READY)  ## the benchmarks of docs/benchmarks.md
	$(BIN)/python -m bench

cluster: $(READY)  ## build what is missing of a real control plane and start it; .cluster/kubeconfig
	$(BIN)/python -m tests.controlplane up

cluster-down: $(READY)  ## stop that control plane again
	$(BIN)/python -m tests.controlplane down

constraints: $(READY)  ## write constraints.txt anew from what .venv holds
	{ sed -n '/^#/p' constraints.txt; \
	  $(BIN)/python -m pip list --disable-pip-version-check --format=freeze --exclude-editable --exclude pip --exclude setuptools; \
	} > constraints.txt.new
	mv constraints.txt.new constraints.txt
	touch $(READY)

clean:  ## remove .venv and what the tools left behind
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
