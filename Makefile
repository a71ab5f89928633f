# Every target sets up its own virtual environment on a fresh machine; `make test` is all there is to know.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=

.PHONY: help test report check check-report lint types bench heavy
help:
	@echo "make test    the tests (under 3 minutes);    make heavy   the long ones"
	@echo "make report  regenerate the error analysis;  make check   lint, types, report unchanged"
	@echo "make bench   measure what is claimed fast;   ARGS=...     passed on, e.g. make test ARGS='-k words'"

$(STAMP): pyproject.toml
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 $(ARGS)

heavy: $(STAMP)
	$(BIN)/python -m pytest -m heavy $(ARGS)

bench: $(STAMP)
	for bench in tests/benchmarks/bench_*.py; do \
	  $(BIN)/python -m tests.benchmarks.$$(basename $$bench .py) || exit 1; \
	done

lint: $(STAMP)
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

report: $(STAMP)
	$(BIN)/splitting-analysis report $(ARGS)

check-report: $(STAMP)
	$(BIN)/splitting-analysis report --quick --check

check: lint types check-report
