# Needs python3.11+ and make; everything else is put into .venv, with pinned versions.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)
# Each has machines of its own. 0: one test after the other, in this process.
WORKERS ?= 3
VENV := .venv
BIN := $(VENV)/bin
# In the order of the files: a test with machines takes its process into their network for good.
SPREAD := -n $(WORKERS) --dist loadscope --no-loadscope-reorder
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install --require-hashes

.PHONY: help demo test test-windows test-long windows-bundle test-protocol check bench bench-push bench-cp bench-faults recording format lock clean

help:  ## what there is
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/demo  ## see what it does, no server needed (ARGS="--json --no-browser")
	@$(BIN)/remotenb demo $(ARGS)

test: $(VENV)/dev  ## the whole suite; as root on Debian or Ubuntu with real machines
	@$(BIN)/python -m tests.rig prepare
	$(BIN)/python -m pytest -m "not long and not windows" $(SPREAD) $(ARGS)

test-windows: $(VENV)/dev  ## the client as a program for Windows, under Wine; as root on Debian
	@$(BIN)/python -m tests.rig prepare
	@$(BIN)/python -m tests.windows
	$(BIN)/python -m pytest tests/windows -rs $(ARGS)

test-long: $(VENV)/dev  ## all that test leaves out for time
	@$(BIN)/python -m tests.rig prepare
	REMOTENB_EXAMPLES=2000 $(BIN)/python -m pytest -m "not windows" $(ARGS)

test-protocol: $(VENV)/dev  ## 100 000 schedules of the relay's protocol; a quarter of an hour
	$(BIN)/python -m tests.pure.mux_world $(ARGS)

check: $(VENV)/dev  ## lint, types on both platforms, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --platform linux
	$(BIN)/mypy --platform win32
	$(BIN)/codespell
	$(BIN)/shellcheck --shell=sh --severity=warning remotenb/far/*.sh
	$(BIN)/shellcheck --severity=warning tests/rig/scripts/*

bench: $(VENV)/dev  ## seconds, round trips and throughput beside ssh -L and sshtunnel
	@$(BIN)/python -m tests.rig prepare
	$(BIN)/python -m tests.bench $(ARGS)

bench-push: $(VENV)/dev  ## push beside docker save | ssh docker load
	@$(BIN)/python -m tests.rig prepare
	$(BIN)/python -m tests.bench_push $(ARGS)

bench-cp: $(VENV)/dev  ## cp beside scp
	@$(BIN)/python -m tests.rig prepare
	$(BIN)/python -m tests.bench_cp $(ARGS)

bench-faults: $(VENV)/dev  ## what each fault costs, beside autossh, a loop and sshtunnel
	@$(BIN)/python -m tests.rig prepare
	$(BIN)/python -m tests.faults --out docs/reference/reliability.md $(ARGS)

recording: $(VENV)/dev  ## setup on a bare machine, in tmux, written into its guide; as root on Debian
	@$(BIN)/python -m tests.rig prepare
	$(BIN)/python -m tests.recording

windows-bundle: $(VENV)/dev  ## a folder for Windows with all in it: no Python, no internet needed
	$(BIN)/python -m tests.windows.bundle dist

format: $(VENV)/dev  ## rewrite the code as check wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(VENV)/dev  ## choose the newest versions again and pin them
	$(BIN)/python -m pip --disable-pip-version-check --quiet install uv
	$(BIN)/python tests/lock.py

clean:  ## take away what make put here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(NEW_ENOUGH)' || \
	  { echo "remotenb needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo: $(BIN)/python requirements.txt pyproject.toml
	@echo "installing remotenb and Jupyter into $(VENV) …"
	@$(PIP) -r requirements.txt
	@$(BIN)/python -m pip --disable-pip-version-check -qq install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev: $(VENV)/demo tests/requirements.txt
	@echo "installing what the tests need …"
	@$(PIP) -r tests/requirements.txt
	@touch $@
