# Everything a newcomer needs: `make demo` and `make test` work from a fresh clone with Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test slow check lint types docs messages install clean

demo: $(VENV)/.run
	@$(BIN)/watchkeeper demo $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(ARGS)

# Crash loops and fuzzing at length: about half an hour.
slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow -n 2 $(ARGS)

check: lint types docs

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

docs: $(VENV)/.dev
	$(BIN)/python -m pytest -q tests/docs

# Texts for translators: from the code into the template, from there into each language, and its compiled form.
CATALOGUE := config/locale/watchkeeper
ROOMS := agent cli collector config probes rules simulator
PYBABEL := $(BIN)/pybabel

messages: $(VENV)/.dev
	$(PYBABEL) --quiet extract --no-default-keywords -k _ -k noted --no-wrap --sort-output --add-location=file \
	  --project=watchkeeper --copyright-holder="The Watchkeeper Authors" -o $(CATALOGUE).pot $(ROOMS)
	$(PYBABEL) update --no-wrap --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date \
	  -D watchkeeper -i $(CATALOGUE).pot -d config/locale
	$(PYBABEL) compile -D watchkeeper -d config/locale --statistics

install: $(VENV)/.run

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Watchkeeper needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "Python's venv module is missing. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "creating $(VENV) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.run: $(VENV)/.python pyproject.toml
	@echo "installing Watchkeeper and what it needs ..." >&2
	@$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run pyproject.toml
	@echo "installing what the tests need ..." >&2
	@$(BIN)/pip install --quiet --group dev
	@touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
