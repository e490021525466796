"""Trials of a view are matched with the space once, from any thread."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from tunesmith.study.space.parameters import Float
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.results import present_trials


def test_threads_may_ask_for_the_trials_of_different_views() -> None:
    """The loop and the thread that writes a question do, at the same time."""

    def ask(_: int) -> None:
        spaces = [SearchSpace({"x": Float(0, 1)}) for _ in range(3)]
        for _ in range(20_000):
            for space in spaces:
                assert present_trials((), space) == []

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(ask, range(4)))
    finally:
        sys.setswitchinterval(before)
