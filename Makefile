# Everything a person or CI runs. `make test` and `make demo` need nothing but Python 3.11+ and make.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
VERSION := 0.1.0
IMAGE  ?= modelrollout.dev/modelrollout:$(VERSION)

# What is imported is compiled once: otherwise each worker and each process that a test starts does it anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install tools lint test test-demo test-fast crds chart image lock presets reference docs docs-site bench-analysis bench-comparer \
  bench-shadow bench-switch bench-telemetry demo sandbox kind clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "ModelRollout needs Python 3.11 or later; set PYTHON=…")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[sandbox,tracing,dev]'
	@touch $@

install: $(READY) ## make .venv with everything in it

tools: $(READY) # what pip cannot bring: Prometheus and Helm
	@sh tools/get-prometheus.sh
	@sh tools/get-helm.sh

lint: $(READY) ## style, types, layers, drift of what is generated
	$(BIN)/ruff format --check operator sandbox demo tests examples benchmarks charts manual
	$(BIN)/ruff check operator sandbox demo tests examples benchmarks charts manual
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m modelrollout.api.crd --check crds
	$(BIN)/python -m charts --check
	$(BIN)/python -m modelrollout.api.presets --check docs/presets.md
	$(BIN)/python -m manual --check

test: tools ## everything, as CI does
	$(MAKE) --jobs 3 --no-print-directory lint tests-but-demo test-demo

.PHONY: tests-but-demo
tests-but-demo: tools
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not demo"

test-demo: tools # waits most of its time, so the rest runs beside it
	$(BIN)/pytest -m demo tests/integration/test_demo.py tests/integration/test_tutorial.py

test-fast: $(READY) ## the product alone, without what tests/conftest.py calls slow: about a minute
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" tests/unit tests/scenarios

crds: $(READY) ## write crds/ from the models, and the chart's copy
	$(BIN)/python -m modelrollout.api.crd crds
	$(BIN)/python -m charts

chart: $(READY) ## write what is generated in the chart: permissions, definitions, table of values
	$(BIN)/python -m charts

image: ## build the operator's image with an SBOM, by Docker with its containerd image store; IMAGE=name:tag, PUSH=1
	docker buildx build --file operator/Dockerfile --tag $(IMAGE) --sbom=true --provenance=mode=max \
	  --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) $(if $(PUSH),--push,--load) .
	mkdir -p build
	docker buildx imagetools inspect $(IMAGE) --format '{{ json .SBOM }}' > build/sbom.json || \
	  echo 'The SBOM is part of the image; a copy in build/sbom.json needs an image that was pushed (PUSH=1).'

lock: ## choose the newest versions for the image, and write them down with their hashes
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	build/lock/bin/uv pip compile pyproject.toml --quiet --upgrade --generate-hashes --no-annotate \
	  --extra tracing --python-version 3.11 --python-platform linux --custom-compile-command 'make lock' \
	  --output-file operator/requirements.lock

presets: $(READY) ## write docs/presets.md from the catalogue
	$(BIN)/python -m modelrollout.api.presets docs/presets.md

reference: $(READY) ## write docs/reference.md: fields, flags and the chart's values
	$(BIN)/python -m manual

docs: presets reference ## write what the code makes in docs/, the pictures and the quotes of verdicts.md included
	$(BIN)/python -m benchmarks.pictures

# In an environment of its own: whoever develops the operator need not install what makes a site.
docs-site: ## make build/site from docs/; SERVE=1 shows it at http://127.0.0.1:8000 and follows edits
	test -x build/site-tools/bin/mkdocs || $(PYTHON) -m venv build/site-tools
	build/site-tools/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["site"])' \
	  | xargs build/site-tools/bin/python -m pip install --quiet --disable-pip-version-check
	build/site-tools/bin/mkdocs $(if $(SERVE),serve,build) --strict

bench-analysis: $(READY) ## false rollbacks and time to detect, beside other tools and the limit; ARGS=--full for all runs
	$(BIN)/python -m benchmarks.analysis $(ARGS)

bench-switch: $(READY) ## how long a blue-green switch takes at a real gateway, and whether anybody loses an answer
	$(BIN)/python -m benchmarks.switch $(ARGS)

bench-shadow: $(READY) ## whether users notice that a candidate gets copies of their requests
	$(BIN)/python -m benchmarks.shadow $(ARGS)

bench-comparer: $(READY) ## how many answers a comparer compares on one core, and what each costs
	$(BIN)/python -m benchmarks.comparer $(ARGS)

bench-telemetry: $(READY) ## what a scrape of a thousand rollouts costs, and how long passes wait for it
	$(BIN)/python -m benchmarks.telemetry $(ARGS)

demo: tools ## watch good and bad releases on real parts; STRATEGY=ab, shadow, bluegreen, all-stages or canary
	$(BIN)/python -m demo $(if $(STRATEGY),--strategy $(STRATEGY))

sandbox: tools ## start the same cluster and leave it running
	$(BIN)/python -m demo.playground

kind: ## a kind cluster with a gateway, for those who have Docker and kind
	sh tools/kind.sh

clean: ## remove what was built
	rm -rf build $(VENV)
