# Everything a developer or CI runs. `make demo` needs only Python 3.11 and a C toolchain.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
ROOMS := manifests keys media bundler runtime cli
SOURCES := $(ROOMS) tests bench docs examples setup.py
export ORT_DISABLE_TELEMETRY = 1

.PHONY: demo test check format schema clean

demo: .venv/ready
	$(BIN)/python examples/demo.py

test: .venv/ready
	$(BIN)/python -m pytest

check: .venv/ready .ns/ready
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	MYPYPATH=.ns $(BIN)/mypy $(addprefix -p sealift.,$(ROOMS))
	$(BIN)/lint-imports

format: .venv/ready
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

# Everything that is written from the code and committed beside it; tests hold both together.
schema: .venv/ready
	$(BIN)/python -m sealift.manifests.schema > manifests/recipe.schema.json
	$(BIN)/python docs/generate_recipes.py > docs/recipes.md
	$(BIN)/python docs/generate_cli.py > docs/cli.md

.venv/ready: pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[build,test,check]'
	touch $@

# mypy cannot follow setuptools' editable finder: show it the rooms as one plain package.
.ns/ready:
	mkdir -p .ns/sealift
	for room in $(ROOMS); do ln -sfn ../../$$room .ns/sealift/$$room; done
	touch $@

clean:
	rm -rf .venv .ns .demo .work build dist *.egg-info
