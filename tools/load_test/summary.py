"""Turns the answers of a load test into the metrics that a study tunes. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.tools.load_test.client import Answer

PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSummary:
    """What a load test measured.

    Attributes:
        metrics: by name, in seconds and per second; see `summarize`.
        errors: how often each error came, the most frequent first.
    """

    metrics: dict[str, float]
    errors: list[tuple[str, int]]


def summarize(answers: Sequence[Answer]) -> LoadSummary:
    """Return the metrics of a load test.

    `throughput` is output tokens per second and `request_throughput` requests per second, from the first request to
    the last token. `ttft_*` is the time to the first token, `tpot_*` the mean time per further token of a request,
    `e2e_*` the time of a whole request; each with mean, p50, p90, p95 and p99, without failed requests. `errors` is the
    share of requests that failed. Without a single answer only `errors`, `completed` and the throughputs, as 0, are
    there.
    """
    done = [answer for answer in answers if not answer.error]
    metrics = {
        "throughput": 0.0,
        "request_throughput": 0.0,
        "completed": float(len(done)),
        "errors": 1.0 - len(done) / len(answers) if answers else 0.0,
    }
    if done:
        duration_s = max(a.last_at for a in done) - min(a.due_at for a in answers)
        metrics["duration"] = duration_s
        metrics["throughput"] = sum(a.tokens for a in done) / duration_s
        metrics["request_throughput"] = len(done) / duration_s
        tpots = [(a.last_at - a.first_at) / (a.tokens - 1) for a in done if a.tokens > 1]
        metrics |= _distribution("ttft", [a.first_at - a.due_at for a in done])
        metrics |= _distribution("tpot", tpots)
        metrics |= _distribution("e2e", [a.last_at - a.due_at for a in done])
    counted = Counter(answer.error for answer in answers if answer.error)
    return LoadSummary(metrics=metrics, errors=counted.most_common())


def summary_lines(summary: LoadSummary, url: str) -> list[str]:
    """Return the summary as text for people."""
    found = summary.metrics
    failed = sum(count for _, count in summary.errors)
    answered = f"{found['completed']:.0f} of {found['completed'] + failed:.0f} requests answered"
    lines = [
        f"load test of {url}: {answered} in {found.get('duration', 0.0):.1f} s",
        f"  output tokens per second   {found['throughput']:.1f}",
        f"  requests per second        {found['request_throughput']:.2f}",
    ]
    for name, about in (("ttft", "time to first token"), ("tpot", "time per output token"), ("e2e", "whole request")):
        if f"{name}_p95" in found:
            values = ", ".join(f"p{p} {1e3 * found[f'{name}_p{p}']:.1f} ms" for p in (50, 95, 99))
            lines.append(f"  {about:<26} {values}")
    lines += [f"  failed {count} times: {error}" for error, count in summary.errors[:5]]
    return lines


def _distribution(name: str, values_s: Sequence[float]) -> dict[str, float]:
    if not values_s:
        return {}
    quantiles = np.percentile(values_s, PERCENTILES)
    found = {f"{name}_p{p}": float(value) for p, value in zip(PERCENTILES, quantiles, strict=True)}
    return {f"{name}_mean": float(np.mean(values_s)), **found}
