# Two commands do everything on a machine with git, make and Python 3.11 or newer:
#   make demo    the whole portal at http://127.0.0.1:8000
#   make test    every test
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test attack lint bench messages lock

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.installed ## make .venv from the hash-pinned requirements

$(VENV)/.installed: requirements/development.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.env:
	cp .env.example .env

demo: setup .env ## serve made-up members and staff at http://127.0.0.1:8000
	@exec $(PY) manage.py demo

test: setup ## run every test (TEST_DATABASE_URL=postgres://… for PostgreSQL)
	$(PY) -m pytest $(ARGS)

attack: setup ## attack the running portal, and print what held
	$(PY) -m pytest -q -m attack tests/attack $(ARGS)

lint: setup ## style, types, import contracts, translations, dependencies, secrets
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	.ci/checks

messages: setup ## collect and compile the translations (needs gettext)
	cd $(CURDIR) && $(PY) manage.py makemessages -l ja --no-location --no-wrap --no-obsolete -i .venv -i var -i tests
	$(PY) manage.py compilemessages -l ja -i .venv -v 0

lock: setup ## pin the requirements of pyproject.toml, with hashes; list their licences
	$(PY) -m pip install --quiet pip-tools
	$(VENV)/bin/pip-compile -q --strip-extras --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header -o requirements/production.txt pyproject.toml
	$(VENV)/bin/pip-compile -q --strip-extras --allow-unsafe --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --extra dev -c requirements/production.txt -o requirements/development.txt pyproject.toml
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/development.txt
	$(PY) .ci/licences.py --write
