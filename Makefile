# make demo      runs the main job on the embedded database and shows what it found
# make test      tests what a user needs, and each server once where it is installed
# make test-all  tests everything, the servers at length
# make studies   runs what takes hours, and writes docs/{coverage,refutation,reliability,mutants}.md
# All set up what they need in .venv from nothing but Python 3.11+, git and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Idle processes take over tests from busy ones, each of which keeps what its modules share until then.
# What Python and pytest compile is kept, whatever an image's environment says: each process would compile all of it.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $(PROCESSES) --dist worksteal
PROCESSES ?= 2

.PHONY: demo test test-all sample studies quick lint format picture gallery certificates refutation reliability mutants clean

demo: $(VENV)/.installed
	$(BIN)/adagrid demo

test: $(VENV)/.installed-dev
	$(PYTEST) -m "smoke or not servers" tests

test-all: $(VENV)/.installed-dev
	$(PYTEST) tests

sample: $(VENV)/.installed-dev
	$(PYTEST) -m sample tests/servers studies

quick: $(VENV)/.installed-dev
	$(PYTEST) tests/unit

studies: $(VENV)/.installed-dev
	$(PYTEST) --hypothesis-profile=random studies
	$(PYTEST) --hypothesis-profile=random -m hypothesis tests
	$(MAKE) certificates refutation reliability mutants

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

certificates: $(VENV)/.installed-dev
	$(BIN)/python -m studies.coverage.report

refutation: $(VENV)/.installed-dev
	$(BIN)/python -m studies.refutation.report

reliability: $(VENV)/.installed-dev
	$(BIN)/python -m studies.reliability.report

mutants: $(VENV)/.installed-dev
	$(BIN)/python -m studies.mutants.report --processes $(PROCESSES)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "adagrid needs Python 3.11 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "Installing adagrid and what it needs into $(VENV), which takes a minute or two."
	$(BIN)/pip install --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	@echo "Installing adagrid, its extras and the tools of its tests into $(VENV), which takes a minute or two."
	$(BIN)/pip install --disable-pip-version-check --editable '.[dev]'
	touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) adagrid-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
