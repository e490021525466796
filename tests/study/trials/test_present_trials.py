"""Trials of a view are matched with the space once, from any thread."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from tunesmith.study.space.parameters import Float
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.results import present_trials


def test_threads_may_ask_for_the_trials_of_different_views() -> None:
    """The loop and the thread that writes a question do, at the same time."""

    def ask(_: int) -> int:
        spaces = [SearchSpace({"x": Float(0, 1)}) for _ in range(2000)]
        return sum(present_trials((), space) == [] for _ in range(5) for space in spaces)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(ask, range(4))) == [10_000] * 4
    finally:
        sys.setswitchinterval(before)
