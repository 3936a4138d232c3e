# Everything works on a fresh machine with Python >= 3.10 (with venv) and make.
# Overridable: PYTHON (builds the environment), VENV (where it lies),
# DEVICE (cpu or gpu: which TensorFlow is installed), PYTEST (more pytest flags),
# WORKERS (processes that share the tests; each takes up to 3 GB),
# VERSIONS (which of oldest and newest `test-versions` tests), MINUTES (of `make fuzz`,
# for each parser), BENCH (flags of the benchmark), TORCH and JAX (Python programs that
# have them).
PYTHON ?= python3
VENV ?= .venv
DEVICE ?= cpu
PYTEST ?=
WORKERS ?= 2
VERSIONS ?= oldest newest
MINUTES ?= 10
BENCH ?=
TORCH ?= .venv-bench-torch/bin/python
JAX ?= .venv-bench-jax/bin/python

bin := $(VENV)/bin
demo_ready := $(VENV)/.ready-demo-$(DEVICE)
docs_ready := $(VENV)/.ready-docs-$(DEVICE)
test_ready := $(VENV)/.ready-test-$(DEVICE)
# The library of native kernels, in place.
native_ready := $(VENV)/.ready-native
native_files := setup.py $(shell find bptt_keras/kernels/native/src 2> /dev/null)
build_native := \
    $(bin)/python -m pip install -qq --disable-pip-version-check "setuptools>=70.1" \
    && $(bin)/python setup.py -q build_ext --inplace && touch $(native_ready)
parallel := -n $(WORKERS) --dist worksteal
# Environments of the benchmark's peers, but for those that were given.
peers := $(filter .venv-bench-%,$(TORCH) $(JAX))
peers_ready := $(peers:%/bin/python=%/.ready)

export TF_CPP_MIN_LOG_LEVEL ?= 3
export MPLBACKEND ?= Agg

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-all test-versions lint format docs native sanitize fuzz bench browser clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

demo: $(demo_ready) ## Train a small character model on embedded text and show it.
	$(bin)/bptt-zoo train char-lm --dataset python-topics --out runs/demo --overwrite
	@echo
	@echo 'Go on: $(bin)/bptt-zoo generate runs/demo --prompt "The "'

test: $(test_ready) ## Lint and the tests that are quick.
	$(bin)/python -m pytest -q -m "not slow" $(parallel) $(PYTEST)

test-slow: $(test_ready) ## The slow tests alone.
	$(bin)/python -m pytest -q -m slow $(parallel) $(PYTEST)

test-all: $(test_ready) ## Lint and every test.
	$(bin)/python -m pytest -q $(parallel) $(PYTEST)

# Each in an environment of its own. PYTEST, WORKERS, DEVICE and PYTHON hold there, too.
test-versions: ## The quick tests with the oldest and the newest Keras and TensorFlow.
	@DEVICE=$(DEVICE) $(PYTHON) .ci/versions.py $(VERSIONS)

# As root on Debian and its kin; elsewhere it says what to do.
browser: ## Install Chromium, which the tests of the HTML report look with.
	@command -v chromium > /dev/null || { [ "$$(id -u)" = 0 ] \
	    && apt-get update -qq && apt-get install -qq -y chromium > /dev/null; } \
	    || echo "No Chromium: the tests that need one are skipped. Install it by hand."

lint: $(test_ready) ## Lint, format and type checks alone.
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/python -m mypy

format: $(test_ready) ## Sort imports and format in place.
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

# What kernels say at their start, whatever happens.
of_kernels := absl::InitializeLog|oneDNN custom|IPKernelApp|Executing notebook|^$$
# Tutorials run when they or the library have changed; their outputs are kept.
docs: $(docs_ready) ## Build the documentation site, build/site/index.html.
	@mkdir -p build
	@$(bin)/sphinx-build -W -n --keep-going -q -j $(WORKERS) -c docs . build/site \
	    > build/docs.log 2>&1 && echo 'build/site/index.html' \
	    || { grep -vE "$(of_kernels)" build/docs.log; exit 1; }

native: | $(bin)/python ## Build the library of native kernels, what has changed of it.
	@export BPTT_KERAS_REQUIRE_NATIVE=1 && $(build_native)

sanitize: $(native_ready) ## The tests in C++, with sanitizers of memory and of arithmetic.
	@$(bin)/python setup.py -q sanitize

fuzz: $(test_ready) ## Parsers read files that are nearly valid, MINUTES each (10).
	$(bin)/python -m tests.zoo.hostile.fuzz --minutes $(MINUTES)

bench: $(test_ready) $(peers_ready) ## Training speed beside Keras, PyTorch and JAX.
	$(bin)/python -m tests.benchmarks.suite --torch $(TORCH) --jax $(JAX) $(BENCH)

clean: ## Remove the environments, runs, builds and caches.
	rm -rf .venv .venv-bench-* .venv-versions-* runs build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	rm -f bptt_keras/kernels/native/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(bin)/python:
	@echo "Setting up $(VENV) (a few minutes the first time: TensorFlow is large)."
	@$(PYTHON) -c 'import sys; sys.exit("Python >= 3.10 is needed, not " \
	    + sys.version.split()[0] if sys.version_info < (3, 10) else 0)'
	@$(PYTHON) -m venv $(VENV)
# The pip that Python 3.10 brings finds no versions of the zoo's needs that fit.
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check --upgrade pip

# Other than for `make native`, a compiler that is missing or fails is no failure.
$(native_ready): $(native_files) | $(bin)/python
	@$(build_native)

# A stamp a set of extras: installed again only when setup.cfg has changed. The library
# is built before, and again only what has changed of it.
$(demo_ready): setup.cfg | $(native_ready)
	@$(bin)/python -m pip install -qq --disable-pip-version-check -e ".[$(DEVICE),zoo]"
	@touch $@

$(docs_ready): setup.cfg | $(native_ready)
	@$(bin)/python -m pip install -qq --disable-pip-version-check -e ".[$(DEVICE),docs]"
	@touch $@

$(test_ready): setup.cfg | $(native_ready)
	@$(bin)/python -m pip install -qq --disable-pip-version-check -e ".[$(DEVICE),test]"
	@touch $@

# A peer that cannot be installed is missing from the tables; the others are measured.
.venv-bench-%/.ready: tests/benchmarks/peers/requirements-%.txt
	@echo "Setting up $(@D)."
	@{ $(PYTHON) -m venv $(@D) && $(@D)/bin/python -m pip install -qq \
	    --disable-pip-version-check -r $< && touch $@; } \
	    || echo "$(@D) could not be set up."
