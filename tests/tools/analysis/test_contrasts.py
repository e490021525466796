"""Contrasts: what the latest new bests changed, and pairs that differ in little, without what smaller pairs say."""

from __future__ import annotations

from collections.abc import Mapping

from fakes.views import view

import tunesmith as ts
from tunesmith.study.space.space import SearchSpace
from tunesmith.tools.analysis.contrasts import contrasts

NAMES = [f"x{i}" for i in range(12)]
SPACE = SearchSpace({name: ts.Float(0.0, 1.0) for name in NAMES})
BASE = dict.fromkeys(NAMES, 0.5)


def found(*rows: tuple[Mapping[str, float], float], count: int = 12) -> tuple[str, ...]:
    return contrasts(view(SPACE, [({**BASE, **changes}, value) for changes, value in rows]), count)


def test_a_gain_is_shown_however_many_settings_it_changed() -> None:
    four = {"x0": 0.1, "x1": 0.2, "x2": 0.3, "x3": 0.4}
    (sentence,) = found(({}, 3.0), (four, 1.0))
    assert (
        sentence
        == "new best: x0 0.5 -> 0.1, x1 0.5 -> 0.2, x2 0.5 -> 0.3, x3 0.5 -> 0.4 (#0 -> #1): loss 3.000 -> 1.000"
    )
    (long,) = found(({}, 3.0), (dict.fromkeys(NAMES, 0.1), 1.0))
    assert "x7 0.5 -> 0.1, 4 more (#0 -> #1)" in long


def test_only_the_latest_gains_are_always_shown_and_come_first() -> None:
    rows = [({f"x{n}": 0.1 * n}, 9.0 - n) for n in range(1, 7)]
    sentences = found(({}, 9.0), *rows, count=3)
    assert [s.split(" (")[1][:8] for s in sentences] == ["#3 -> #4", "#4 -> #5", "#5 -> #6"]


def test_three_settings_whose_smaller_pairs_are_shown_are_left_out() -> None:
    singles = [({name: 0.1}, 2.0) for name in ("x0", "x1", "x2")]
    three = ({"x0": 0.1, "x1": 0.1, "x2": 0.1}, 3.0)
    sentences = found(({}, 1.0), *singles, three)
    assert not any(s.count("->") > 4 for s in sentences)
    assert any(s.count("->") > 4 for s in found(({}, 1.0), three))


def test_few_pairs_speak_of_the_same_settings() -> None:
    assert len(found(({}, 1.0), *[({"x0": 0.05 * n}, 1.0 + n) for n in range(1, 8)])) == 4
    rows = [({"x0": 0.1 * n, "x1": 0.05 * n}, 1.0 + n) for n in range(1, 8)]
    sentences = found(*rows)
    assert len(sentences) == 2
