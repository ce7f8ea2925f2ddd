# One way in: `make demo` runs the main job, `make test` proves it. Everything lives in .tools, .venv and build.
SHELL := /bin/sh
PYTHON ?= python3
UV := .tools/bin/uv
BIN := .venv/bin
STAMP := .venv/.ready
# One BLAS thread per process: our kernels and the test workers bring their own parallelism.
export OPENBLAS_NUM_THREADS := 1

.PHONY: help setup demo test lint bench clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: $(STAMP)  ## prepare .venv from the locked requirements, and nothing else

$(UV): requirements/uv.txt
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { echo "setup: pip is missing, installing python3-pip"; apt-get -qq update && apt-get -qq install -y python3-pip >/dev/null; }
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --upgrade \
	    --require-hashes --target .tools -r requirements/uv.txt
	@touch $@

$(STAMP): $(UV) requirements/lock.txt pyproject.toml
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/lock.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: setup  ## a realistic week for the eight hubs: clear, run, settle, report (NO_SERVE=1 ends without serving)
	$(BIN)/dujiang demo --out build/demo $(if $(NO_SERVE),--no-serve)

test: setup  ## the whole test suite, in parallel
	$(BIN)/python -m pytest -n auto

lint: setup  ## formatting, lint rules and strict types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup  ## speed and memory, each as a ratio against a named peer or bound
	$(BIN)/python -m benchmarks.clearing

clean:  ## remove everything that the targets above made
	rm -rf .venv .tools build .mypy_cache .ruff_cache .hypothesis
