# Every target builds .venv first when it is missing or older than the pins.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
# Activates the environment for every recipe; exported, so a path with a space is no trouble.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install demo test check bench faults ablation ui experiments dag clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' Makefile | awk -F ':.*## ' '{printf "make %-11s %s\n", $$1, $$2}'

install: $(INSTALLED) scm  ## the environment in .venv, with the pinned versions

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "face2anime needs Python 3.11-3.13, this is $$($(PYTHON) --version): make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@face2anime doctor --fetch > /dev/null || true  # its one line says what to do; the rest works
	touch $(INSTALLED)

# A source archive has no git repository: DVC then runs the pipeline, but cannot version experiments.
.PHONY: scm
scm:
	@if test -e .git; then rm -f .dvc/config.local; else \
	  printf '[core]\n    no_scm = true\n' > .dvc/config.local; \
	  echo "no git repository here: the pipeline runs, but 'dvc exp' (experiment versioning) does not, and MLflow runs carry no commit."; \
	  echo "for both: git init && git add -A && git commit -m 'from archive' && make install"; fi

demo: install  ## the whole pipeline on the embedded data, then the result
	python -m dvc repro
	@python -m pipeline.compare --show

# The tests of a file share what they make once, so one worker runs them all.
WORKERS ?= logical
test: install  ## all tests or TESTS=tests/crawl, on every core or WORKERS=2; SEED=3: in another order
	python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  $(if $(SEED),-p randomly --randomly-seed=$(SEED)) $(TESTS)

check: install  ## lint, format, types
	ruff check .
	ruff format --check .
	mypy

bench: install  ## throughput and memory, printed and written to reports/benchmarks.md; SECTIONS=…
	python -m tests.bench $(SECTIONS)

ROUNDS ?= 10
faults: install  ## break stages on purpose, kills at ROUNDS=10 moments; the table of docs/faults.md
	python -m tests.faults $(ROUNDS)

SEEDS ?= 1,2,3
ablation: install  ## all variants over SEEDS=1,2,3 as DVC experiments, tabulated in reports/ablation.md
	python -m pipeline.compare.ablation --seeds $(SEEDS)

PORT ?= 5000
ui: install  ## the MLflow UI on this project's runs, at PORT=5000
	@python -m pipeline.compare.ui --port $(PORT)

HOST ?= 127.0.0.1
STORE ?= sqlite:///mlflow.db
.PHONY: server
server: export MLFLOW_BACKEND_STORE_URI := $(STORE)
server: export MLFLOW_SERVER_ENABLE_JOB_EXECUTION := false
server: install  ## MLflow's server on STORE=…, at HOST and PORT, without passwords (docs/sharing.md)
	mlflow server --host $(HOST) --port $(PORT) --workers 1 --artifacts-destination mlruns

# KID, faces found and what was changed of two variants: 120 columns are enough.
DROP ?= (checkpoints|reports|data|models|pipeline|crawl).*|State|Executor|Created|.*_(copy|shuffled)|.*[.]kept|evaluator|winner|anime|photos|duplicates_dropped
experiments: install  ## DVC's experiments, a line each: what was changed, and the scores
	@python -m dvc exp show --only-changed --no-pager --drop '$(DROP)' $(EXPERIMENTS)

dag: install  ## the stages as a drawing, each below what it reads; DAG=--mermaid for Markdown
	@python -m pipeline.dag $(DAG)

clean:  ## remove what a run made, but not .venv, public weights or DVC's cache
	@mkdir -p .cache && find .cache -mindepth 1 -maxdepth 1 ! -name weights -exec rm -rf {} +
	rm -rf data checkpoints mlruns mlflow.db reports/index.html reports/held_out.csv reports/leaderboard.csv reports/datasets reports/sheets reports/plots
