"""What real servers print when they do not start, and what becomes of it; the texts are from their issues."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.evaluator.serving.results import read_results
from tunesmith.evaluator.serving.start_failures import start_failure
from tunesmith.study.trials.failure_scope import is_environment_message

CASES = [
    (
        "(EngineCore_0 pid=812) ERROR 10-10 10:22:58 [core.py:700] ValueError: No available memory for the cache "
        "blocks. Try increasing `gpu_memory_utilization` when initializing the engine.\n"
        "RuntimeError: Engine core initialization failed. See root cause above.",
        "oom",
        "No available memory for the cache blocks",
    ),
    (
        "ValueError: To serve at least one request with the models's max seq len (131072), (16.00 GiB KV cache is "
        "needed, which is larger than the available KV cache memory (3.12 GiB).",
        "oom",
        "KV cache is needed, which is larger than",
    ),
    (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.96 GiB. GPU 0 has a total capacity of 79 GiB",
        "oom",
        "CUDA out of memory",
    ),
    (
        "[2025-12-11 10:34:03 TP0] RuntimeError: Not enough memory. Please try to increase --mem-fraction-static. "
        "Current value: self.server_args.mem_fraction_static=0.2",
        "oom",
        "Not enough memory. Please try to increase --mem-fraction-static",
    ),
    (
        "alloc_tensor_range: failed to initialize tensor output.weight\n"
        "llama_model_load: error loading model: unable to allocate ROCm0 buffer\n"
        "main: exiting due to model loading error",
        "oom",
        "unable to allocate ROCm0 buffer",
    ),
    (
        "INFO:     Application startup complete.\n"
        "ERROR:    [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use",
        "crash",
        "port taken: ",
    ),
    ("main: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080", "crash", "port taken: main: couldn't"),
    (
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for SchedulerConfig\n"
        "  Value error, max_num_batched_tokens (1024) must be greater than or equal to max_num_seqs (2048).",
        "crash",
        "bad combination: Value error, max_num_batched_tokens (1024) must be greater than or equal to max_num_seqs",
    ),
    (
        "ValueError: Total number of attention heads (14) must be divisible by tensor parallel size (4).",
        "crash",
        "bad combination: ValueError: Total number of attention heads (14) must be divisible",
    ),
    ("vllm: error: unrecognized arguments: --max-seqs 3", "crash", "vllm: error: unrecognized arguments: --max-seqs"),
    ("error: invalid argument: --paralel", "crash", "error: invalid argument: --paralel"),
    (
        "OSError: Qwen/Qwen33 is not a local folder and is not a valid model identifier listed on "
        "'https://huggingface.co/models'",
        "crash",
        "model not found: OSError: Qwen/Qwen33 is not a local folder",
    ),
    (
        "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached snapshot folder",
        "crash",
        "model not found: ",
    ),
    ("gguf_init_from_file: failed to open GGUF file 'm.gguf'", "crash", "model not found: gguf_init_from_file"),
    ("Fatal Python error: Aborted", "crash", "Fatal Python error: Aborted (exit status 1)"),
    ("", "crash", "no output (exit status 1)"),
]


@pytest.mark.parametrize(("log", "kind", "reason"), CASES)
def test_the_log_of_a_server_says_why_it_did_not_start(log: str, kind: str, reason: str) -> None:
    failure = start_failure(log.split("\n"), 1)
    assert (failure.kind, reason in failure.reason) == (kind, True), failure


@pytest.mark.parametrize("status", [-4, 132])
def test_a_signal_is_named_with_the_last_line(status: int) -> None:
    failure = start_failure(['INFO:     "POST /v1/chat/completions HTTP/1.1" 200 OK', ""], status)
    assert failure.kind == "crash"
    assert failure.reason.startswith("was ended by signal SIGILL; the last line of its log: ")


def test_a_server_in_the_background_is_asked_to_stay_in_front() -> None:
    failure = start_failure(["3f2c9a container id"], 0)
    assert (failure.kind, "start it in the foreground" in failure.reason) == ("crash", True)


@pytest.mark.parametrize("reason", ["port taken: x", "model not found: x", "x is in use by another program"])
def test_what_no_option_causes_counts_for_the_study(reason: str) -> None:
    assert is_environment_message(f"the server did not start: {reason}")


VLLM = {
    "completed": 98, "failed": 2, "num_prompts": 100, "output_throughput": 1500.5, "request_throughput": 12.5,
    "mean_ttft_ms": 80.0, "median_ttft_ms": 70.0, "p95_ttft_ms": 200.0, "p95_tpot_ms": 20.0, "p99_e2el_ms": 3000.0,
    "model_id": "x", "errors": ["", "boom"],
}  # fmt: skip
SGLANG = {
    "completed": 10, "output_throughput": 99.0, "p99_ttft_ms": 90.0, "median_tpot_ms": 8.0,
    "mean_e2e_latency_ms": 500.0, "errors": [""] * 10,
}  # fmt: skip
GUIDELLM = {
    "benchmarks": [
        {
            "metrics": {
                "request_totals": {"successful": 18, "errored": 2, "incomplete": 0, "total": 20},
                "output_tokens_per_second": {"successful": {"mean": 640.0}},
                "time_to_first_token_ms": {"successful": {"mean": 50.0, "percentiles": {"p95": 90.0}}},
                "time_per_output_token_ms": {"successful": {"mean": 9.0, "percentiles": {"p95": 12.0}}},
                "request_latency": {"successful": {"mean": 1.5, "percentiles": {"p95": 2.5}}},
            }
        }
    ]
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            json.dumps(VLLM),
            {"throughput": 1500.5, "ttft_p50": 0.07, "ttft_p95": 0.2, "tpot_p95": 0.02, "e2e_p99": 3.0, "errors": 0.02},
        ),
        (
            f"{json.dumps({'output_throughput': 1.0})}\n{json.dumps(SGLANG)}\n",
            {"throughput": 99.0, "ttft_p99": 0.09, "tpot_p50": 0.008, "e2e_mean": 0.5, "errors": 0.0},
        ),
        (
            json.dumps(GUIDELLM),
            {"throughput": 640.0, "ttft_p95": 0.09, "tpot_p95": 0.012, "e2e_p95": 2.5, "errors": 0.1},
        ),
        ('{"throughput": 3, "ttft_p95": 0.5, "name": "x", "broken": NaN}', {"throughput": 3.0, "ttft_p95": 0.5}),
    ],
)
def test_the_results_of_each_client_become_the_same_metrics(
    tmp_path: Path, text: str, expected: dict[str, float]
) -> None:
    file = tmp_path / "result.json"
    file.write_text(text, encoding="utf-8")
    results = read_results(file)
    found = results.metrics
    assert results.error == ("boom" if "boom" in text else "")
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert "broken" not in found


@pytest.mark.parametrize("text", ["", "no json", "[1, 2]", "{}", '{"a": "b"}'])
def test_results_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "result.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="results"):
        read_results(file)
