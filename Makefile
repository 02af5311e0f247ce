# One environment in .venv, installed from hashed lock files; every target makes it where it is missing or out of date.

# Any CPython 3.11 to 3.13.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13; do $$p -c "" 2>/dev/null && echo $$p && exit; done; echo python3)

# serve-gpu where there is an NVIDIA GPU, serve-cpu on other Linux machines, core (no model server) elsewhere.
VARIANT ?= $(shell if nvidia-smi >/dev/null 2>&1; then echo serve-gpu; \
	elif [ "$$(uname -s)" = Linux ]; then echo serve-cpu; else echo core; fi)

# Asked only where pip's own indexes have no CPU build of torch.
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu

BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
INSTALL := $(PIP) install --no-deps --no-compile --require-hashes
LOCKS := $(sort $(wildcard requirements-*.lock))

# An empty file named after what is installed: a change of Python, variant or lock asks for a new environment.
KEY := $(VARIANT)-$(shell { $(PYTHON) --version; cat $(LOCKS); } | sha256sum | cut -c1-16)
BASE := .venv/.base-$(KEY)
DEV := .venv/.dev-$(KEY)
PROJECT := .venv/.project-$(shell sha256sum pyproject.toml | cut -c1-16)

# Compiled modules are kept: without them each process of the tests compiles thousands of files anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo loop check gate baseline test lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(BASE) $(PROJECT) ## make .venv with all that the demo needs; nothing to do when it is up to date

setup-dev: setup $(DEV)

$(BASE):
	@echo "installing $(VARIANT) into .venv"
	rm -rf .venv
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14) and "Python 3.11 to 3.13 is needed")'
	$(PYTHON) -m venv .venv
	$(PIP) install --require-hashes -r requirements-build.lock
	$(if $(filter serve-cpu,$(VARIANT)),$(INSTALL) -r requirements-torch-cpu.lock \
		|| $(INSTALL) --extra-index-url $(TORCH_CPU_INDEX) -r requirements-torch-cpu.lock)
	$(INSTALL) -r requirements-$(VARIANT).lock
	touch $@

$(DEV): $(BASE)
	$(INSTALL) -r requirements-dev.lock
	touch $@

$(PROJECT): $(BASE)
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

demo: setup ## play the point-of-sale suite against the small model that comes with the project
	$(BIN)/agentkit run scenarios/point_of_sale --agent demo --trials 5 --detours first --concurrency 16
	@echo "This model was never trained to call tools: its accuracy is poor, and that is what there is to improve."
	@echo "One conversation, with each grade and why: $(BIN)/agentkit show last --trial point_of_sale/refund/french_poem#0"

loop: setup ## a whole turn on this machine: users, a failing step, training, proof, canary; then a bad canary (20 to 45 minutes; over an hour with AVX2 alone)
	$(BIN)/agentkit loop show --store sqlite:///.agentkit/loop.db

check: setup-dev ## format, lint, types, layers and the fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports
	$(BIN)/pytest -m "not slow and not serve" -n 2

gate: setup ## gate the demo suites, played by the scripted agent, against reports/baseline.json
	.ci/gate

baseline: setup ## write reports/baseline.json anew, for a change that is meant
	.ci/gate baseline

test: check gate ## check, the gate on the demo suites, then the slow tests and those that start a model server
	$(BIN)/pytest -m "slow and not serve" -n 2 --dist loadfile
	$(BIN)/pytest -m serve

lock: ## resolve pyproject.toml anew into the lock files
	.ci/lock

clean: ## remove the environment, caches and .agentkit, with all recorded runs, keys, jobs, adapters and captured traffic
	rm -rf .venv .agentkit .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
