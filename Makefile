# make demo       from nothing to a trained, evaluated model with a report (first time: installs)
# make test       every test, with real DeepSpeed ranks; make test-fast leaves those out
# make test-versions  the fast tests on the oldest versions that pyproject.toml allows, and on the newest
# make docs       the pages of the Python interface, in build/api
# make benchmark  figures beside the peers', written to docs/benchmarks.md
# make pictures   the pictures of the documents, from a run on the demo's shards

.DEFAULT_GOAL := help
SHELL := /bin/bash
BASE_PYTHON ?= python3
NEEDED_PYTHON := $(shell sed -nE 's/^requires-python = ">=([0-9.]+)"/\1/p' pyproject.toml)
OLDEST_PYTHON ?= python$(NEEDED_PYTHON)
NEWEST_PYTHON ?= python3.13
PYTHON := .venv/bin/python
DEMO := runs/demo
COMMA := ,
GPUS := $(shell nvidia-smi -L 2>/dev/null | wc -l)
ifeq ($(GPUS),0)
RANKS := 2
export DS_ACCELERATOR := cpu
export OMP_NUM_THREADS := $(shell echo $$(( ($$(nproc) + 1) / 2 )))
else
RANKS := $(GPUS)
endif
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help demo test test-fast test-versions test-oldest test-newest lint docs benchmark pictures clean-demo

help:
	@sed -n '/^# /!q; s/^# //p' Makefile

demo: .venv/ready clean-demo $(DEMO)/shards/train/manifest.json
	@echo "== Pretrain with $(RANKS) ranks"
	deepspeed --quiet --num_gpus $(RANKS) launch/pretrain.py demo --deepspeed_config ds_configs/zero1_fp32.json \
	    data.train=$(DEMO)/shards/train data.validation=$(DEMO)/shards/validation run=$(DEMO)/run
	@echo "== Evaluate on text the model has not seen"
	python launch/evaluate.py $(DEMO)/run --data $(DEMO)/shards/test
	@echo "== Generate"
	python launch/generate.py $(DEMO)/run --prompt "The function returns" --max-new-tokens 120 \
	    --temperature 0.8 --top-k 50 --seed 1
	@echo "== Report"
	python launch/report.py $(DEMO)/run

$(DEMO)/shards/train/manifest.json: | .venv/ready
	@echo "== Gather text that every machine has: the Python standard library"
	python preprocess/builtin_corpus.py --output $(DEMO)/corpus
	@echo "== Train a tokenizer"
	python preprocess/train_tokenizer.py --input '$(DEMO)/corpus/train*.txt' --model-type unigram \
	    --vocab-size 4000 --sample-bytes 3MB --output $(DEMO)/tokenizer
	@echo "== Shard"
	for split in validation test train; do \
	    python preprocess/shard.py --input "$(DEMO)/corpus/$$split*.txt" --tokenizer $(DEMO)/tokenizer \
	        --output $(DEMO)/shards/$$split --workers 2 || exit; done

clean-demo:
	@rm -rf $(DEMO)/run

test: .venv/ready lint
	python -m pytest --numprocesses 2 --durations 40

test-fast: .venv/ready
	python -m pytest -m "not ranks and not slow"

test-versions: test-oldest test-newest

test-oldest: ON = $(OLDEST_PYTHON)
test-oldest: NAMED := OLDEST_PYTHON
test-oldest: HELD := sed -nE '/^requires/!s/.*"([a-z][a-z0-9.-]*)>=([0-9.]+).*/\1==\2/p' pyproject.toml
test-newest: ON = $(NEWEST_PYTHON)
test-newest: NAMED := NEWEST_PYTHON
test-newest: HELD := true
test-oldest test-newest: test-%:
	@if ! $(ON) -c '' 2>/dev/null; then \
	    echo "== Skipped the $* versions: $(ON) does not run here ($(NAMED)=… names another)"; exit; fi; \
	set -e; echo "== The $* versions, in .venvs/$*"; \
	test -d .venvs/$* || $(ON) -m venv .venvs/$*; \
	$(HELD) >.venvs/$*/held.txt; \
	export PATH="$(CURDIR)/.venvs/$*/bin:$$PATH"; \
	python -m pip install --quiet --upgrade pip; \
	install="python -m pip install --quiet --upgrade --upgrade-strategy eager --constraint .venvs/$*/held.txt torch"; \
	$$install; $$install --editable '.[dev]'; \
	dslm doctor; python -m pytest -m "not ranks and not slow"

lint: .venv/ready
	ruff check .
	ruff format --check .
	codespell
	mypy

docs: .venv/ready
	pdoc --docformat google --no-show-source --no-search -o build/api dslm.api dslm.preprocess.api

benchmark: .venv/ready
	python benchmarks/run.py

pictures: .venv/ready $(DEMO)/shards/train/manifest.json
	python benchmarks/pictures.py

# torch first: later packages then keep the version that is there.
.venv/ready: pyproject.toml constraints.txt
	@$(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < ($(subst .,$(COMMA),$(NEEDED_PYTHON))))' 2>/dev/null || { \
	    echo "error: BASE_PYTHON = $(BASE_PYTHON): dslm needs Python $(NEEDED_PYTHON) or newer;" \
	        "name one: make demo BASE_PYTHON=$(OLDEST_PYTHON)" >&2; exit 2; }
	@echo "== Make .venv and install the tested versions (minutes, once)"
	$(BASE_PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade pip
	.venv/bin/python -m pip install --constraint constraints.txt torch
	.venv/bin/python -m pip install --constraint constraints.txt --editable '.[dev]'
	.venv/bin/dslm doctor
	@touch .venv/ready
