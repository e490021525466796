"""What a question asks for: a kind of move that the trials call for, and what was not tried, never the same again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from fakes.views import trial, view

import tunesmith as ts
from tunesmith.agent.llm.questions.operators import AskedFor, choose_operator, is_ending, next_task
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Source
from tunesmith.study.trials.view import StudyView

NAMES = [f"x{i}" for i in range(4)]
SPACE = SearchSpace({name: ts.Float(0.0, 1.0, default=0.5) for name in NAMES})
DEFAULT = dict.fromkeys(NAMES, 0.5)
Row = tuple[Mapping[str, float], float]


def seen(rows: Sequence[Row], runs_left: float = 100.0) -> StudyView:
    """Return a study whose first trial is the default."""
    made = view(SPACE, list(rows))
    first = replace(made.trials[0], proposal=replace(made.trials[0].proposal, source=Source.DEFAULT))
    return replace(made, trials=[first, *made.trials[1:]], runs_left=runs_left)


def changed(**values: float) -> dict[str, float]:
    return {**DEFAULT, **values}


def worse(count: int) -> list[Row]:
    """Return trials of which none beats the default."""
    return [(DEFAULT, 1.0), *((changed(x0=0.3 + n / 100), 2.0 + n) for n in range(count))]


def tasks(views: Sequence[StudyView]) -> list[str]:
    asked, found = AskedFor(), []
    for each in views:
        text, asked = next_task(each, asked)
        found.append(text)
    return found


def test_five_trials_without_gain_ask_for_another_kind_of_move() -> None:
    assert choose_operator(seen(worse(2))) == "explore"
    falling = [(changed(x0=n / 100), 1.0 - n) for n in range(14)]
    assert choose_operator(seen(falling)) == "refine"
    kinds = [choose_operator(seen(worse(n))) for n in (5, 10)]
    assert len({"refine", *kinds}) == 3
    assert kinds[0] == "confirm", "the noise is unknown: the last differences may be chance"


def test_a_best_trial_is_taken_apart_only_once_the_next_trials_did_not_beat_it() -> None:
    known = [(DEFAULT, 9.0), (dict.fromkeys(NAMES, 0.2), 1.0), (dict.fromkeys(NAMES, 0.9), 2.0)]
    known.append(({**dict.fromkeys(NAMES, 0.9), "x0": 0.1}, 3.0))
    kinds = [choose_operator(seen(known[:n])) for n in (2, 3, 4)]
    assert "ablate" not in kinds[:2]
    assert kinds[2] == "ablate"


def test_a_repeat_is_asked_for_twice_at_most_and_at_the_top_of_the_list() -> None:
    found = tasks([seen(worse(n)) for n in (5, 6, 7, 8, 9)])
    confirming = ["kind confirm" in text for text in found]
    assert confirming == [True, True, False, False, False]
    assert "at the top of the list" in found[0]


def test_no_repeat_is_asked_for_where_one_ran_or_instances_repeat() -> None:
    many = seen(worse(6))
    repeated = trial(9, DEFAULT, 1.1)
    repeated = replace(repeated, proposal=replace(repeated.proposal, replicate_of=0, seed=5))
    assert choose_operator(replace(many, trials=[*many.trials, repeated])) != "confirm"
    one = many.trials[-1]
    raced = replace(one, proposal=replace(one.proposal, instance="fold 1"))
    assert choose_operator(replace(many, trials=[*many.trials[:-1], raced])) != "confirm"


@pytest.mark.parametrize("count", [1, 5, 8, 12, 17, 22])
def test_the_last_fifth_uses_what_is_known(count: int) -> None:
    ending = seen(worse(count), runs_left=0.2 * count)
    assert is_ending(ending)
    assert choose_operator(ending) in ("refine", "combine")
    assert not is_ending(seen(worse(count), runs_left=float("inf")))


TWO = [(DEFAULT, 9.0), (changed(x0=0.2), 2.0), (changed(x1=0.8), 1.0)]


def test_a_pair_is_named_once_and_not_after_its_settings_were_combined() -> None:
    found = tasks([seen(TWO), seen([*TWO, (changed(x2=0.9), 11.0)])])
    assert "For example #2 and #1." in found[0]
    assert "For example" not in found[1]
    combined = (changed(x0=0.2, x1=0.8, x3=0.7), 3.0)
    assert "#2 and #1" not in tasks([seen([*TWO, combined])])[0]


def test_now_and_then_the_task_names_a_value_that_never_ran_but_not_at_the_end() -> None:
    space = SearchSpace(
        {
            **{name: ts.Float(0.0, 1.0, default=0.5) for name in NAMES},
            "batch": ts.Choice([8, 16, 32], ordered=True, default=8),
            "head": ts.Choice([8, 16, 32], ordered=True, default=8),
        }
    )
    rows = [
        ({**params, "batch": 8 * (1 + n % 2), "head": 32 if n else 8}, value) for n, (params, value) in enumerate(TWO)
    ]
    study = replace(seen(rows), space=space)
    found = tasks([study] * 6)
    named = [i for i, text in enumerate(found) if "a value that never ran" in text]
    assert named == [2, 5]
    assert "(values of batch that never ran: 32)" in found[2]
    assert "(values of head that never ran: 16)" in found[5]
    assert not any("never ran" in text for text in tasks([replace(study, runs_left=0.5)] * 6))
    assert not any("never ran" in text for text in tasks([seen(TWO)] * 6)), "an empty part of a range is not named"
