PYTHON ?= python3
BIN := .venv/bin
export DO_NOT_TRACK := 1

.PHONY: demo test install lint clean
.DEFAULT_GOAL := help

help:
	@echo "make demo               the whole line on generated images, about 3 minutes"
	@echo "make demo DATA=folder   the same on your own folder of class folders"
	@echo "make test               lint, types and tests"
	@echo "make install            only the environment, in .venv"

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 …" >&2; exit 2; }
	@echo "Installing into .venv (several GB with PyTorch, 3 to 5 minutes the first time) …" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install
	@$(BIN)/python -m flows.demo $(if $(DATA),"$(DATA)")

test: install lint
	@OMP_NUM_THREADS=1 $(BIN)/pytest

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

clean:
	rm -rf .venv mri-home
