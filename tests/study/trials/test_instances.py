"""What configurations are worth that ran on different instances, and what study.toml says of instances."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunesmith.study.config.command import command_line
from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpecError
from tunesmith.study.trials.replicates.configurations import with_instances
from tunesmith.study.trials.replicates.instances import InstanceSet, complete_row, fit_effects, split
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import Direction, Objective
from tunesmith.tools.analysis.failing_instances import failing_lines

NAMES = tuple("abcdef")


def spec_of(instances: Mapping[str, Any] | None, **tables: Any) -> StudySpec:
    document: dict[str, Any] = {
        "study": {"name": "toy", "metric": "loss"},
        "run": {"command": "f {x} {instance}"},
        "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
        "budget": {"trials": 4},
        **tables,
    }
    return parse_spec(document if instances is None else {**document, "instances": instances})


def run_on(number: int, instance: str, value: float | None, *, of: int | None = None, **values: float) -> Trial:
    proposal = Proposal(params={"x": 0.5}, source=Source.SAMPLER, seed=1, instance=instance, replicate_of=of)
    if value is None:
        failure = Failure(kind=FailureKind.CRASH, reason="no such file")
        outcome = Outcome(state=TrialState.FAILED, failure=failure)
    else:
        outcome = Outcome(state=TrialState.COMPLETE, values={"loss": value, **values})
    return Trial(number=number, proposal=proposal, state=outcome.state, outcome=outcome)


# -- the two-way model --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [1, 2, 3, 6])
@pytest.mark.parametrize("hard", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("count", [4, 12])
def test_a_configuration_on_hard_instances_does_not_look_worse_than_it_is(count: int, shared: int, hard: float) -> None:
    rng = random.Random(count)
    truth = {name: hard * index for index, name in enumerate(NAMES)}
    middle = sum(truth.values()) / len(truth)
    ran = {n: (NAMES * 3)[n : n + shared] if n > 1 else NAMES for n in range(min(count, 12))}
    losses = {n: {name: n + truth[name] + rng.gauss(0.0, 1e-3) for name in names} for n, names in ran.items()}
    effects = fit_effects(losses, NAMES)
    for n, row in losses.items():
        assert complete_row(row, effects, InstanceSet(NAMES)).loss == pytest.approx(n + middle, abs=0.05 + 0.02 * hard)


@pytest.mark.parametrize(("aggregate", "wanted"), [("mean", 2.5), ("worst", 9.0), ("p95", 6.75)])
def test_what_ran_everywhere_is_aggregated_as_it_is(aggregate: Any, wanted: float) -> None:
    losses = dict(zip(NAMES, (0.0, 1.0, 1.0, 2.0, 2.0, 9.0), strict=True))
    effects = fit_effects({0: losses, 1: {name: v + 1 for name, v in losses.items()}}, NAMES)
    row = complete_row(losses, effects, InstanceSet(NAMES, aggregate=aggregate))
    assert row.loss == pytest.approx(wanted if aggregate != "p95" else 2.0 + 0.75 * 7.0)
    assert sum(row.losses) / len(row.losses) == pytest.approx(row.loss)


def test_noise_is_what_configuration_and_instance_leave() -> None:
    rng = random.Random(0)
    losses = {n: {name: n + i + rng.gauss(0.0, 0.5) for i, name in enumerate(NAMES)} for n in range(30)}
    assert fit_effects(losses, NAMES).noise == pytest.approx(0.5, rel=0.2)
    assert fit_effects({0: {"a": 1.0}, 1: {"a": 2.0}}, NAMES).noise is None
    assert fit_effects({}, NAMES).noise is None


@pytest.mark.parametrize("hold_out", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 7])
def test_held_out_instances_are_the_same_each_time_and_never_tuned_on(hold_out: float, seed: int) -> None:
    names = [str(n) for n in range(10)]
    found = split(names, hold_out, seed, "mean")
    assert found == split(names, hold_out, seed, "mean")
    assert sorted([*found.tuning, *found.held_out], key=int) == names
    assert len(found.held_out) == round(10 * hold_out)
    assert {found.fresh(i) for i in range(20)} == set(found.held_out or found.tuning)


# -- trials -------------------------------------------------------------------------------------------------------


def known(trials: Sequence[Trial], direction: Direction = Direction.MINIMIZE, **more: Any) -> list[Trial]:
    return with_instances(trials, InstanceSet(("a", "b", "c"), ("d",), **more), Objective("loss", direction))


def test_the_first_trial_has_the_mean_over_its_runs_and_the_others_keep_their_own() -> None:
    first, again, other = known(
        [run_on(0, "a", 1.0, other=2.0), run_on(1, "b", 3.0, of=0, other=4.0), run_on(2, "a", 5.0)]
    )
    assert first.values == {"loss": 2.0, "other": 3.0}
    assert first.runs is not None
    assert first.runs.values == {"a": 1.0, "b": 3.0}
    assert again.values["loss"] == 3.0
    assert again.runs is None
    assert other.runs is not None


@pytest.mark.parametrize("instance", ["d", "removed", ""])
def test_runs_on_held_out_and_removed_instances_are_no_part_of_it(instance: str) -> None:
    first, _ = known([run_on(0, "a", 1.0), run_on(1, instance, 9.0, of=0)])
    assert first.values["loss"] == 1.0


def test_a_run_that_fails_makes_its_configuration_fail_and_says_where() -> None:
    first, _ = known([run_on(0, "a", 1.0), run_on(1, "b", None, of=0)])
    assert first.state is TrialState.FAILED
    assert first.failure is not None
    assert "instance b" in first.failure.reason
    assert "trial 1" in first.failure.reason


def test_the_worst_of_a_metric_to_maximize_is_the_smallest() -> None:
    trials = [run_on(0, "a", 1.0), run_on(1, "b", 3.0, of=0), run_on(2, "c", 2.0, of=0)]
    assert known(trials, Direction.MAXIMIZE, aggregate="worst")[0].values["loss"] == 1.0
    assert known(trials, Direction.MINIMIZE, aggregate="worst")[0].values["loss"] == 3.0


# -- study.toml -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instances", "tables", "says"),
    [
        ({"values": []}, {}, "has no instance"),
        ({"values": ["a"]}, {}, "leaves 1 to tune on"),
        ({"values": ["a", "b", "a"]}, {}, 'lists "a" twice'),
        ({"values": ["a", float("nan")]}, {}, "nan is not valid here; expected a list of texts, finite numbers"),
        ({"values": [{"n": 1, "size": float("inf")}, {"n": 2, "size": 3}]}, {}, "finite numbers"),
        ({"values": ["a ", "b"]}, {}, "begins or ends with a space"),
        ({"values": ["a\nb", "c"]}, {}, "control character"),
        ({"values": ["a" * 1001, "b"]}, {}, "1,001 characters; at most 1,000"),
        ({"values": [1, 2, 3, 4], "hold_out": 0.9}, {"confirm": {}}, "0.9 of 4 instances leaves 0 to tune on"),
        ({"values": [1, 1.0, "1"]}, {}, "twice"),
        ({"values": [{"name": "a"}, {"size": 3}]}, {}, "differs from the first instance"),
        ({"values": ["a", {"name": "b"}]}, {}, "differs from the first instance"),
        ({"values": ["a", ["b"]]}, {}, "instances.values"),
        ({"values": ["a", ""]}, {}, "instances.values"),
        ({"values": ["a", "b", "c"], "hold_out": 0.3}, {"confirm": {}}, "leaves 1 for confirmation"),
        ({"values": ["a", "b", "c"], "hold_out": 1.0}, {"confirm": {}}, "instances.hold_out"),
        ({"values": list("abcdef"), "hold_out": 0.5}, {}, "add [confirm]"),
        ({"values": list("abcdef")}, {"confirm": {}}, "hold_out = 0.3, or {seed}"),
        ({"values": ["a", "b"], "aggregate": "median"}, {}, '"mean", "p95" or "worst"'),
        ({"values": ["a", "b"], "par": 10}, {}, "give [run].timeout"),
        ({"values": ["a", "b"]}, {"run": {"command": "f {x}"}}, "write {instance}"),
        ({"values": ["a", "b"]}, {"run": {"command": "f {x} {instance.size}"}}, "single values without columns"),
        ({"values": [{"n": "a", "size": 1}, {"n": "b", "size": 2}]},
         {"run": {"command": "f {x} {instance.sise}"}}, "columns: n, size"),
        (None, {}, "add [instances]"),
        (None, {"budget": {"runs": 3}, "run": {"command": "f {x}"}}, "add [instances], or give trials"),
        ({"values": ["a", "b"]}, {"edits": {"files": ["a.py"]}}, "cannot be combined"),
        ({"values": ["a", "b"]}, {"study": {"name": "t", "metric": ["p", "q"]}}, "works with one metric"),
        ({"values": ["a", "b"], "fold": 3}, {}, "fold"),
    ],
)  # fmt: skip
def test_mistakes_say_what_to_write(instances: Any, tables: Mapping[str, Any], says: str) -> None:
    with pytest.raises(SpecError) as refused:
        spec_of(instances, **tables)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("values", "command", "line"),
    [
        (["a b", "c"], "f {x} {instance}", "f 0.5 'a b'"),
        ([3, 4], "f {x} --fold={instance}", "f 0.5 --fold=3"),
        ([0.5, 1.5], "f {x} {instance}", "f 0.5 0.5"),
        ([True, False], "f {x} {instance?--big:--small}", "f 0.5 --big"),
        ([{"name": "a", "size": 7}, {"name": "b", "size": 8}], "f {x} {instance} {instance.size}", "f 0.5 a 7"),
        ([{"name": "a", "size": 7}, {"name": "b", "size": 8}], "f {x} {instance.size} {instance.name}", "f 0.5 7 a"),
    ],
)
def test_an_instance_fills_the_command(values: Any, command: str, line: str) -> None:
    made, _, rest = command_line(spec_of({"values": values}, run={"command": command}), {"x": 0.5}).partition("  # ")
    assert made == line
    assert "one of 2 instances" in rest


CSVS = [
    ("name,size\na,1\nb,2\n", {"a": {"name": "a", "size": 1}, "b": {"name": "b", "size": 2}}),
    ("\ufeffname\r\nx y\r\nz\r\n", {"x y": {"name": "x y"}, "z": {"name": "z"}}),
    (
        'name,note\n"a,b","say ""hi"""\nc,d\n',
        {"a,b": {"name": "a,b", "note": 'say "hi"'}, "c": {"name": "c", "note": "d"}},
    ),
    ("id,rate\n007,0.5\n008,1e-3\n", {"007": {"id": "007", "rate": 0.5}, "008": {"id": "008", "rate": "1e-3"}}),
    ("name , size\n a , 1 \n\n b , 2 \n", {"a": {"name": "a", "size": 1}, "b": {"name": "b", "size": 2}}),
]


def study_file(folder: Path, table: str) -> Path:
    path = folder / "study.toml"
    path.write_text(
        '[study]\nname = "toy"\nmetric = "loss"\n[run]\ncommand = "f {x} {instance}"\n'
        f'[space]\nx = {{ type = "float", low = 0.0, high = 1.0 }}\n[budget]\ntrials = 3\n[instances]\n{table}\n'
    )
    return path


@pytest.mark.parametrize(("text", "rows"), CSVS)
def test_a_csv_file_gives_instances_and_columns_and_is_kept_with_the_study(
    tmp_path: Path, text: str, rows: Mapping[str, Any]
) -> None:
    (tmp_path / "instances.csv").write_text(text, encoding="utf-8", newline="")
    spec = load_spec(study_file(tmp_path, 'file = "instances.csv"'))
    assert spec.instances is not None
    assert spec.instances.rows == rows
    (tmp_path / "instances.csv").unlink()
    stored = parse_spec(dict(spec.stored_document))
    assert stored.instances is not None
    assert stored.instances.rows == rows


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name\n", "has no instance"),
        ("", "has no instance"),
        ("name,size\na,1\nb\n", "1 cells in line 3, but 2 columns"),
        ("name,size\na,1\nb,\n", "empty cell in line 3"),
        ("name,name\na,1\nb,2\n", "1 mistake:\n  instances.file  instances.csv has the column name twice"),
        ("a b,a b,c,c,c\na,1,1,1,1\n", "2 mistakes:"),
        ("name,the size\na,1\nb,2\n", 'column "the size"'),
        ("name\na\n\na\n", 'lists "a" twice, in lines 2 and 4'),
        ("name,size\na,1\n\nb,nan\n", "has nan in line 4"),
        ("name\n1e999\nb\n", "has inf in line 2"),
        ('name\n""\nb\nc\n', "empty cell in line 2"),
        ('name\n"a\nb\nc\n', "is a quote not closed"),
        ("name;size\na;1\nb;2\n", "separates its columns by semicolons"),
        (f"name\n{'a' * 2000}\nb\n", "line 2: "),
        ("1,2\n3,4\n5,6\n", "the first line names the columns"),
        (None, "does not exist"),
    ],
)
def test_a_csv_file_that_cannot_be_used_is_named_with_the_line(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / "instances.csv").write_text(text)
    with pytest.raises(SpecError) as refused:
        load_spec(study_file(tmp_path, 'file = "instances.csv"'))
    assert says in str(refused.value)


def test_values_and_a_file_are_not_given_together(tmp_path: Path) -> None:
    (tmp_path / "instances.csv").write_text("name\na\nb\n")
    with pytest.raises(SpecError, match="cannot be given besides file"):
        load_spec(study_file(tmp_path, 'file = "instances.csv"\nvalues = ["a", "b"]'))


# -- instances that everything fails on ------------------------------------------------------------------------------


def failing_on_b(count: int, kind: FailureKind = FailureKind.CRASH) -> list[Trial]:
    """Return configurations that complete on a and fail on b."""
    trials: list[Trial] = []
    for index in range(count):
        first = run_on(len(trials), "a", float(index))
        failed = run_on(len(trials) + 1, "b", None, of=first.number)
        failure = Failure(kind=kind, reason="cannot read b.csv")
        trials += [first, replace(failed, outcome=Outcome(state=TrialState.FAILED, failure=failure))]
    return trials


def test_an_instance_that_every_configuration_fails_on_costs_none_of_them_its_place() -> None:
    assert [t.state.value for t in known(failing_on_b(2))[::2]] == ["failed", "failed"]
    found = known(failing_on_b(3))
    assert [t.state.value for t in found[::2]] == ["complete"] * 3
    assert [t.values["loss"] for t in found[::2]] == [0.0, 1.0, 2.0]
    assert not any(t.counts for t in found[1::2])
    assert failing_lines(found)[0] == "instance b failed in all 3 runs: crash: cannot read b.csv"
    works = known([*failing_on_b(3), run_on(6, "b", 1.0)])
    assert [t.state.value for t in works[:6:2]] == ["failed"] * 3
    assert failing_lines(works) == []


def test_what_depends_on_the_configuration_is_never_the_instance() -> None:
    found = known(failing_on_b(5, FailureKind.TIMEOUT))
    assert [t.state.value for t in found[::2]] == ["failed"] * 5
    assert "cannot be chosen" in failing_lines(found)[-1]


def test_an_instance_is_named_only_where_others_work() -> None:
    assert failing_lines(known([run_on(0, "b", None), run_on(1, "b", None)])) == []
    named = failing_lines(known([run_on(0, "a", 1.0), run_on(1, "b", None), run_on(2, "b", None)]))
    assert named[0].startswith("instance b failed in all 2 runs: crash: no such file")
