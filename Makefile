# `make help` lists the commands; each installs what it needs first.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help demo demo-kafka test test-fast test-long check bench bench-kafka bench-store golden constraints clean

help:
	@echo "make demo         simulate a bank, fit, replay, show what was found"
	@echo "make demo-kafka   live events through a real broker, two consumers, alerts as they come"
	@echo "make test         install what the tests need, run everything, one summary"
	@echo "make test-fast    lint, types and the tests that need no service, in about three minutes"
	@echo "make test-long    the same with twenty times the fault schedules and a million documents (hours)"
	@echo "make check        only what needs no test run: lint, format, types, layers"
	@echo "make bench        throughput and memory, as ratios in one run"
	@echo "make bench-kafka  the consumer on a real broker, and the time to an alert"
	@echo "make bench-store  the store on SQLite and PostgreSQL: checkpoint, restore, the console's pages"
	@echo "make golden       write the golden alerts anew, after a change that moves scores"
	@echo "make constraints  pin the newest versions pyproject.toml allows"
	@echo "make clean        remove everything made here"

$(STAMP): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than 3.11. Install Python 3.11 and run: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@echo "compiling the kernels, once (about a minute)"
	@$(BIN)/python -m detector.hosts.warm
	@touch $@

$(STAMP)-dev: $(STAMP) constraints-dev.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r constraints-dev.txt
	@touch $@

demo: $(STAMP)
	@$(BIN)/detector demo --dir demo

demo-kafka: $(STAMP)-dev
	@$(BIN)/python -m tests.parts.demo_kafka

test: $(STAMP)-dev
	@$(BIN)/python tests/run.py

test-fast: $(STAMP)-dev
	@$(BIN)/python tests/run.py --fast

test-long: $(STAMP)-dev
	@HYPOTHESIS_PROFILE=long $(BIN)/python tests/run.py

check: $(STAMP)-dev
	@$(BIN)/python tests/run.py --static

bench: $(STAMP)
	@$(BIN)/python tests/performance/bench.py

bench-kafka: $(STAMP)-dev
	@$(BIN)/python tests/performance/bench_kafka.py

bench-store: $(STAMP)-dev
	@$(BIN)/python tests/performance/bench_store.py

golden: $(STAMP)
	@$(BIN)/python -m tests.golden.regenerate
	@echo "look at the difference; moved scores need a line in CHANGELOG.md"

constraints:
	$(BIN)/python -m pip install --quiet pip-tools
	for suffix in "" -dev; do \
	  $(BIN)/pip-compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-emit-trusted-host \
	    --no-emit-find-links --no-header --no-annotate --allow-unsafe --all-build-deps --strip-extras \
	    $$([ -z "$$suffix" ] || echo --extra dev --extra notebook --extra quality) --output-file constraints$$suffix.txt pyproject.toml; \
	done

clean:
	rm -rf .venv demo bench-data build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
