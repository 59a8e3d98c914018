# Two commands on a fresh machine with Python 3.11 and make:
#   make run    the environment, simulated cohort, real heads, every notebook, the book in runs/latest/
#   make test   lint, types, import directions, tests

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Leave the constraint out to get the torch build of your choice: make setup CONSTRAINTS=
CONSTRAINTS ?= -c requirements/ci-constraints.txt

# Threads that wait by spinning slow each other down as soon as anything else runs on the machine.
export OMP_WAIT_POLICY ?= PASSIVE

# Tests on a process a core, each of one thread: on two cores half the time.
PARALLEL := -n logical --maxprocesses 4

.PHONY: run test browser-test notebook-test lab weights real setup clean

# Notebooks at a time. Times for the README are measured with JOBS=1.
JOBS ?= 2

run: setup
	$(BIN)/python -m toposlearn all --jobs $(JOBS)

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not notebook and not browser" $(PARALLEL) --dist loadfile

# Drives the explorer and the book in a headless Chromium: $CHROMIUM, or chromium on the PATH.
browser-test: setup
	$(BIN)/python -m pytest -m browser

# That a copy without the solutions stops at its first check, and that notebooks run on a folder of other people.
notebook-test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m notebook $(PARALLEL) --dist worksteal

lab: setup
	$(BIN)/jupyter lab --ServerApp.ip=127.0.0.1 notebooks

# Make again what checkpoints/lab ships: cohorts, every variant with three seeds, the tables of results. Some 12 hours.
# Real people to measure on: .venv/bin/python data_scripts/malf.py --out data/malf
REAL = --real data/malf --labels neuromorphometrics --source "MALF (MICCAI 2012 challenge; OASIS), $(LABELS_ARE)"

weights: setup
	$(BIN)/python -m toposlearn cohort --out data/cohort
	$(BIN)/python -m toposlearn cohort --anatomy B --subjects 16 --seed 100 --out data/cohort_b
	$(BIN)/python -m toposlearn ablation --held-out data/cohort_b $(REAL) --shipped checkpoints/lab
	$(BIN)/python -m toposlearn matchers --held-out data/cohort_b $(REAL) --seeds 1 --shipped checkpoints/lab
	$(BIN)/python -m toposlearn cohort --subjects 32 --seed 300 --out data/test_a
	$(BIN)/python -m toposlearn cohort --anatomy B --subjects 32 --seed 400 --out data/test_b
	$(BIN)/python -m toposlearn evaluate --checkpoints runs/ablation --test data/test_a --test data/test_b
	cp runs/evaluation/results.json checkpoints/lab/evaluation.json
	$(BIN)/python -m toposlearn pairing --steps 600 --seeds 1 --shipped checkpoints/lab

# Measure the relations of real people again, as in checkpoints/real. Download first (licences: data_scripts/README.md):
#   .venv/bin/python data_scripts/malf.py --out data/malf
#   .venv/bin/python data_scripts/landmarks.py --out data/landmarks
# MALF is the folder with the label maps ID_glm.nii.gz as published: 20 of its 30 people were measured, one scan of each.
MALF ?= data/downloads/malf
LANDMARKS ?= data/landmarks
SCANS := 1000 1001 1003 1004 1006 1007 1009 1010 1012 1013 1015 1017 1019 1036 1104 1107 1113 1116 1122 1125
LABELS_ARE := labels provided by Neuromorphometrics, Inc. (neuromorphometrics.com) under academic subscription; CC BY-NC
MALF_IS := MALF (MICCAI 2012 challenge), 20 people of OASIS, one scan each; $(LABELS_ARE)
LANDMARKS_ARE := AFIDs-OASIS (Taha et al. 2023), 30 people of OASIS, mean over raters (mostly three); CC BY 4.0

real: setup
	$(BIN)/python -m toposlearn topology $(SCANS:%=$(MALF)/%_glm.nii.gz) --labels neuromorphometrics \
		--within 0 --source "$(MALF_IS)" --out runs/malf
	$(BIN)/python -m toposlearn topology --points $(LANDMARKS)/*.fcsv --source "$(LANDMARKS_ARE)" --out runs/landmarks
	mkdir -p checkpoints/real
	cp runs/malf/result.json checkpoints/real/malf_topology.json
	cp runs/landmarks/result.json checkpoints/real/landmarks_topology.json

setup: $(STAMP)

# The stamp is written last: after an interruption the recipe starts again, and an environment that cannot be
# repaired (no pip, or a package that does not import) is made anew.
$(STAMP): pyproject.toml requirements/ci-constraints.txt
	@rm -f $@
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or later is needed: make PYTHON=/path/to/python3.11")'
	@echo "Setting up $(VENV): one to two minutes the first time"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(install) && $(check) || { echo "Making $(VENV) anew"; $(PYTHON) -m venv --clear $(VENV) && $(install) && $(check); }
	@touch $@

install = $(BIN)/python -m pip install -q $(CONSTRAINTS) -e '.[dev]'
check = $(BIN)/python -m pip check -q && $(BIN)/python -c 'import toposlearn, torch, monai, nibabel, matplotlib, papermill, ipywidgets, jupyterlab, nilearn, accelerate, pytest'

clean:
	rm -rf $(VENV) runs build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
