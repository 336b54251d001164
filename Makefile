# Two commands for a newcomer: `make rehearse` and `make test`. Both set up all that they need. `make` prints all.

PYTHON := .venv/bin/python
EXPERIMENT ?= ## one experiment, such as md-raid (default: all)
KEEP ?= ## 1 leaves the region of one experiment up
PLAN ?= ## what is measured: short (default), full, or a TOML file
MODEL ?= ## another service model: none, a name of lab/service_models, a file
VERBOSE ?= ## 1 prints each resource and all tables
# The region makes namespaces and network interfaces, which takes root. Where there is no sudo, tests that need it skip.
PRESERVED := TIDEMARK_KERNEL,TIDEMARK_LAB_DIR,TIDEMARK_LAB_PORT,TIDEMARK_RESULTS_DIR,TIDEMARK_STATE_DIR,XDG_CACHE_HOME,http_proxy,https_proxy,no_proxy
SUDO := $(shell [ "$$(id -u)" = 0 ] || ! command -v sudo >/dev/null || echo "sudo --preserve-env=$(PRESERVED)")

# Many images of Python set it. Each process would compile anew what it imports, pulumi_aws for four seconds, and a test
# run starts hundreds.
unexport PYTHONDONTWRITEBYTECODE

# Exit code 5: none of the tests that were asked for is of this kind.
pytest = $(SUDO) $(PYTHON) -m pytest $(1) || [ $$? = 5 ]
KERNEL_TESTS = $(or $(TESTS),$(sort $(shell find tests -name '*_on_kernels.py')))
# At most so many regions side by side, where each has 3 GiB. Hosts wait most of the time: two a processor.
in_regions = --dist loadfile --no-loadscope-reorder --numprocesses $(shell awk -v most=$(1) \
  '/^MemAvailable/ {n = int($$2 / 3145728); print n < 1 ? 1 : n < most ? n : most}' /proc/meminfo)

.PHONY: help rehearse doctor test test-quick lint image root setup setup-tests packages python worker lock offers \
  schemas docs clean

help: ## print this list
	@printf 'usage: make TARGET [VARIABLE=VALUE …]\n\n'
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 14
	@printf '\nvariables of rehearse:\n'
	@sed -n 's/^\([A-Z]*\) ?=.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 14
	@printf '\nREADME.md begins with a rehearsal; `.venv/bin/fab --list` has the tasks.\n'

rehearse: root setup ## run all experiments on real kernels, with no account
	@$(if $(SUDO),echo "The rehearsal region needs root for its network: $(firstword $(SUDO)) asks for it now.";)\
	$(SUDO) $(PYTHON) -m lab rehearse $(EXPERIMENT) $(if $(KEEP),--keep) $(if $(PLAN),--plan $(PLAN)) $(if $(MODEL),--model $(MODEL)) $(if $(VERBOSE),--verbose)

doctor: root setup ## check whether this machine can rehearse
	@$(SUDO) $(PYTHON) -m lab doctor

# Tests on kernels: each region has one stack and one processor (tests/conftest.py).
# What a measuring test finds would have the others' work in it: those have a processor for each region.
test: setup-tests ## run the linters, and every test that this machine allows
	@$(MAKE) --no-print-directory --jobs=3 lint image test-quick
	@$(call pytest,$(call in_regions,$$((2 * $$(nproc)))) -m "kernel and not measured" $(KERNEL_TESTS))
	@$(call pytest,$(call in_regions,$$(nproc)) -m "kernel and measured" $(KERNEL_TESTS))

# More than half of their time they wait for clocks and processes: three workers more than there are processors.
test-quick: setup ## run the tests without hosts
	@$(call pytest,--numprocesses $$(($$(nproc) + 3)) --dist worksteal -m "not kernel" $(TESTS))

lint: setup ## check style, types and shell scripts
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@scripts/lint-shell
	@$(PYTHON) -m mypy

# mypy leaves a core to it. Where it can't be built, the tests of hosts say why they are skipped.
image: setup
	@$(SUDO) $(PYTHON) -m lab image || true

root:
	@[ "$$(id -u)" = 0 ] || command -v sudo >/dev/null || \
	  { echo "make: the rehearsal region needs root for its network, and there is no sudo here; run make as root" >&2; exit 1; }

setup: packages python worker ## install what a rehearsal needs

setup-tests: ## install that, and what only tests need, such as a browser
	@scripts/install-packages tests
	@$(MAKE) --no-print-directory setup

packages:
	@scripts/install-packages

python: packages
	@scripts/install-python

worker:
	@$(MAKE) --silent --no-print-directory -C workloads/native
	@$(MAKE) --silent --no-print-directory -C lab/mount_target
	@$(MAKE) --silent --no-print-directory -C lab/kernel

lock: python ## renew the lock files from pyproject.toml
	@scripts/renew-lock

schemas: python ## renew schemas/ from the models of documents
	@$(PYTHON) -m schemas.write

docs: python ## renew docs/reference/ from the tasks and the models
	@$(PYTHON) -m docs.generate

offers: python ## renew prices, instance types and zones (needs AWS credentials)
	@$(PYTHON) -m aws_offers.renew

clean: ## remove what was built here; results stay
	@{ rm -rf .venv .venv.?????? workloads/native/build lab/mount_target/build lab/kernel/build .mypy_cache .ruff_cache .pytest_cache .hypothesis && \
	  find . -name __pycache__ -prune -exec rm -rf {} + ; } 2>/dev/null || \
	  { echo "make clean: some of it is root's, or another user's; run sudo make clean" >&2; exit 1; }
