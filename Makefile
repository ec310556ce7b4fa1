PYTHON ?= python3
BIN := .venv/bin
export DO_NOT_TRACK := 1

# Tests run in two processes of one thread each; tests of one xdist_group, such as those of the server, share a process.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup

.PHONY: demo test quick install lint clean
.DEFAULT_GOAL := help

help:
	@echo "make demo               all stages on generated images, about 4 minutes"
	@echo "make demo DATA=folder   the same on your own folder of class folders"
	@echo "make demo FORMAT=dicom  the same on generated DICOM series; or FORMAT=nifti"
	@echo "make test               lint, types, imports and all tests but those that need a GPU, 20 to 40 minutes"
	@echo "make quick              the tests that are neither slow nor need a server, about 3 minutes"
	@echo "make lint               style, types and the direction of imports"
	@echo "make install            only the environment, in .venv"

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 …" >&2; exit 2; }
	@echo "Installing into .venv (several GB with PyTorch, 3 to 5 minutes the first time) …" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,dicom]'
	@touch $@

demo: install
	@$(BIN)/python -m flows.demo $(if $(FORMAT),--format "$(FORMAT)") $(if $(DATA),"$(DATA)")

test: install lint
	@$(PYTEST) -m "not gpu"

quick: install
	@$(PYTEST) -m "not slow and not server and not gpu"

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

clean:
	rm -rf .venv mri-home
