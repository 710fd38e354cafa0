# Two commands: `make run` and `make test`. Both need Python >= 3.11, a C compiler and make; nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/installed
# The demo is timed last: it refuses when its results are there already.
BENCHMARKS = $(filter-out bench/hardware.py bench/demo.py,$(sort $(wildcard bench/*.py))) bench/demo.py

.DEFAULT_GOAL := help
.PHONY: help run steps test lint docs bench clean

help:
	@echo 'make run     install into $(VENV), run the demo on all cores, print where the report is'
	@echo 'make test    install into $(VENV), check style and types, run all tests'
	@echo 'make lint    the checks of style and types alone'
	@echo 'make docs    the documentation as pages that open offline, site/index.html'
	@echo 'make bench   the benchmarks, printed side by side'
	@echo 'make clean   remove $(VENV) and the tools'\'' caches; results and data sets stay'
	@echo
	@echo 'PYTHON=/path/to/python3.12 chooses the Python that $(VENV) is made of.'

run: steps $(READY)
	@$(BIN)/snakemake --cores all

steps:
	@echo '1. Install into $(VENV), unless that is done: about a minute, and more where the network is slow.'
	@echo '2. Train, measure and draw the experiment of config/config.yaml: for the demo, a few minutes on two cores.'
	@echo '3. Print the answer and where the report is. Ctrl-C stops; the same command goes on from there.'

# One thread per process: the processes already use every core.
test: export OMP_NUM_THREADS := 1
test: lint
	@$(BIN)/pytest --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

lint: $(READY)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/snakefmt --check Snakefile workflow
	@$(BIN)/snakemake --lint
	@$(BIN)/mypy

# Always anew, and nothing but whole: a link or an anchor that leads nowhere is an error.
docs: $(READY)
	@rm -rf site
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --doctree-dir site/.doctrees -c docs . site
	@echo 'The documentation is $(CURDIR)/site/index.html'

bench: $(READY)
	@for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build site .hypothesis src/*.egg-info
	@find . -name __pycache__ -type d -not -path './results/*' -not -path './datasets/*' -prune -exec rm -rf {} +

# The stamp is written last: an interrupted installation is taken up again by the next call.
$(READY): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "infoplane needs Python 3.11 or newer, and '$(PYTHON)' is not: say make PYTHON=/path/to/python3.11" >&2; \
	    exit 1; }
	@echo 'Installing into $(VENV): once, a few minutes; most of it is PyTorch.'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@
