# make demo: from nothing to results/May/report.html. Everything is installed into .venv.

CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SYSTEM_PACKAGES := libegl1 libgles2 libgl1 libglib2.0-0

# The first of these that is a Python this package runs on.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$each && break; done)

.PHONY: install demo test bench faults unlock clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt $(wildcard native/*)
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 to 3.13 found: install one, or make install PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "error: $(PYTHON) cannot make a virtual environment: on Debian, apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev]'
	@$(BIN)/python -c 'import cv2, mediapipe' || \
		{ echo "error: a system library is missing (see above): on Debian, apt-get install $(SYSTEM_PACKAGES)" >&2; exit 1; }
	@touch $@

demo: install
	$(BIN)/snakemake --cores $(CORES) -- results/May/report.html

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check --compact-diff Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/python -m pytest

bench: install
	$(BIN)/python -m benchmarks.rasterise
	$(BIN)/python -m benchmarks.fuse
	@test ! -f results/May/model/fused.safetensors || $(BIN)/python -m benchmarks.render results/May

# Every fault in every stage, as a table (docs/reliability.md).
faults: install
	$(BIN)/python -m benchmarks.faults

# After a kill -9 on another machine of a shared file system, for who will not wait the four minutes.
unlock: install
	$(BIN)/snakemake --unlock

clean:
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
