# run: the coach in this terminal, or on the platforms whose tokens are set. test: everything. lint: style, types, imports.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# What was compiled once is kept: a process of the tests would compile libraries for longer than it runs.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run install test postgres espeak container bench bench-grading head lint check audit lock
.DEFAULT_GOAL := run

run: .venv/.run
	@$(BIN)/coach run

install: .venv/.run

test: .venv/.dev postgres espeak
	$(BIN)/pytest -q -n 2 --dist worksteal

# The tests start a PostgreSQL of their own; where it can't be had they say so and leave out what needs it.
postgres:
	@tests/peers/install_postgres || echo "no PostgreSQL here: what needs it is left out" >&2

# They speak with espeak-ng; where it can't be had they say so and leave out what is spoken.
espeak:
	@tests/peers/install_espeak || echo "no espeak-ng here: what is spoken is left out" >&2

# The Dockerfile's steps, carried out in a clean folder up to a graded reply: it installs everything, which takes about a minute.
container: .venv/.dev
	COACH_TEST_IMAGE=1 $(BIN)/pytest -q -n0 tests/test_container.py

# What docs/benchmarks.md says of speed.
bench: .venv/.dev postgres espeak
	$(BIN)/python tests/bench/figures.py --forget
	$(BIN)/python tests/bench/packs.py
	$(BIN)/python tests/bench/start.py
	$(BIN)/python tests/bench/memory.py
	$(BIN)/python tests/bench/discord_ack.py
	$(BIN)/python tests/bench/postgres.py
	$(BIN)/python tests/bench/deliveries.py
	$(BIN)/python tests/bench/burst.py
	COACH_KILLS=1000 COACH_EVERY_CALL=1 COACH_STEPS=30 COACH_EXAMPLES=4000 $(BIN)/pytest -q -n 2 --dist worksteal --durations=6 tests/test_kills.py tests/test_machine.py
	COACH_FUZZ=20000 $(BIN)/pytest -q -n 2 --dist worksteal tests/test_fuzz.py
	$(BIN)/python tests/bench/grading_speed.py
	$(BIN)/python tests/bench/speech.py
	$(BIN)/python tests/bench/figures.py

# How well the grader agrees with markers; about a quarter of an hour, and more where COACH_PUBLIC_SETS names a folder of public sets.
bench-grading: .venv/.dev
	PYTHONPATH=tests $(BIN)/python -m bench.grading
	PYTHONPATH=tests $(BIN)/python -m bench.metamorphic_all
	PYTHONPATH=tests $(BIN)/python -m bench.generalises

# Fits bot/grading/weights/head.json anew: after any change of the encoder, the evidence, the packs' lines or the marked replies.
head: .venv/.dev
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m bot.grading.training.head --replies tests/grading/own.jsonl tests/grading/dev.jsonl tests/grading/bank.jsonl tests/grading/stories.jsonl --out bot/grading/weights/head.json

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

check: .venv/.run
	$(BIN)/coach check

# Whether a dependency is known to be vulnerable; needs a network, and says so where there is none.
audit: .venv/.dev
	@.ci/audit

.venv/.run: requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python 3.11+ with venv is needed: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing what the coach needs into .venv ..."
	@$(BIN)/pip install -q --no-compile --require-hashes -r requirements.txt
	@$(BIN)/pip install -q --no-compile --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.run requirements-dev.txt
	@$(BIN)/pip install -q --require-hashes -r requirements-dev.txt
	@touch $@

# After a change of the dependencies in pyproject.toml; needs uv.
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
SHIPPED := --extra formulas --extra reports --extra voice
lock:
	$(LOCK) pyproject.toml $(SHIPPED) --group build -o requirements.txt
	$(LOCK) pyproject.toml $(SHIPPED) --group build --group dev -c requirements.txt -o requirements-dev.txt
