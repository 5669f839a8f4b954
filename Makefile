# Each target sets up what it needs in $(VENV): `make demo` and `make test` work on a fresh clone
# with Python 3.11 or newer, Rust and a C linker.

PYTHON ?= python3
VENV ?= .venv
SIZE ?= small
# Tests run in so many processes beside each other: most of them wait more than they compute.
WORKERS ?= 4

PY := $(VENV)/bin/python
NATIVE_SOURCES := $(shell find crates -name '*.rs' -o -name 'Cargo.toml' 2>/dev/null) \
    $(wildcard Cargo.toml Cargo.lock) pyproject.toml

BESIDE := -n $(WORKERS) --dist worksteal
# All tests, or those that show whether a package is whole.
INSTALLED := $(if $(filter full,$(SIZE)),,$(addprefix tests/,cli multiprocessing/test_multiprocessing.py \
    $(patsubst %,package/test_%.py,import doctest readme reference types)))

# The models of the engine's own code, built as models.
# Without backtraces: a panic inside a model, which a seeded bug must bring about, writes its
# backtrace on the small stack of one of loom's coroutines, overflows it and then hangs.
LOOM := RUST_BACKTRACE=0 RUSTFLAGS="--cfg loom" cargo test -p courtyard-core --profile loom --test loom --target-dir target/loom

# All pages anew: what a page that has not changed warned of would not be said again.
SPHINX = $(PY) -m sphinx -E -W --keep-going -b html -d build/doctrees docs

# One interpreter for maturin and clippy, so that neither undoes the other's build.
export VIRTUAL_ENV := $(abspath $(VENV))
export PYO3_PYTHON := $(abspath $(PY))
export PIP_QUIET := 1
unexport CONDA_PREFIX PYTHONHOME PYTHONPATH

.PHONY: help demo test test-wheel test-sdist check conformance torture sanitize coverage bench bench-quick docs \
    wheel sdist notices clean require size
.DELETE_ON_ERROR:
# Two installs into one environment at a time would trip over each other.
.NOTPARALLEL:

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 20

demo: $(VENV)/extra-cli ## build, install and run the demonstration: courtyard demo
	$(VENV)/bin/courtyard demo

test: $(VENV)/extra-test ## run all tests
	cargo test -p courtyard-core -p courtyard-stepper -p courtyard-fuzz \
	    --features courtyard-core/crash-points,courtyard-core/faults,courtyard-core/seeded-bugs
	$(LOOM)
	$(PY) -m pytest $(BESIDE)

test-wheel: size wheel ## install the wheel in a new environment and test it there (SIZE=small or full)
	PYTHON="$(PYTHON)" tools/installed.sh "$$(ls -t dist/*.whl | head -n 1)" $(BESIDE) $(INSTALLED)

test-sdist: size sdist ## the same with the sdist
	PYTHON="$(PYTHON)" tools/installed.sh "$$(ls -t dist/*.tar.gz | head -n 1)" $(BESIDE) $(INSTALLED)

check: $(VENV)/group-check $(VENV)/extra-test $(VENV)/extra-docs ## check format, lint, types, stubs, layering, notices and documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features courtyard-core/crash-points,courtyard-core/faults -- -D warnings
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy --strict
	$(PY) -m mypy.stubtest courtyard._native --mypy-config-file pyproject.toml \
	    $(addprefix --allowlist ,$(wildcard tests/stubtest.allow))
	$(VENV)/bin/lint-imports --no-logo
	$(PY) tools/notices.py --check
	$(SPHINX) -q build/docs

# On every Python that is here, each in an environment of its own, or on that given as PYTHON=.
ifeq ($(origin PYTHON),command line)
conformance: $(VENV)/extra-test ## run CPython's own tests on courtyard's types
	COURTYARD_CONFORMANCE=full $(PY) -m pytest -v tests/conformance
else
conformance: | require
	@minor='import sys; print(sys.version_info.minor)'; \
	here=$$($(PY) -c "$$minor" 2>/dev/null || $(PYTHON) -c "$$minor"); \
	pythons=$$($(PYTHON) tools/pythons.py) && test -n "$$pythons" && \
	echo "$$pythons" | while read -r minor python; do \
	    echo "== CPython's tests on Python 3.$$minor"; \
	    test "$$minor" = "$$here" && venv="$(VENV)" || venv="$(VENV)-3.$$minor"; \
	    $(MAKE) conformance PYTHON="$$python" VENV="$$venv" </dev/null || exit 1; \
	done
endif

torture: size $(VENV)/extra-test ## run the models, the kills at every instruction and at random (SIZE=small or full)
	COURTYARD_MODELS=full $(LOOM) -- --include-ignored
	@if command -v spin >/dev/null; then models/run.sh $(SIZE); else \
	    echo "courtyard: the Promela models were not run: 'spin' is missing (Debian and Ubuntu: apt install spin)"; fi
	cargo run --release -p courtyard-stepper -- $(if $(filter full,$(SIZE)),--full,--seconds 60)
	cargo run --release -p courtyard-fuzz -- --images $(if $(filter full,$(SIZE)),1000000,20000) --workers 16
	cargo run --release -p courtyard-fuzz -- --live $(if $(filter full,$(SIZE)),600,20)
ifneq ($(wildcard tests/torture/test_*.py),)
	COURTYARD_TORTURE_SIZE=$(SIZE) $(PY) -m pytest -v tests/torture
else
	@echo "courtyard: only the models were run: tests/torture has no tests yet"
endif

sanitize: ## run the mutator and the tests with threads under sanitizers (SIZE=small or full)
	tools/sanitizer.sh $(SIZE)

coverage: ## measure which lines and branches of the engine its tests reach
	tools/coverage.sh

bench: $(VENV)/extra-bench ## measure beside the peers, into docs/benchmarks
	$(PY) -m benchmarks run --install --out docs/benchmarks

bench-quick: $(VENV)/extra-bench ## the same in at most 5 minutes, into build/benchmarks
	$(PY) -m benchmarks run --install --out build/benchmarks --quick

docs: $(VENV)/extra-docs ## build the documentation into build/docs
	$(SPHINX) build/docs

wheel: $(VENV)/maturin ## build a wheel into dist
	$(VENV)/bin/maturin build --release --interpreter $(PY) --out dist

sdist: $(VENV)/maturin ## build a source distribution into dist
	$(VENV)/bin/maturin sdist --out dist

notices: ## write THIRD-PARTY-NOTICES.md anew, after a change of the Rust dependencies
	$(PYTHON) tools/notices.py

clean: ## remove all that was built
	rm -rf $(VENV) target build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find python tests tools examples benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
	rm -f python/courtyard/_native.*.so

size:
	@case "$(SIZE)" in small | full) ;; *) echo "courtyard: SIZE is small or full, not $(SIZE)" >&2; exit 2 ;; esac

# What cannot be installed here is said in one line.
require:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo "courtyard: Python 3.11 or newer is needed, and '$(PYTHON)' is not: install one and run make PYTHON=python3.13 (or the like)" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	    { echo "courtyard: '$(PYTHON)' has no venv module: install it (Debian and Ubuntu: apt install python3-venv) and run make again" >&2; exit 1; }
	@cargo --version >/dev/null 2>&1 || \
	    { echo "courtyard: Rust is missing (no working 'cargo' on PATH): install it from https://rustup.rs and run make again" >&2; exit 1; }
	@command -v cc >/dev/null || \
	    { echo "courtyard: a C linker is missing (no 'cc' on PATH): install gcc (Debian and Ubuntu: apt install build-essential) and run make again" >&2; exit 1; }

# The files below in $(VENV) only mark, by their time, what was done.
$(VENV)/maturin: | require
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --upgrade pip 'maturin>=1.9,<2'
	@touch $@

$(VENV)/native: $(NATIVE_SOURCES) | $(VENV)/maturin
	$(VENV)/bin/maturin develop --release
	@touch $@

$(VENV)/extra-%: pyproject.toml | $(VENV)/native
	$(VENV)/bin/maturin develop --release --extras $*
	@touch $@

$(VENV)/group-check: pyproject.toml | $(VENV)/maturin
	$(PY) -m pip install --group check
	@touch $@
