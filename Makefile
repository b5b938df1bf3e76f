# make demo   the main job on an embedded dataset      make test   the tests
# make plan   what a run would make, by rule: of config/config.yaml, or of make plan CONFIG=mine.yaml
# make estimate   what that takes: hours by rule, disk, memory; on this machine, or CORES=8 GPUS=1 CARD=a5500; all, WHOLE=1
# make report-zip   the report with all that it shows, to pass on: results/report.zip; with CONFIG as above
# make lint   formatters, linters, types                make lock   the pins, from pyproject.toml
# make schema the config's schema and reference page, from its models
# make oracle the simulator against D4RL's original     make bench  the speed, against physics alone
# make behaviour   the behaviour policies, trained anew
# make docs   the pages of docs/ as a site, in site/: open site/index.html
# make wheel  the package without the workflow around it, in dist/
# And the tests that `make test` leaves out:
# make test-slow      faults on real processes; the wheel in fresh environments, for which pip brings packages from PyPI
# make test-commands  the commands of README and docs that take minutes, from `make demo` in a clean clone on
# make test-browser   the report in Chromium; brings two packages from npm
# make test-cluster   on a real Slurm of one node; needs root and Debian's packages
# make test-all       all of them

# The first Python that runs, has the right version and can make an environment.
FITS := 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c $(FITS) 2>/dev/null && echo $$p && break; done)
CORES ?= all
BIN := .venv/bin
INSTALLED := .venv/.installed
SITE := .venv/.installed-docs

demo: $(INSTALLED)
	$(BIN)/snakemake --cores $(CORES) --configfile config/quickstart.yaml --logger d4rl-automl

ESTIMATE = $(BIN)/python -m d4rl_automl.plan.estimate --cores $(CORES) $(if $(CONFIG),--configfile $(CONFIG)) \
  $(if $(GPUS),--gpus $(GPUS)) $(if $(CARD),--card $(CARD)) $(if $(WHOLE),--whole)
plan: $(INSTALLED)
	@$(ESTIMATE) --plan

estimate: $(INSTALLED)
	@$(ESTIMATE)

report-zip: $(INSTALLED)
	$(BIN)/snakemake --cores $(CORES) $(if $(CONFIG),--configfile $(CONFIG)) -- results/report.zip

test: $(INSTALLED)
	$(BIN)/pytest --numprocesses logical --dist loadfile --no-loadscope-reorder

# What is slow by nature, one after the other: jobs that are killed, full disks, fresh environments.
test-slow: $(INSTALLED)
	$(BIN)/pytest tests/faults tests/wheel

test-all: test test-slow test-commands test-browser
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) test-cluster; else echo "make test-cluster is left out: it needs root"; fi

test-commands: $(INSTALLED)
	$(BIN)/pytest tests/commands

# The tests are skipped, and say so, where there is no Chromium or Node.js.
test-browser: $(INSTALLED)
	@if command -v npm > /dev/null; then npm ci --prefix tests/browser --no-audit --no-fund --silent; fi
	$(BIN)/pytest tests/browser -rs

# Starts and stops a Slurm of its own on the loopback interface; its configuration is in /etc/slurm meanwhile.
SLURM := /usr/sbin/slurmctld
test-cluster: install-cluster $(SLURM)
	$(BIN)/pytest tests/cluster

$(SLURM):
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends slurm-wlm munge

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint --configfile config/quickstart.yaml

install: $(INSTALLED)

# Snakemake's plugin for Slurm, apart: Snakemake loads every plugin there is whenever it starts, and this one loads pandas.
install-cluster: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r envs/lock-cluster.txt

# A warning, such as a link that leads nowhere, fails it.
docs: $(SITE)
	rm -rf site
	$(BIN)/python -m sphinx --quiet --fail-on-warning --fresh-env --doctree-dir build/doctrees docs site
	@echo "open site/index.html"

$(SITE): $(INSTALLED) envs/lock-docs.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r envs/lock-docs.txt
	@touch $@

# What an earlier build left would go into it.
wheel: $(INSTALLED)
	rm -rf build
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

schema: $(INSTALLED)
	$(BIN)/python -m d4rl_automl.plan.schema

# Records transitions in D4RL's original simulator anew, and compares ours with them.
ORIGINAL := .venv-mujoco-py/.installed
oracle: $(INSTALLED) $(ORIGINAL)
	.venv-mujoco-py/bin/python tests/oracle/record.py --output tests/oracle/mujoco210.npz
	.venv-mujoco-py/bin/python tests/oracle/record_antmaze.py --output tests/oracle/antmaze210.npz
	$(BIN)/pytest tests/unit/test_oracle.py tests/unit/test_antmaze.py tests/unit/test_original_simulator.py

$(ORIGINAL): envs/mujoco-py/install.sh envs/mujoco-py/requirements.txt envs/mujoco-py/mujoco-py.pth
	envs/mujoco-py/install.sh

# Half an hour of a core. Files as in src/d4rl_automl/resources/behaviour are then in results/behaviour/chosen.
TRAINING := .venv-behaviour/.installed
behaviour: $(INSTALLED) $(TRAINING)
	$(BIN)/snakemake --cores $(CORES) behaviour

$(TRAINING): envs/behaviour/install.sh envs/behaviour/requirements.txt
	envs/behaviour/install.sh

BENCHMARKS := rollout maze vector trees serial teacher scaling collection transitions plan evaluation
bench: $(INSTALLED)
	set -e; for b in $(BENCHMARKS); do $(BIN)/python benchmarks/$$b.py --quick; done

bench-full: $(INSTALLED)
	set -e; for b in $(BENCHMARKS); do $(BIN)/python benchmarks/$$b.py; done

# Torch stays out of the hashed lock: pip takes a CPU build where it finds one and PyPI's
# CUDA build, with the libraries it needs, elsewhere.
$(INSTALLED): envs/lock.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with its venv module is needed; found none. Try: make PYTHON=/path/to/python3.12 install"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r envs/lock.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	@touch $@

# One lock serves Python 3.11 to 3.13: the pins of the oldest have wheels for all three.
lock:
	$(LOCK) --upgrade --extra workflow --extra dev --output-file envs/lock.txt
	set -e; for extra in cluster docs; do rm -f envs/lock-$$extra.txt; \
	  $(LOCK) --extra $$extra --constraint envs/lock.txt $$(sed -n 's/^\([^ =]*\)==.*/--no-emit-package \1/p' envs/lock.txt) \
	  --output-file envs/lock-$$extra.txt; done

LOCK := uv pip compile pyproject.toml --quiet --generate-hashes --no-annotate --no-header \
  --python-version 3.11 --python-platform x86_64-unknown-linux-gnu \
  --excludes envs/lock-excludes.txt --no-emit-package torch

.PHONY: demo plan estimate report-zip test test-slow test-commands test-browser test-all test-cluster lint install install-cluster docs wheel schema oracle behaviour bench bench-full lock
