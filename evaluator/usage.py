"""Adds up what the commands of one trial used. Pure functions of their results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tunesmith.evaluator.executors.base import CommandResult
from tunesmith.study.trials.trial import Usage


def total_usage(results: Sequence[CommandResult], *, gpus: float, gpu_busy: float | None, is_packed: bool) -> Usage:
    """Return what the commands of a trial used together.

    Args:
        results: at least one.
        gpus: number of GPUs that the trial is charged for.
        gpu_busy: mean GPU utilization of the training.
        is_packed: whether trials are packed on GPUs by memory; the measured share is then charged.
    """
    wall_s = sum(result.wall_s for result in results)
    shares_s = _sum(result.gpu_share_s for result in results)
    return Usage(
        wall_s=wall_s,
        cpu_s=sum(result.cpu_s for result in results),
        gpu_s=shares_s or 0.0 if is_packed else wall_s * gpus,
        peak_rss_gib=max(result.peak_rss_gib for result in results),
        gpu_mem_gib=max((result.gpu_mem_gib for result in results if result.gpu_mem_gib is not None), default=None),
        gpu_busy=gpu_busy,
        energy_j=_sum(result.energy_j for result in results),
    )


def _sum(parts: Iterable[float | None]) -> float | None:
    """Return the sum of what was measured, None if nothing was."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
