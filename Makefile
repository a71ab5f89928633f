# Every target sets up its own virtual environment on a fresh machine; `make test` is all there is to know.
# `make report` needs the core only (about 0.5 GB); everything else the tools of development, torch among them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
CORE   := $(VENV)/.core
STAMP  := $(VENV)/.installed
OTHERS := $(VENV)/.foreign
PIP    := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar on --editable
ARGS   ?=

# The tests start some sixty processes: each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help test report check check-report lint types bench heavy foreign gpu
help:
	@echo "make test    the tests (about 2 minutes);    make heavy   the long ones (about 25 minutes)"
	@echo "make report  regenerate the error analysis;  make check   lint, types, report unchanged"
	@echo "make bench   measure what is claimed fast;   make gpu     the same on a GPU, at most 8 minutes"
	@echo "make foreign the packages whose samplers the long tests judge, into $(VENV)"
	@echo "ARGS=...     passed on, e.g. make test ARGS='-k words'"

$(CORE): pyproject.toml
	@echo "setting up $(VENV), once: NumPy, SciPy, SymPy, Matplotlib; about 0.5 GB, a minute or two"
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(PIP) .
	touch $@

$(STAMP): pyproject.toml
	@echo "setting up $(VENV), once: torch and the tools of development; about 1.4 GB, some minutes"
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(PIP) '.[dev]'
	touch $(CORE) $@

# Their samplers are judged by the long tests. What k-diffusion asks for and sampling does not need is gigabytes.
$(OTHERS): $(STAMP)
	@echo "adding to $(VENV): k-diffusion and OpenMM, whose samplers are judged; 30 MB"
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps \
	  'k-diffusion==0.1.1.post1' 'openmm==8.6.1' 'torchdiffeq>=0.2.5,<0.3'
	touch $@

foreign: $(OTHERS)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

heavy: $(OTHERS)
	$(BIN)/python -m pytest -m heavy -n 2 --dist worksteal $(ARGS)

bench: $(STAMP)
	for bench in tests/benchmarks/bench_*.py; do \
	  $(BIN)/python -m tests.benchmarks.$$(basename $$bench .py) || exit 1; \
	done

gpu: $(STAMP)
	$(BIN)/python -m reports.experiments.gpu $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

report: $(CORE)
	$(BIN)/splitting-analysis report $(ARGS)

check-report: $(CORE)
	$(BIN)/splitting-analysis report --quick --check

check: lint types check-report
