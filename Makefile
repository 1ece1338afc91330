VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: demo test lint format

demo: $(VENV)/.installed  ## learn to find people again without labels, and write a report
	$(BIN)/resight demo

test: $(VENV)/.installed  ## run the tests
	$(BIN)/python -m pytest

lint: $(VENV)/.installed  ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/.installed: pyproject.toml constraints.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.lock --editable '.[dev]'
	touch $@
