"""Reads what a benchmark client wrote: vLLM's, SGLang's, GuideLLM's or our own. Standard library only.

All become the same metrics: `throughput` in output tokens per second, `request_throughput` in requests per second,
`ttft_*` (time to first token), `tpot_*` (time per output token after the first), `itl_*` (between two tokens) and
`e2e_*` (whole request) in seconds with mean, p50, p90, p95 or p99, and `errors`, the share of requests that failed.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

_RATES = {
    "output_throughput": "throughput",
    "request_throughput": "request_throughput",
    "total_token_throughput": "total_throughput",
    "total_throughput": "total_throughput",
    "request_goodput": "goodput",
    "duration": "duration",
    "completed": "completed",
}
_LATENCY = re.compile(r"(mean|median|p\d+(?:\.\d+)?)_(ttft|tpot|itl|e2el|e2e_latency|e2e)_ms")
_GUIDELLM = {
    "time_to_first_token_ms": ("ttft", 1e-3),
    "time_per_output_token_ms": ("tpot", 1e-3),
    "inter_token_latency_ms": ("itl", 1e-3),
    "request_latency": ("e2e", 1.0),
}
_PERCENTILES = ("p50", "p90", "p95", "p99")


@dataclass(frozen=True, slots=True)
class Results:
    """What a benchmark measured.

    Attributes:
        metrics: by name.
        error: the most frequent reason of requests that failed, in the client's words; "" if it names none.
    """

    metrics: dict[str, float]
    error: str = ""


def read_results(path: Path) -> Results:
    """Return the results in a file.

    Raises:
        ValueError: it cannot be read, or holds no results; the message says why.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError("it wrote no file {result}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"its results cannot be read: {error}") from None
    document = _parse(text)
    metrics = {name: value for name, value in _metrics(document) if math.isfinite(value)}
    if not metrics:
        raise ValueError("its results hold no numbers that are known here")
    return Results(metrics, _frequent_error(document))


def _frequent_error(document: Mapping[str, Any]) -> str:
    """Return the most frequent error: of our own client's table, or of the list that vLLM's and SGLang's write."""
    table, listed = document.get("errors_by_reason"), document.get("errors")
    counted = Counter({str(key): value for key, value in table.items()}) if isinstance(table, dict) else Counter[str]()
    if isinstance(listed, list):
        # Of a traceback, the last line says what happened.
        counted.update(str(text).strip().splitlines()[-1] for text in listed if str(text or "").strip())
    return next((reason[:200] for reason, _ in counted.most_common(1)), "")


def _parse(text: str) -> Mapping[str, Any]:
    """Return the object, the last one of several lines: SGLang's client appends."""
    for candidate in (text, next(iter(reversed(text.strip().splitlines())), "")):
        try:
            document = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(document, dict):
            return document
    raise ValueError("its results are not JSON")


def _metrics(document: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    benchmarks = document.get("benchmarks")
    if isinstance(benchmarks, list) and benchmarks and isinstance(benchmarks[-1], Mapping):
        yield from _of_guidellm(benchmarks[-1])
    elif "output_throughput" in document or "request_throughput" in document and "throughput" not in document:
        yield from _of_vllm(document)
    else:
        yield from ((name, float(value)) for name, value in document.items() if _is_number(value))


def _of_vllm(document: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in document.items():
        if not _is_number(value):
            continue
        if key in _RATES:
            yield _RATES[key], float(value)
        elif found := _LATENCY.fullmatch(key):
            which = "p50" if found[1] == "median" else found[1]
            yield f"{found[2][:3] if found[2].startswith('e2e') else found[2]}_{which}", float(value) / 1e3
    share = _share_of_errors(document)
    if share is not None:
        yield "errors", share


def _share_of_errors(document: Mapping[str, Any]) -> float | None:
    completed, asked = document.get("completed"), document.get("num_prompts")
    failed, messages = document.get("failed"), document.get("errors")
    if not _is_number(completed):
        return None
    if not _is_number(failed) and isinstance(messages, list):
        failed = sum(bool(message) for message in messages)
    if not _is_number(failed) and _is_number(asked):
        failed = max(asked - completed, 0)
    if not _is_number(failed):
        return 1.0 if completed == 0 else None
    return float(failed) / max(failed + completed, 1)


def _of_guidellm(benchmark: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    metrics = _table(benchmark, "metrics")
    totals = _table(metrics, "request_totals") or _table(benchmark, "request_totals")
    for key, name in (("output_tokens_per_second", "throughput"), ("requests_per_second", "request_throughput")):
        mean = _table(metrics, key, "successful").get("mean")
        if _is_number(mean):
            yield name, float(mean)
    for key, (name, unit_s) in _GUIDELLM.items():
        summary = _table(metrics, key, "successful")
        found = {"mean": summary.get("mean"), **{p: _table(summary, "percentiles").get(p) for p in _PERCENTILES}}
        yield from ((f"{name}_{which}", float(value) * unit_s) for which, value in found.items() if _is_number(value))
    done, failed = totals.get("successful"), totals.get("errored")
    if _is_number(done) and _is_number(failed):
        yield "completed", float(done)
        yield "errors", float(failed) / max(done + failed, 1)


def _table(parent: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    found: Any = parent
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
