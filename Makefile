# make demo | demo-pixels | test | quick | lint | docs. Each starts from nothing: it makes a virtual environment
# and installs what it needs; a second call is quick. Another Python: make test PYTHON=python3.12
PYTHON ?= python3
VENV := $(if $(filter python3,$(notdir $(PYTHON))),.venv,.venv-$(notdir $(PYTHON)))
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
CONSTRAINTS := tools/constraints/python$(VERSION).txt
PIP := $(VENV)/bin/python -m pip install --quiet --constraint $(CONSTRAINTS)
# The originals of the parity tests run on torch's CPU build, which is pinned for Python 3.11 alone:
# on 3.12 those tests are skipped with that reason.
EXTRAS = $(if $(filter 3.11,$(VERSION)),test$(comma)aot$(comma)parity,test$(comma)aot)
comma := ,
PARALLEL := --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
UNMARKED := not (long or multiprocess or tpu_aot or real_data or browser or parity)

# Compiled programs of the tests are kept between runs; it is safe to delete the folder.
test quick: export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.jax_cache

.PHONY: demo demo-pixels test quick lint docs

# Which captions are wrong? Features are computed once, small towers train on them.
demo: $(VENV)/.installed-demo
	$(VENV)/bin/python -m experiments.demo

# An image-text model from pixels, end to end.
demo-pixels: $(VENV)/.installed-demo
	$(VENV)/bin/python -m vujax.main --config=configs/distill.py

test: $(VENV)/.installed-test lint
	$(VENV)/bin/python -m pytest $(PARALLEL)

quick: $(VENV)/.installed-test
	$(VENV)/bin/python -m pytest $(PARALLEL) -m "$(UNMARKED)"

lint: $(VENV)/.installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-demo: $(VENV)/bin/python setup.cfg pyproject.toml $(CONSTRAINTS)
	$(PIP) --editable '.[sentences]'
	touch $@

$(VENV)/.installed-test: $(VENV)/bin/python setup.cfg pyproject.toml $(CONSTRAINTS)
	$(PIP) --editable '.[$(EXTRAS)]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/bin/python setup.cfg pyproject.toml $(CONSTRAINTS)
	$(PIP) --editable '.[docs]'
	touch $@
