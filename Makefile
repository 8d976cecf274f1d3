# The few commands that everyone needs. `sh setup.sh dev` comes first.
BIN := .venv/bin
# Tests run in several processes already.
export OPENBLAS_NUM_THREADS = 1

.PHONY: help dataset test test-fast test-trainer test-skypilot fuzz lint format docs golden presets bench

help:            ## Show these commands
	@grep -E '^[a-z-]+: +.*##' Makefile | sed 's/: *[^#]*## /\t/' | expand -t 14

dataset:         ## Build the whole published dataset from the real sources
	$(BIN)/kanjiprep build

test: lint       ## Every check and test, and that every raise was reached
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(or $(WORKERS),auto) --dist loadfile
	$(BIN)/coverage combine -q
	$(BIN)/python -m tests.raises

test-fast:       ## What is not marked slow, for while you work
	$(BIN)/pytest -q -n $(or $(WORKERS),auto) --dist loadfile -m "not slow and not trainer"

test-trainer:    ## The tests with the real SimpleTuner, in an environment of its own outside the checkout
	$(BIN)/kanjiprep setup-trainer --accelerator cpu
	$(BIN)/pytest -m trainer -n 2 --dist loadfile --no-loadscope-reorder tests/trainer

test-skypilot: export KANJIPREP_REMOTE_HOME = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kanjiprep/test-skypilot
test-skypilot:   ## The tests with the real SkyPilot, in an environment of its own and with no key of yours
	LAMBDA_API_KEY=none $(BIN)/kanjiprep setup-remote
	$(BIN)/pytest tests/integration/test_skypilot.py

fuzz:            ## Give every reader broken files for a minute; SECONDS=3600 for a night
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60)

lint:            ## Ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format:          ## Let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs:            ## Renew the reference in README.md, the rules in docs/rules.md and the front page of the help
	$(BIN)/python -m kanjiprep.cli.reference
	$(BIN)/cog -r README.md docs/presets.md docs/rules.md docs/step-table.md

golden:          ## Write the golden files anew; look at the difference before you commit it
	$(BIN)/pytest -q --update-golden tests/test_raster.py tests/test_card.py tests/test_json_schemas.py \
		tests/integration/test_every_command.py

presets:         ## Render the JSON files of simpletuner_configs/ anew from their run.toml
	$(BIN)/pytest -q --update-golden tests/test_rendered_presets.py

bench:           ## Time the build against the naive script and rsvg-convert
	$(BIN)/python benchmarks/bench_build.py
