# One way in: `make demo` runs the main job, `make test` proves it. Everything lives in .tools, .venv and build.
SHELL := /bin/sh
PYTHON ?= python3
UV := .tools/bin/uv
BIN := .venv/bin
STAMP := .venv/.ready
RAY := .venv/.ray
FOCUS := .venv-focus/.ready
CPSAT := .venv-cpsat/.ready
# One BLAS thread per process: our kernels and the test workers bring their own parallelism.
export OPENBLAS_NUM_THREADS := 1
# A city's network may have a certificate authority of its own: trust what the machine trusts.
export UV_SYSTEM_CERTS := 1

.PHONY: help setup demo test lint bench bench-clearing clean

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

# The extra `ray`, for the tests of that engine, which skip themselves without it. On top of what `setup` brought.
$(RAY): $(STAMP) requirements/ray.txt
	@if $(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/ray.txt; then \
	    touch $@; \
	else \
	    echo "test: Ray could not be installed, the tests of the engine ray will be skipped"; \
	fi

# Only an oracle of some tests, which skip themselves without it: what goes wrong here is said and stops nothing.
$(FOCUS): $(UV) requirements/focus.txt
	@rm -rf $(@D); \
	if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then \
	    echo "test: focus-validator needs Python 3.11, its tests will be skipped"; \
	elif $(UV) venv --quiet --python $(PYTHON) $(@D) && $(UV) pip sync --quiet --python $(@D)/bin/python \
	    --require-hashes --build-constraints requirements/focus.txt requirements/focus.txt; then \
	    touch $@; \
	else \
	    rm -rf $(@D); echo "test: focus-validator could not be installed, its tests will be skipped"; \
	fi

# Only a peer of the clearing benchmark, which says so where it is missing.
$(CPSAT): $(UV) requirements/cpsat.txt
	@rm -rf $(@D); \
	if $(UV) venv --quiet --python $(PYTHON) $(@D) && $(UV) pip sync --quiet --python $(@D)/bin/python \
	    --require-hashes requirements/cpsat.txt; then \
	    touch $@; \
	else \
	    rm -rf $(@D); echo "bench: CP-SAT could not be installed, the clearing is compared without it"; \
	fi

demo: setup  ## a realistic week for the eight hubs: clear, run, settle, report (NO_SERVE=1 ends without serving)
	$(BIN)/dujiang demo --out build/demo $(if $(NO_SERVE),--no-serve)

test: setup $(RAY) $(FOCUS)  ## the whole test suite, in parallel
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: setup  ## formatting, lint rules and strict types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup  ## speed and memory of everything, each as a ratio against a named peer or bound
	$(BIN)/python -m benchmarks.clearing --quick
	$(BIN)/python -m benchmarks.quotes
	$(BIN)/python -m benchmarks.reading
	$(BIN)/python -m benchmarks.policy
	$(BIN)/python -m benchmarks.fund
	$(BIN)/python -m benchmarks.risk
	$(BIN)/python -m benchmarks.lab

bench-clearing: setup $(CPSAT)  ## the clearing alone: its goals, simple rules, HiGHS and CP-SAT, the pricing pass
	$(BIN)/python -m benchmarks.clearing

clean:  ## remove everything that the targets above made
	rm -rf .venv .venv-focus .venv-cpsat .tools build .mypy_cache .ruff_cache .hypothesis
