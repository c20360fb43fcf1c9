# make run     run the virtual line through model, spool, SDK, local hub and verdicts
# make test    all tests              make check  format, lint, types, architecture
# make bench   side-by-side figures   make train  train models/pcb-defects anew
# make soak    faults, patches, models and cameras at random for SOAK_SECONDS (180), then the sum
# make loop    the whole loop for LOOP_SECONDS (20): line, module, hub, event hub, two verifier
#              workers, a failing Vision API, blob storage, and back; KILL_AT=5 kills a worker
# make audit   known vulnerabilities and licences of all that is locked
# make images  build all images without Docker or a registry, and test them (Debian, root)
# The first of them makes .venv and installs the pinned requirements.

PYTHON ?= python3
TEST_JOBS ?= 3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PROTON := $(VENV)/.proton
AZURITE := .azurite/node_modules/.bin/azurite-blob

# RUN_SECONDS, SOURCE, MODEL, CUT_AT, CUT_FOR: see README.md.
RUN_ARGS := $(if $(RUN_SECONDS),--seconds $(RUN_SECONDS)) \
            $(if $(SOURCE),--source '$(SOURCE)') $(if $(MODEL),--model '$(MODEL)') \
            $(if $(CUT_AT),--cut-at $(CUT_AT)) $(if $(CUT_FOR),--cut-for $(CUT_FOR))

.PHONY: run soak loop test test-slow check images audit format bench train generate lock azurite proton clean

# Setuptools warns of each editable install, in a box of stars.
$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25'
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

run: $(READY)
	@$(BIN)/python -m demo $(RUN_ARGS)

soak: $(READY)
	@$(BIN)/python -m demo.soak $(if $(SOAK_SECONDS),--seconds $(SOAK_SECONDS)) \
	  $(if $(SOAK_SEED),--seed $(SOAK_SEED))

loop: $(READY) $(PROTON) $(AZURITE)
	@$(BIN)/python -m loop $(if $(LOOP_SECONDS),--seconds $(LOOP_SECONDS)) \
	  $(if $(KILL_AT),--kill-at $(KILL_AT))

# In a few processes: most of what a test does is wait for somebody.
test: $(READY)
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist worksteal

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/architecture

images: $(READY)
	@bash tests/image/run.sh

# pip-audit is a tool for this target only; it never enters .venv.
audit: $(READY)
	@[ -x .venv-audit/bin/pip-audit ] || $(PYTHON) -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet 'pip-audit>=2.10,<3'
	@$(BIN)/python -m deploy.supply.audit --tool .venv-audit/bin/pip-audit

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	@$(BIN)/python -m bench

# Schemas, reference pages and manifest defaults; tests fail when they are stale.
generate: $(READY)
	$(BIN)/python -m docs.generate

# PyTorch is a tool for this target only; it never enters .venv.
train: $(READY)
	$(PYTHON) -m venv .venv-train
	.venv-train/bin/python -m pip install --quiet -r requirements/train.txt
	PYTHONWARNINGS=ignore .venv-train/bin/python -m pip install --quiet --no-deps --editable .
	.venv-train/bin/python -m training

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --extra edge --extra console pyproject.toml -o requirements/edge.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --extra dev pyproject.toml -o requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --extra cloud pyproject.toml -o requirements/cloud.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --extra loop -c requirements/dev.txt pyproject.toml \
	  -o requirements/loop.txt

# Microsoft's blob storage emulator, without which its tests skip; needs node and npm.
azurite: $(AZURITE)

$(AZURITE):
	@command -v npm >/dev/null || { echo 'Azurite needs node and npm: install them first'; exit 1; }
	npm install --silent --no-audit --no-fund --prefix .azurite azurite@3.35.0

# AMQP 1.0 for the event hub on loopback, without which its tests skip. It is built from C in a
# minute; Debian needs gcc, libc6-dev and python3-dev for that, and nothing else.
proton: $(PROTON)

$(PROTON): $(READY) requirements/loop.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/loop.txt
	touch $@

clean:
	rm -rf $(VENV) .venv-train .venv-audit run out .mypy_cache .ruff_cache .pytest_cache .hypothesis
