# `make run` and `make test` set everything up on a fresh machine: Python 3.11 or later and make are enough.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
READY := $(VENV)/.ready
# What genotune is measured beside lives apart: it brings other versions along.
BENCH_VENV := .venv-bench
BENCH_READY := $(BENCH_VENV)/.ready
PEERS := tangermeme genvarloader
BENCHMARKS := read_tracks feed_windows train_step

# A file of tests stays in one process, and as many files run at once as there are CPUs (at most 8: each may start a Ray).
JOBS ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 8))')
PYTEST := $(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: run test test-slow check format bench clean
.DELETE_ON_ERROR:

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("genotune needs Python 3.11 or later; name one with: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: $(READY)
	$(VENV)/bin/genotune run search_spaces/cnn.yaml

test: check
	$(PYTEST) -m 'not slow and not gpu'

test-slow: $(READY)
	$(PYTEST) -m 'slow and not gpu'

check: $(READY)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

format: $(READY)
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

$(BENCH_READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@for peer in $(PEERS); do \
	  $(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check $$peer \
	    || echo "$$peer doesn't install here; the benchmarks go on without it."; \
	done
	@touch $@

bench: $(BENCH_READY)
	@for name in $(BENCHMARKS); do $(BENCH_VENV)/bin/python benchmarks/$$name.py || exit 1; done

clean:
	rm -rf $(VENV) $(BENCH_VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
