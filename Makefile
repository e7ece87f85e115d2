# make demo   environment, install, then the whole path once on synthetic records (about 2 minutes)
# make test   environment, install, then every check: lint, types, tests, docstring examples
# Needs only Python 3.10-3.13 and make. Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One process a core; a file's tests stay together, because they share what they made.
PARALLEL := -n auto --dist loadfile
PROGRAMS := $(shell grep -l __main__ benchmarks/*.py)

.PHONY: help demo test lint types unit legacy doctest clean

help:
	@sed -n 's/^# //p' Makefile | head -4

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "error: Python 3.10 to 3.13 is needed. Received: $$($(PYTHON) --version 2>&1)." \
	       "Remedy: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.python setup.cfg constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.test-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .[test]
	touch $@

demo: $(VENV)/.installed
	$(BIN)/python -m pipelines.demo

test: lint types doctest unit legacy

lint: $(VENV)/.test-installed
	$(BIN)/python -m flake8

types: $(VENV)/.test-installed
	$(BIN)/python -m mypy

unit: $(VENV)/.test-installed
	$(BIN)/python -m pytest $(PARALLEL)

doctest: $(VENV)/.test-installed
	# Programs, which define flags of the same names, one at a time.
	$(BIN)/python -m pytest $(PARALLEL) --doctest-modules dtrn_tf export \
	  $(filter-out $(PROGRAMS), $(wildcard benchmarks/*.py))
	$(BIN)/python -m pytest --doctest-modules pipelines/study.py

# A second process: layers and models under Keras 2, and inside a tensorflow-recommenders model.
legacy: $(VENV)/.test-installed
	TF_USE_LEGACY_KERAS=1 $(BIN)/python -m pytest $(PARALLEL) tests/layers tests/models

clean:
	rm -rf $(VENV) build dist *.egg-info
