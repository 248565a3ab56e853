# People and CI use these same targets; `make` alone prints them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help env quickstart test check search bench gpu-check lock clean

OUT ?= quickstart-data
ORACLES ?= 1
VENDORS ?= 1
LOADERS ?= 1

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
ORACLES_READY := $(if $(filter-out 0,$(ORACLES)),.venv/.oracles)
VENDORS_READY := $(if $(filter-out 0,$(VENDORS)),.venv/.vendors)
LOADERS_READY := $(if $(filter-out 0,$(LOADERS)),.venv/.loaders)

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: .venv/.run ## make .venv with cotenant and its pinned requirements

quickstart: .venv/.run ## measure a real campaign on this machine (OUT=quickstart-data) and tell what it found
	@$(BIN)/cotenant campaign run quickstart --out "$(OUT)" || { code=$$?; \
	  test $$code -ne 2 || echo "with make: move $(OUT) away, or make quickstart OUT=another-folder; on a busy machine COTENANT_ALLOW_BUSY=1 make quickstart" >&2; exit $$code; }
	@$(BIN)/cotenant dataset check "$(OUT)"
	@$(BIN)/cotenant dataset describe "$(OUT)"

test: $(ORACLES_READY) $(VENDORS_READY) $(LOADERS_READY) check ## check with all others that can be had (large; ORACLES=0 VENDORS=0 LOADERS=0: without)

check: .venv/.test ## ruff, mypy and every test whose requirements are installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

search: .venv/.test ## property tests with inputs that no run has drawn before; keep what it finds as an @example
	$(BIN)/pytest --hypothesis-profile=search -q $$(grep -rl --include='test_*.py' '@given' tests)

bench: .venv/.bench ## benchmarks: the overlap sweep and the runner beside plain equivalents
	@for script in scripts/benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

lock: ## pin the newest versions that pyproject.toml allows into requirements/
	@bash requirements/lock.sh

gpu-check: OUT = gpu-check-data
gpu-check: .venv/.gpu ## check on this machine's NVIDIA GPU what cotenant claims (OUT=gpu-check-data)
	@$(BIN)/python -m cotenant.profiler.gpu_check --out "$(OUT)"

clean: ## remove .venv and everything built; measured data stays
	rm -rf .venv build dist cotenant.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@bash requirements/environment.sh .venv

# Pinned versions first; then cotenant itself without looking anything up (the pinned setuptools builds it).
.venv/.run: .venv/bin/python requirements/run.txt pyproject.toml
	@echo "installing what cotenant needs (pinned in requirements/run.txt)"
	@$(PIP) -r requirements/run.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.test: .venv/.run requirements/test.txt
	@echo "installing what the tests need"
	@$(PIP) -r requirements/test.txt
	@touch $@

.venv/.oracles: .venv/.test requirements/oracles.txt
	@echo "installing independent implementations to compare with (large; make test ORACLES=0 leaves them out)"
	@$(PIP) -r requirements/oracles.txt
	@touch $@

.venv/.vendors: .venv/.test requirements/vendors.txt
	@echo "installing what builds TensorRT engines without a GPU (large; make test VENDORS=0 leaves it out)"
	@$(PIP) -r requirements/vendors.txt
	@touch $@

.venv/.loaders: .venv/.test requirements/loaders.txt
	@echo "installing what datasets are loaded with, and an S3 server to export to (large; make test LOADERS=0 leaves it out)"
	@$(PIP) -r requirements/loaders.txt
	@touch $@

.venv/.gpu: .venv/.test pyproject.toml
	@echo "installing torch and the CUDA driver's bindings (large)"
	@$(PIP) --no-build-isolation --editable '.[torch]'
	@touch $@

.venv/.bench: .venv/.run requirements/bench.txt
	@$(PIP) -r requirements/bench.txt
	@touch $@
