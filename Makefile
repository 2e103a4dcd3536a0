# `make demo` and `make test` each work alone on a machine with only Python ≥ 3.11, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test bench slow lint audit clean

demo: $(VENV)/.installed
	$(BIN)/driftline demo --out demo

test: $(VENV)/.installed lint
	$(BIN)/pytest -n 2

bench: $(VENV)/.installed
	$(BIN)/pytest -n 2 -m bench

slow: $(VENV)/.installed
	$(BIN)/pytest -n 2 -m slow

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: $(VENV)/.installed
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	$(VENV)/audit/bin/pip-audit --path $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo state state-replay
