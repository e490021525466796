"""Templates, units, budgets, views and results: pure functions, tested by example."""

from __future__ import annotations

import shlex
from datetime import datetime, time
from itertools import count

import pytest
from fakes.studies import complete, failed, make_spec, proposal
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.config.command import command_line
from tunesmith.study.config.template import argv, placeholders, shell_line
from tunesmith.study.names import did_you_mean
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.results import default_trial, improvements, pareto_front, relative_gain
from tunesmith.study.trials.trial import Outcome, Source, Trial, TrialState
from tunesmith.study.trials.view import Constraint, Direction, Objective, StudyView
from tunesmith.study.trials.winner import incumbent
from tunesmith.study.units import next_at, parse_bytes, parse_seconds, short_number, short_seconds

LOSS = (Objective("loss"),)
numbers = count()


def trial(outcome: Outcome | None, number: int, **changes: object) -> Trial:
    state = outcome.state if outcome else TrialState.RUNNING
    return Trial(number=number, proposal=proposal(**changes), state=state, outcome=outcome)  # type: ignore[arg-type]


@given(value=st.text(), switch=st.booleans())
def test_a_value_is_always_one_word(value: str, switch: bool) -> None:
    values = {"v": value, "s": switch}
    words = argv("run --v {v} --w={v}x {s?--on:--off} 'a b' '{\"k\": 1}'", values)
    assert words[:2] == ["run", "--v"]
    expected = [*([value] if value else []), f"--w={value}x", "--on" if switch else "--off", "a b", '{"k": 1}']
    assert words[2:] == expected
    if "\0" not in value:
        assert shlex.split(shell_line("run {v}", values)) == ["run", value]


def test_inactive_parameters_leave_no_word() -> None:
    template = "t --m {m} -k {k} --f={m} {m} {n?--nest} --lr {lr} x{m}"
    assert argv(template, {"lr": 1e-5, "k": 3}) == ["t", "-k", "3", "--lr", "1e-05"]
    assert placeholders(template) == ["m", "k", "n", "lr"]


def test_a_name_may_begin_with_any_letter() -> None:
    assert argv("t {ö} {mix.ü}", {"ö": 1, "mix.ü": 0.5}) == ["t", "1", "0.5"]


def test_the_command_line_to_paste_is_the_one_that_ran() -> None:
    spec = make_spec(run={"command": "python train.py --lr {lr} --opt {optimizer} --momentum {momentum} --seed {seed}"})
    line = command_line(spec, {"lr": 0.01, "hidden": 8, "optimizer": "it's adam"})
    assert shlex.split(line) == ["python", "train.py", "--lr", "0.01", "--opt", "it's adam", "--seed", "0"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("1h30m", 5400), (2, 2), ("1 d", 86400), ("1m2", 62)],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "10 parsecs", "-5", "0", 0, -1, "ten", "1..5m", True, float("nan")])
def test_invalid_durations_are_refused(text: str | float) -> None:
    with pytest.raises(ValueError, match="not a duration|not above 0"):
        parse_seconds(text)


def test_sizes_and_numbers_read_as_people_write_them() -> None:
    assert [parse_bytes(t) for t in ("1k", "500M", "1.5 GiB", "10gb", 7)] == [
        1024,
        500 * 2**20,
        3 * 2**29,
        10 * 2**30,
        7,
    ]
    assert [short_number(v) for v in (0.41234567, 8.1e-5, 1234567, float("nan"), 0.0, -3.0, 12)] == [
        "0.4123", "8.10e-5", "1234567", "nan", "0", "-3.000", "12",
    ]  # fmt: skip
    assert [short_seconds(s) for s in (0.44, 31, 372, 22320, 183600)] == [
        "0.4 s",
        "31 s",
        "6 min 12 s",
        "6 h 12 m",
        "2 d 3 h",
    ]


def test_until_is_the_next_such_moment() -> None:
    noon = datetime(2026, 3, 1, 12, 0, 0).astimezone().timestamp()
    assert datetime.fromtimestamp(next_at(time(13, 30), noon)) == datetime(2026, 3, 1, 13, 30)  # noqa: DTZ001, DTZ006
    assert datetime.fromtimestamp(next_at(time(7), noon)) == datetime(2026, 3, 2, 7)  # noqa: DTZ001, DTZ006


def test_a_budget_names_the_limit_that_is_reached() -> None:
    budget = Budget(trials=10, hours=2.0, until=1000.0, gpu_hours=1.0)
    assert budget.ended_by(Spent(trials=9, hours=1.9, gpu_hours=0.9), 999.0) is None
    assert budget.ended_by(Spent(trials=10), 0.0) == "trials"
    assert budget.ended_by(Spent(hours=2.0), 0.0) == "hours"
    assert budget.ended_by(Spent(gpu_hours=1.0), 0.0) == "gpu_hours"
    assert budget.ended_by(Spent(), 1000.0) == "until"
    deadline = budget.deadline(Spent(hours=1.9), 0.0)
    assert deadline is not None
    assert deadline.seconds_left == pytest.approx(360)
    assert Budget(trials=3).deadline(Spent(), 0.0) is None
    assert [share.fraction for share in budget.limit_usage(Spent(trials=5, hours=4))] == [0.5, 1.0, 0.0]


def test_the_incumbent_is_feasible_complete_and_the_first_of_equals() -> None:
    trials = [
        trial(complete(0.5), 0, source=Source.DEFAULT),
        trial(failed(), 1),
        trial(complete(0.2, mem=90.0), 2),
        trial(complete(0.3, mem=60.0), 3),
        trial(complete(0.3, mem=50.0), 4),
        trial(complete(0.1, mem=1.0), 5, replicate_of=3),
        trial(None, 6),
    ]
    bound = (Constraint(metric="mem", max=70.0),)
    spec = make_spec(study={"metric": "loss"})
    best = incumbent(trials, StudyView(space=spec.space, objectives=LOSS, constraints=bound))
    assert best is not None
    assert best.number == 3
    assert [i.number for i in improvements(trials, LOSS)] == [0, 2]
    assert [i.number for i in improvements(trials, (Objective("loss", Direction.MAXIMIZE),))] == [0]
    assert default_trial(trials, spec.space) is trials[0]
    assert incumbent([trial(failed(), 0)], spec) is None


def test_gain_follows_the_direction_of_the_objective() -> None:
    assert relative_gain(0.2, 0.4, Objective("loss")) == pytest.approx(0.5)
    assert relative_gain(0.9, 0.6, Objective("acc", Direction.MAXIMIZE)) == pytest.approx(0.5)
    assert relative_gain(-2.0, -1.0, Objective("loss")) == pytest.approx(1.0)
    assert relative_gain(1.0, 0.0, Objective("loss")) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_the_front_is_what_brute_force_finds(points: list[tuple[int, int]]) -> None:
    objectives = (Objective("loss"), Objective("acc", Direction.MAXIMIZE))
    trials = [trial(complete(float(a), acc=float(b)), n) for n, (a, b) in enumerate(points)]
    front = {(t.values["loss"], t.values["acc"]) for t in pareto_front(trials, objectives)}
    beaten = {p for p in points for q in points if q != p and q[0] <= p[0] and q[1] >= p[1]}
    assert front == {(float(a), float(b)) for a, b in points if (a, b) not in beaten}


def test_a_view_leaves_out_trials_outside_the_space() -> None:
    spec = make_spec()
    outside = proposal(5.0)
    trials = [
        trial(complete(0.5), 0),
        Trial(number=1, proposal=outside, state=TrialState.COMPLETE, outcome=complete(0.1)),
        trial(complete(0.4), 2, replicate_of=0),
        trial(None, 3),
    ]
    view = StudyView(space=spec.space, objectives=LOSS, trials=trials, number=4)
    assert [t.number for t in view.finished] == [0]
    assert [t.number for t in view.pending] == [3]


def test_derived_seeds_never_change() -> None:
    assert derived_seed(0, "train", 1) == derived_seed(0, "train", 1) != derived_seed(0, "train", 2)
    assert derived_seed(0, "train", 0) == 1967427387


def test_the_nearest_name_is_offered() -> None:
    assert did_you_mean("untill", ["until", "hours"]) == "; did you mean until?"
    assert did_you_mean("zebra", ["until", "hours"]) == "; expected one of until, hours"
    assert did_you_mean("x", []) == ""


def test_the_cost_exponent_is_0_unless_time_is_limited() -> None:
    assert Budget(trials=10, hours=2.0).cost_exponent(Spent()) == 0.0
    assert Budget().cost_exponent(Spent()) == 0.0
    assert Budget(hours=2.0).cost_exponent(Spent(hours=0.5)) == 0.75
    assert Budget(hours=2.0, gpu_hours=1.0).cost_exponent(Spent(hours=0.5, gpu_hours=0.9)) == pytest.approx(0.1)
    assert Budget(until=100.0).cost_exponent(Spent()) == 1.0
