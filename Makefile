# Two commands: `make demo` (a study from config to figure) and `make test` (everything CI runs).
# Each sets up .venv by itself.
# TORCH_INDEX=<url> takes torch from that package index first (docs/gpu.md).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
BUDGET := 30m
# Four workers on two cores, since tests that talk to servers and schedulers mostly wait. They begin
# with what tests/workers.py puts first.
WORKERS := -n 4 --dist loadgroup --no-loadscope-reorder
TORCH := torch>=2.11,<2.14
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
INSTALL_TORCH = $(if $(TORCH_INDEX),$(PIP) --index-url $(TORCH_INDEX) '$(TORCH)')
PEERS := 'neural-tangents==0.6.5' 'jax[cpu]==0.4.30' 'numpy<2' 'scipy<1.14'
export OMP_NUM_THREADS ?= 1

.PHONY: demo slurm-demo reproduce test test-all test-busy test-oldest test-newest lint docs bench \
  clean help

help:
	@echo "make demo        run sweeps/bfc_sample_complexity.yaml in its small form and draw the"
	@echo "                 figure (about 3 minutes on 2 cores)"
	@echo "make reproduce   judge the claims of the papers within 30 minutes (BUDGET=4h,"
	@echo "                 BUDGET=full: longer) and write the page"
	@echo "make slurm-demo  a launch on a real SLURM of four virtual nodes on this machine, from"
	@echo "                 plan to report (root, Debian; 2 minutes)"
	@echo "make test        lint (ruff, imports, types) and the test suite, large product batteries"
	@echo "                 sampled"
	@echo "make test-all    the same with everything"
	@echo "make test-busy   the suite beside four busy loops"
	@echo "make test-oldest the suite with the oldest versions of all dependencies; names what broke"
	@echo "                 make test-newest: the newest that pyproject.toml allows"
	@echo "make docs        the documentation as a site, build/site/index.html (2 minutes)"
	@echo "make bench       all benchmarks next to their peers (JAX, scikit-learn, neural-tangents),"
	@echo "                 figures into benchmarks/results (about 12 minutes)"
	@echo "make clean       remove .venv and $(DEMO)"

demo: $(VENV)/installed
	$(BIN)/python -m bfc.train -m +sweeps=bfc_sample_complexity study.size=demo results=$(DEMO)/results
	$(BIN)/python -m analysis.report $(DEMO)/results -o $(DEMO)/report --formats png

slurm-demo: $(VENV)/installed
	$(BIN)/python -m benchmarks.slurm_demo

reproduce: $(VENV)/installed
	$(BIN)/bfc reproduce --budget $(BUDGET)

test: $(VENV)/installed-test lint
	$(BIN)/python -m pytest $(WORKERS)

test-all: $(VENV)/installed-test lint
	$(BIN)/python -m pytest $(WORKERS) --exhaustive

# The suite beside four busy loops: no test may depend on how fast or how busy the machine is.
test-busy: $(VENV)/installed-test
	$(BIN)/python tests/beside_busy_loops.py $(WORKERS)

# OVERRIDE="--override torch==2.13.0+cpu" takes another version of one package.
test-oldest: $(VENV)/installed-test
	$(BIN)/python tests/dependency_bounds.py oldest $(OVERRIDE) $(WORKERS)

test-newest: $(VENV)/installed-test
	$(BIN)/python tests/dependency_bounds.py newest $(OVERRIDE) $(WORKERS)

lint: $(VENV)/installed-test
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m mypy

# Strict: every link and every reference in a docstring must lead somewhere.
docs: $(VENV)/installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Ratios beside peers, each in one run; neural-tangents needs an older jax and numpy, hence an
# environment of its own.
bench: $(VENV)/installed-bench .venv-peers/installed
	$(BIN)/python -m benchmarks.training --seconds 1.5
	$(BIN)/python -m benchmarks.kernels
	$(BIN)/python -m benchmarks.sweep
	$(BIN)/python -m benchmarks.fusion
	$(BIN)/python -m benchmarks.stacks
	$(BIN)/python -m benchmarks.products
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.cost
	$(BIN)/python -m benchmarks.procedures --repeats 20 --json benchmarks/results

$(VENV)/bin/python:
	@command -v git >/dev/null \
	  || { echo "bfc: git is missing; install it (Debian: apt-get install git)"; exit 1; }
	@command -v $(PYTHON) >/dev/null \
	  || { echo "bfc: $(PYTHON) is missing; install Python 3.11 or newer, or set PYTHON=<path>"; \
	       exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "bfc: $(PYTHON) is too old; Python 3.11 or newer is needed, set PYTHON=<path>"; \
	       exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' \
	  || { echo "bfc: Python's venv is missing; install it (Debian: apt-get install python3-venv)"; \
	       exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(INSTALL_TORCH)
	$(PIP) -e .
	@touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/python
	$(INSTALL_TORCH)
	$(PIP) -e '.[test,docs]'
	@touch $@ $(VENV)/installed

$(VENV)/installed-bench: pyproject.toml | $(VENV)/bin/python
	$(INSTALL_TORCH)
	$(PIP) -e '.[test,docs,bench]'
	@touch $@ $(VENV)/installed $(VENV)/installed-test

.venv-peers/installed:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install -q --disable-pip-version-check $(PEERS)
	@touch $@

clean:
	rm -rf $(VENV) .venv-peers .venv-oldest .venv-newest $(DEMO)
