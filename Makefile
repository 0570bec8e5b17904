# The front door: `make help` lists what there is.
.DEFAULT_GOAL := help
PYTHON ?= python3
AUTHOR := .venv/bin
COMPONENTS := .venv-components/bin
# What makes the cluster of `make kind`: kind or minikube.
MAKER ?= kind
# A file's tests share what they are slow to make; conftest.py orders the files.
PYTEST := -m pytest -q -n auto --dist loadfile --no-loadscope-reorder
UV_COMPILE := $(AUTHOR)/uv pip compile --quiet --generate-hashes --no-annotate --custom-compile-command 'make lock'

# What a repository made by `ct init` has of its own; what it shares is linked there.
MADE := kfp_ct/new/templates/repository/requirements

.PHONY: help setup setup-dev run run-small serve test test-deep test-fast coverage check build wheel format docs kind kind-programs kind-down lock clean

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## prepare both environments and the example data (does nothing when they are current)
	@$(PYTHON) -m kfp_ct.project.environments

setup-dev: ## the same, with what checks and tests need
	@$(PYTHON) -m kfp_ct.project.environments --dev

run: setup ## run the whole continuous-training pipeline on the flights example
	@$(AUTHOR)/ct run flights

run-small: setup ## the same on three months and two epochs: what every build runs
	@$(AUTHOR)/ct run flights --window-end 2013-04-01 --set hyperparameters.epochs=2 --set hyperparameters.batch_size=512

serve: setup ## serve the deployed model over TF Serving's REST API
	@$(AUTHOR)/ct serve

test: setup-dev ## run every test, in both environments at once
	$(AUTHOR)/python tests/run.py

test-deep: setup-dev ## the same, with two to three times the examples where a property test's one is dear
	CT_TESTS_DEEP=1 $(AUTHOR)/python tests/run.py

test-fast: setup-dev ## run the tests that start no process and need no TensorFlow: seconds
	$(AUTHOR)/python $(PYTEST) tests/unit

coverage: setup-dev ## lines and branches of components/ that their tests reach, per file
	$(COMPONENTS)/python $(PYTEST) --cov=components --cov-branch --cov-report=term-missing:skip-covered

check: setup-dev ## lint, types and import rules
	$(AUTHOR)/ruff check .
	$(AUTHOR)/ruff format --check .
	$(AUTHOR)/mypy
	$(AUTHOR)/lint-imports

build: setup-dev ## run the whole build (cloudbuild.yaml) here, in containers: needs docker, docker-registry, 30 GB of disk
	$(AUTHOR)/python infra/whole_build.py

wheel: setup ## build the library's wheel, from which others install it, into dist/
	@$(AUTHOR)/uv build --quiet --wheel .
	@ls dist/*.whl

format: setup-dev ## rewrite sources in the project's format
	$(AUTHOR)/ruff check --fix .
	$(AUTHOR)/ruff format .

docs: setup-dev ## write the generated pages of docs/ and the schemas of settings for editors again; build the site into .ct/site
	$(AUTHOR)/python -m kfp_ct.cli.reference docs/cli.md
	$(AUTHOR)/python -m kfp_ct.cli.setting_reference docs/settings.md
	$(AUTHOR)/python -m kfp_ct.cli.setting_schemas
	$(AUTHOR)/python -m kfp_ct.cli.component_reference docs/components
	$(AUTHOR)/python -m kfp_ct.cli.notebook docs/notebook.md
	$(AUTHOR)/python -m sphinx -q -W --keep-going -c infra/site -d .ct/doctrees docs .ct/site
	@echo "the site is .ct/site/index.html"

lock: ## resolve the lock files again from requirements/*.in
	$(UV_COMPILE) --universal --python-version 3.11 requirements/author.in -o requirements/author.txt
	@# uv's own pin, for images whose other packages are not the author's.
	awk '/^uv==/ {on = 1} on {print} on && !/\\$$/ {exit}' requirements/author.txt > requirements/uv.txt
	$(UV_COMPILE) --universal --python-version 3.11 requirements/author-dev.in -o requirements/author-dev.txt
	$(UV_COMPILE) --python-version 3.11 --python-platform x86_64-manylinux_2_36 requirements/components-older-glibc.in -o requirements/components-older-glibc.txt
	$(UV_COMPILE) --universal --python-version 3.12 requirements/components-current.in -o requirements/components-current.txt
	$(UV_COMPILE) --universal --python-version 3.12 --override requirements/components-image-overrides.in requirements/components-image.in -o requirements/components-image.txt
	$(UV_COMPILE) --universal --python-version 3.12 requirements/components-gpu.in -o requirements/components-gpu.txt
	$(UV_COMPILE) --universal --python-version 3.12 requirements/serving.in -o requirements/serving.txt
	$(UV_COMPILE) --universal --python-version 3.11 requirements/components-dev.in -o requirements/components-dev.txt
	$(UV_COMPILE) --universal --python-version 3.11 --no-deps requirements/data.in -o requirements/data.txt
	$(UV_COMPILE) --universal --python-version 3.11 $(MADE)/author-dev.in -o $(MADE)/author-dev.txt
	$(UV_COMPILE) --universal --python-version 3.11 $(MADE)/components-dev.in -o $(MADE)/components-dev.txt

kind: kind-programs setup ## run it on Kubeflow Pipelines here: needs docker, kubectl, kind (or MAKER=minikube), 12 GB of memory
	@PYTHONPATH=.:infra $(AUTHOR)/python -m kind.main --maker $(MAKER)

kind-programs: # looked for before anything is set up
	@PYTHONPATH=infra $(PYTHON) -m kind.tools docker $(MAKER) kubectl

kind-down: ## remove that cluster and its registry
	@PYTHONPATH=.:infra $(AUTHOR)/python -m kind.main --maker $(MAKER) --down

clean: ## delete both environments and all local state (runs, cache, registry, served models)
	rm -rf .venv .venv-components .ct
