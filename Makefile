# Needs only python3 (3.11 or newer, with venv and pip), git and make.
# PYTHON=python3.12 make test    chooses the interpreter; VENV=... the place of the environment.

PYTHON ?= python3
VENV ?= .venv
CLIENTS ?= httpx httpx2
INTERPRETERS ?=
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
STAMP := $(VENV)/.bridgekit-installed

export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo load test lint unit test-slow test-interpreters pyright pins clean

help:
	@echo "make demo       migrate a copy of examples/legacy_app and load both forms"
	@echo "make test       install what is needed, lint, check types, run the tests"
	@echo "make test-slow  the tests marked slow"
	@echo "make test-interpreters  the runtime's tests on CPython 3.12 and 3.13, where found"
	@echo "make load       the demo, once for every HTTP client: $(CLIENTS)"
	@echo "make lint       ruff and mypy only"
	@echo "make pyright    pyright over src/bridgekit (needs node on PATH)"
	@echo "make pins       write constraints.txt again from the newest releases"
	@echo "make clean      remove $(VENV) and the tools' caches"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "bridgekit needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -qq --upgrade -c constraints.txt pip
	$(PIP) install -qq -c constraints.txt --editable '.[all]' --group dev
	@touch $@

demo: $(STAMP)
	$(VENV)/bin/python scripts/demo.py

load: $(STAMP)
	$(VENV)/bin/python scripts/demo.py $(addprefix --client ,$(CLIENTS))

test: lint unit

lint: $(STAMP)
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m mypy

unit: $(STAMP)
	$(VENV)/bin/python -m pytest -m "not slow"

test-slow: $(STAMP)
	$(VENV)/bin/python -m pytest -m slow

test-interpreters: $(STAMP)
	$(VENV)/bin/python scripts/interpreters.py $(INTERPRETERS)

# pyright runs on node, which pip does not bring; so it is not part of `make test`.
pyright: $(STAMP)
	$(VENV)/bin/python -m pyright --pythonpath $(VENV)/bin/python

pins: $(STAMP)
	$(VENV)/bin/python scripts/pin.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
