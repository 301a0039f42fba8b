# Two environments: .venv serves and holds no torch; .venv-dev trains, tests and checks.
# Both take their versions from constraints.txt.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP = -m pip --disable-pip-version-check --quiet
DEV = .venv-dev/bin

.PHONY: install run test test-fast check train clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) install -c constraints.txt -e .
	@touch $@

.venv-dev/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python"; exit 2; }
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/python $(PIP) install -c constraints.txt -e '.[train,keywords,parquet,bulk,dev]'
	@touch $@

run: .venv/installed
	.venv/bin/echolot serve

# Fast tests first, so that a mistake shows soon; then those with the shipped model and the real encoder.
test: .venv-dev/installed
	$(DEV)/python -m pytest -m "not slow and not gpu"
	$(DEV)/python -m pytest -m "slow and not gpu"

test-fast: .venv-dev/installed
	$(DEV)/python -m pytest -m "not slow and not gpu"

check: .venv-dev/installed
	$(DEV)/ruff format --check .
	$(DEV)/ruff check .
	$(DEV)/mypy
	$(DEV)/lint-imports

train: .venv-dev/installed
	$(DEV)/echolot train training/runs/open.toml

clean:
	rm -rf .venv .venv-dev build *.egg-info .pytest_cache .mypy_cache .ruff_cache
