"""What no trial has tried: single values, choices, and the widest part of a number's range without a complete trial."""

from __future__ import annotations

import pytest
from fakes.views import trial, view

import tunesmith as ts
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import FailureKind
from tunesmith.tools.analysis.coverage import untried, varied, within_what_ran

SPACE = SearchSpace(
    {
        "depth": ts.Int(1, 8, default=2),
        "lr": ts.Float(1e-4, 1e-1, log=True, default=1e-2),
        "batch": ts.Choice([2, 4, 8], ordered=True),
        "decay": ts.Float(0.0, 1.0),
    }
)
BASE = {"depth": 2, "lr": 1e-2, "batch": 4, "decay": 0.5}


def sentences(*changes: dict[str, float], important: tuple[str, ...] = ()) -> tuple[str, ...]:
    return untried(SPACE, [trial(n, {**BASE, **change}, 1.0) for n, change in enumerate(changes)], important)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{"depth": 1}], "depth: no complete trial above 2 (the range ends at 8)"),
        ([{"depth": 8}], "depth: no complete trial between 2 and 8"),
        ([{"lr": 0.09}], "lr: no complete trial below 0.01 (the range begins at 0.0001)"),
        ([{"batch": 8}], "values of batch that never ran: 2"),
        ([], "always the same value: depth, lr, batch (4), decay (0.5)"),
    ],
)
def test_what_never_ran_is_named(changes: list[dict[str, float]], expected: str) -> None:
    assert expected in sentences({}, *changes)


def test_a_range_that_trials_fill_is_not_named() -> None:
    even = [{"depth": n, "lr": 1e-4 * 10 ** (n * 3 / 8), "decay": n / 8} for n in range(1, 9)]
    assert not any("no complete trial" in s for s in sentences(*even))


def test_ranges_of_important_parameters_come_first_and_four_at_most() -> None:
    space = SearchSpace({f"x{n}": ts.Float(0.0, 1.0) for n in range(8)})
    trials = [trial(n, dict.fromkeys(space.names, 0.1 * n), 1.0) for n in range(3)]
    found = untried(space, trials, ("x5", "x2"))
    assert [s.split(":")[0] for s in found] == ["x5", "x2", "x0", "x1"]


def test_a_range_where_trials_only_failed_counts_as_empty() -> None:
    trials = [trial(n, {**BASE, "depth": n + 1}, 1.0) for n in range(3)] + [
        trial(3, {**BASE, "depth": 8}, FailureKind.OOM)
    ]
    assert "depth: no complete trial above 3 (the range ends at 8)" in untried(SPACE, trials)


def test_a_view_within_what_ran_ends_where_complete_trials_do() -> None:
    seen = view(SPACE, [(BASE, 1.0), ({**BASE, "depth": 3, "lr": 0.05}, 2.0), ({**BASE, "depth": 8}, FailureKind.OOM)])
    inner = within_what_ran(seen)
    assert inner is not None
    depth, lr, decay = (inner.space.parameters[name] for name in ("depth", "lr", "decay"))
    assert (depth.low, depth.high, lr.low, lr.high) == (2, 3, 0.01, 0.05)  # type: ignore[union-attr]
    assert (decay.low, decay.high) == (0.0, 1.0)  # type: ignore[union-attr]
    assert varied(seen) == {"depth", "lr"}
