"""Failure regions are named by the threshold or choice that separates failures best."""

from __future__ import annotations

from dataclasses import replace

from fakes.views import trial

from tunesmith.study.space.parameters import Choice, Float
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind
from tunesmith.tools.analysis.failure_regions import failing_regions


def test_a_region_is_named_by_the_threshold_that_separates_failures_best() -> None:
    space = SearchSpace({"batch": Choice([16, 32, 64, 128], ordered=True), "opt": Choice(["a", "b"]), "x": Float(0, 1)})
    batches = [16, 32, 64, 128] * 5
    trials = [
        trial(
            n,
            {"batch": b, "opt": "ab"[n // 4 % 2], "x": (n * 7 % 20) / 20},
            FailureKind.OOM if b >= 64 else 0.5,
        )
        for n, b in enumerate(batches)
    ]
    assert failing_regions(space, trials)[0] == "batch >= 64: 10 of 10 failed"
    assert failing_regions(space, trials[:2]) == ()
    lost = [replace(t, outcome=trial(0, t.params, FailureKind.LOST).outcome) for t in trials]
    assert failing_regions(space, lost) == ()
