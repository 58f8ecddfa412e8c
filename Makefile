# make demo   runs the main job on the embedded database and shows what it found
# make test   passes all tests
# Both set up what they need in .venv from nothing but Python 3.11+, git and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test quick lint format picture gallery coverage reliability clean

demo: $(VENV)/.installed
	$(BIN)/adagrid demo

test: $(VENV)/.installed-dev
	$(BIN)/pytest -n 2 --dist loadfile

quick: $(VENV)/.installed-dev
	$(BIN)/pytest -m "not slow"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

picture: $(VENV)/.installed-dev
	$(BIN)/python docs/picture.py
	$(BIN)/python docs/hypotheses_picture.py

gallery: $(VENV)/.installed-dev
	$(BIN)/python docs/gallery_pictures.py

coverage: $(VENV)/.installed-dev
	$(BIN)/python tests/coverage/coverage_report.py

reliability: $(VENV)/.installed-dev
	$(BIN)/python tests/faults/fault_report.py

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "adagrid needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) adagrid-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
