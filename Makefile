# bootsim: everything a person or CI does, each target alone right after a clone.
#
#   make boot     boot the bundled board; BOOT="..." gives bootsim's arguments
#   make test     the test suite; TESTS="..." gives pytest's arguments
#   make test-newest
#                 the test suite on the newest versions of every package, not the locked ones, in build/newest
#   make lock     write constraints.txt again with the newest versions
#   make browser-test
#                 the report page in a real Chromium (Debian: apt install chromium chromium-driver)
#   make lint     ruff, cython-lint, mypy
#   make build    compile the Cython modules in place
#   make debug    the same with every check on (the next `make build` goes back)
#   make asan     random calls of every compiled function, with every check on and under AddressSanitizer; CALLS=N
#   make soak     a million steps of random page traffic; STEPS=N
#   make bench    the benchmarks
#   make fuzz-real VMLINUX=FILE CONFIG=BUILD.yaml
#                 random trees on a real kernel in QEMU, against the replay
#   make uboot-test
#                 a real U-Boot in QEMU, with random trees and environments, against the replay; SEED=N, COUNT=N
#   make mmu-test page tables of every kind in QEMU, its walks, faults and accesses against the replay's; SEED=N, COUNT=N
#   make causes   what `bootsim diff` says makes each effect, for all pairs of fourteen decisions, against boots
#   make conformance
#                 real kernels, built and booted here, against the replay; see docs/conformance.md
#   make differential
#                 the kernel's own C, compiled for this machine, against the replay; see tests/differential/README.md
#   make dts-census
#                 every board of a kernel tree, compiled and booted; see tests/census/README.md
#   make course   write what the commands in docs/course.md and docs/course.zh.md print again, and their pictures
#   make configs  write configs/*.yaml again from the builds in BUILDS=DIR
#   make dist     wheel and source archive in dist/
#   make clean    remove everything that was made, .venv too
#
# PYTHON=python3.12 chooses the interpreter; VENV=DIR the environment.

PYTHON ?= python3
VENV   ?= .venv
BOOT   ?= boot vexpress.dts --config 3G/1G --mem 1G
TESTS  ?=
CALLS  ?= 200000
STEPS  ?= 1000000

BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
LOCK   := -c constraints.txt
CYTHON := $(shell find bootsim -name '*.pyx' -o -name '*.pxd')

.DEFAULT_GOAL := boot
.DELETE_ON_ERROR:
.PHONY: boot test test-newest lock browser-test lint build debug asan soak bench causes conformance fuzz-real uboot-test mmu-test
.PHONY: differential dts-census course configs dist clean

boot: $(VENV)/.built
	@$(BIN)/bootsim $(BOOT)

test: $(VENV)/.built
	$(BIN)/python -m pytest $(TESTS)

test-newest:
	rm -rf build/newest && mkdir -p build/newest
	git ls-files -z | xargs -0 cp --parents -t build/newest
	$(MAKE) -C build/newest test LOCK= VENV=.venv TESTS='$(TESTS)'

# selenium is of the lock too, though only browser tests install it
lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	BOOTSIM_PURE=1 build/lock/bin/python -m pip --disable-pip-version-check install -q '.[dev,browser]' setuptools Cython wheel
	{ head -n 1 constraints.txt; build/lock/bin/python -m pip freeze --all | grep -v -e '^pip==' -e '^bootsim '; } > constraints.new
	mv constraints.new constraints.txt

browser-test: $(VENV)/.built
	@$(BIN)/python -c 'import selenium' 2>/dev/null || $(PIP) install -q $(LOCK) selenium || true
	@BOOTSIM_BROWSER=1 $(BIN)/python -m pytest tests/browser $(TESTS)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	PATH="$(abspath $(BIN)):$$PATH" cython-lint bootsim
	$(BIN)/mypy

build: $(VENV)/.built

debug: $(VENV)/.installed
	rm -f $(VENV)/.built
	BOOTSIM_DEBUG=1 $(BIN)/python setup.py -q build_ext --inplace

# The compiled modules go back with the next `make build`. Python itself leaks by design, so leaks are not looked for.
asan: $(VENV)/.installed
	rm -f $(VENV)/.built
	BOOTSIM_DEBUG=1 $(BIN)/python setup.py -q build_ext --inplace
	BOOTSIM_FUZZ=$(CALLS) $(BIN)/python -m pytest -q tests/linux/mm/test_surface.py $(TESTS)
	BOOTSIM_ASAN=1 $(BIN)/python setup.py -q build_ext --inplace
	LD_PRELOAD="$$(cc -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
		BOOTSIM_FUZZ=$(CALLS) $(BIN)/python -m pytest -q -p no:cacheprovider tests/linux/mm/test_surface.py $(TESTS)

soak: $(VENV)/.built
	BOOTSIM_SOAK=$(STEPS) $(BIN)/python -m pytest -q tests/linux/mm/test_soak.py $(TESTS)

bench: $(VENV)/.built
	$(BIN)/python -m pytest tests/benchmarks/bench_buddy.py tests/benchmarks/bench_mmu.py tests/benchmarks/bench_copy.py tests/benchmarks/bench_slab.py -m benchmarks --benchmark-enable --benchmark-only $(TESTS)
	$(BIN)/python -m pytest tests/benchmarks/bench_plain.py -m benchmarks -q -s
	$(BIN)/python -m pytest tests/benchmarks/bench_mmu.py -m benchmarks -q -k budget
	$(BIN)/python tests/benchmarks/bench_boot.py

# fourteen decisions in all 91 pairs: what makes each effect, against boots of all combinations
causes: $(VENV)/.built
	BOOTSIM_ALL_PAIRS=1 $(BIN)/python -m pytest tests/state/test_causes.py $(TESTS)

# KERNEL_SRC=DIR, BUILD_DIR="[NAME=]DIR ...", ONLY="PATTERN ...", JOBS=N, MIRROR=URI, CACHE=DIR, INSTALL=1; the other
# options through CONFORMANCE="--list"
conformance: $(VENV)/.built
	@$(BIN)/python tests/conformance/conform.py \
		$(if $(KERNEL_SRC),--kernel-src '$(KERNEL_SRC)') $(if $(MIRROR),--mirror '$(MIRROR)') \
		$(foreach dir,$(BUILD_DIR),--build-dir '$(dir)') $(foreach pattern,$(ONLY),--only '$(pattern)') \
		$(if $(JOBS),--jobs '$(JOBS)') $(if $(CACHE),--cache '$(CACHE)') $(if $(filter 1,$(INSTALL)),--install) \
		$(CONFORMANCE)

# VMLINUX=FILE CONFIG=BUILD.yaml, SEED=N, COUNT=N, CACHE=DIR
fuzz-real: $(VENV)/.built
	@$(BIN)/python tests/conformance/fuzz_real.py $(if $(VMLINUX),--vmlinux '$(VMLINUX)') \
		$(if $(CONFIG),--config '$(CONFIG)') $(if $(SEED),--seed '$(SEED)') $(if $(COUNT),--count '$(COUNT)') \
		$(if $(CACHE),--cache '$(CACHE)') $(if $(STARTS),--starts)

uboot-test: $(VENV)/.built
	BOOTSIM_UBOOT=1 $(if $(SEED),SEED='$(SEED)') $(if $(COUNT),COUNT='$(COUNT)') $(BIN)/python -m pytest tests/uboot $(TESTS)

mmu-test: $(VENV)/.built
	BOOTSIM_MMU=1 $(if $(SEED),SEED='$(SEED)') $(if $(COUNT),COUNT='$(COUNT)') $(BIN)/python -m pytest tests/mmu $(TESTS)

# KERNEL_SRC=DIR; without it Debian's source package
differential: $(VENV)/.built
	@BOOTSIM_DIFFERENTIAL=1 $(if $(KERNEL_SRC),KERNEL_SRC='$(abspath $(KERNEL_SRC))') \
		$(BIN)/python -m pytest tests/differential $(TESTS)

# KERNEL_SRC=DIR, ONLY="PATTERN ...", JOBS=N, MIRROR=URI, CACHE=DIR; the other options through CENSUS="--all --json"
dts-census: $(VENV)/.built
	@$(BIN)/python tests/census/run.py $(if $(KERNEL_SRC),--kernel-src '$(KERNEL_SRC)') \
		$(if $(MIRROR),--mirror '$(MIRROR)') $(foreach pattern,$(ONLY),--only '$(pattern)') \
		$(if $(JOBS),--jobs '$(JOBS)') $(if $(CACHE),--cache '$(CACHE)') $(CENSUS)

course: $(VENV)/.built
	@$(BIN)/python tests/course/course.py

configs: $(VENV)/.installed
	$(BIN)/python configs/regenerate.py $(BUILDS)

dist: $(VENV)/.installed
	rm -rf dist build/lib* build/bdist*
	$(BIN)/python -m build --no-isolation --outdir dist .

clean:
	rm -rf build dist bootsim.egg-info $(VENV)
	rm -rf .benchmarks .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find bootsim -name '*.so' -delete
	find bootsim tests -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment of its own. Debian and Ubuntu keep venv, the headers and the compiler in packages of their own.
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON): install Python 3.11 or later, or say make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is $$($(PYTHON) -V), bootsim needs 3.11 or later: say make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import os, sysconfig as s, sys; sys.exit(not os.path.exists(s.get_path("include") + "/Python.h"))' || \
		{ echo "make: no Python.h: install Python's headers (Debian, Ubuntu: apt install python3-dev)" >&2; exit 1; }
	@command -v cc >/dev/null || command -v gcc >/dev/null || \
		{ echo "make: no C compiler (Debian, Ubuntu: apt install build-essential)" >&2; exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); virtualenv -q -p $(PYTHON) $(VENV) 2>/dev/null; } || \
		{ rm -rf $(VENV); \
		  echo "make: cannot make $(VENV): neither venv nor virtualenv works (Debian, Ubuntu: apt install python3-venv)" >&2; \
		  exit 1; }

$(VENV)/.installed: pyproject.toml setup.py constraints.txt | $(BIN)/python
	$(PIP) install -q $(LOCK) 'setuptools>=77' 'Cython>=3.3' wheel
	BOOTSIM_PURE=1 $(PIP) install -q --no-build-isolation $(LOCK) -e '.[dev]'
	@touch $@

$(VENV)/.built: $(VENV)/.installed $(CYTHON)
	$(BIN)/python setup.py -q build_ext --inplace
	$(BIN)/python -m compileall -q bootsim
	@touch $@
