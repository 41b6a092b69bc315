# Two commands do all set-up on a fresh machine with Python 3.11 to 3.13 and a package index:
#   make distill   the whole graph on the embedded default, ending with the report
#   make test      the tests
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# pip compiles file by file on one core, and much that is never imported. What does not compile is a template.
NEVER_IMPORTED := '/tests?/|transformers/models/[b-km-z]'

.PHONY: distill test ui check fix docs lock clean install install-dev base-model embedding-model benchmark

distill: base-model  ## run the graph: only what changed is generated and trained
	@$(BIN)/distill run

test: install-dev base-model embedding-model  ## run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

ui: base-model  ## open Dagster on loopback
	@$(BIN)/distill ui

check: install-dev  ## lint, format, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

fix: install-dev  ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install  ## write the docs that are made from code
	$(BIN)/python -m distill_assets.commands.describe docs

benchmark: install base-model  ## measure the figures of benchmarks/README.md
	$(BIN)/python -m benchmarks.graph --json

lock: install-dev  ## write constraints.txt from what is installed
	(echo "# Exact versions for every make target, made by: make lock. pyproject.toml has the ranges."; \
	 $(BIN)/pip freeze --exclude-editable | grep -v '@ file' | sed 's/+cpu//' | sort -f) > constraints.txt

clean:  ## remove what was made, but not what was generated (.distill)
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev
base-model: $(VENV)/.installed
	@$(BIN)/python -m distill_assets.clients.base_model fetch >/dev/null

embedding-model: $(VENV)/.installed  ## fetch the model that curate.embedding names by default
	@$(BIN)/python -m distill_assets.clients.base_model fetch --name minilm-l6-v2 >/dev/null

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); Python 3.11 to 3.13 is needed: make distill PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile -c constraints.txt torch -e .
	@$(BIN)/python -m compileall -q -j 0 -x $(NEVER_IMPORTED) $(VENV)/lib >/dev/null || true
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@
