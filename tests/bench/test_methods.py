"""`tunesmith compare`: one budget for each value of a choice, then fresh seeds, then a verdict with its certainty."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random

import pytest
from fakes.projects import invoke, make_project, start

from tunesmith.bench.methods.results import MethodResult, Reached
from tunesmith.bench.methods.targets import ratios, share_within, targets, time_to_target
from tunesmith.bench.methods.verdicts import verdicts
from tunesmith.history.read import History
from tunesmith.study.trials.view import Direction, Objective
from tunesmith.tools.llm_tools.studies.finding import listed_names

SCRIPT = """\
import random, sys
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
random.seed(values["--seed"] + values["--kind"])
behind = {"adam": 0.0, "sgd": 2.0, "lion": 0.0}[values["--kind"]]
boost = float(values.get("--boost") or 0.0)
print("loss", (float(values["--x"]) - 0.3) ** 2 + behind - 0.1 * boost + random.gauss(0, 0.05))
"""
SPACE = """\
[space.kind]
type = "choice"
choices = ["adam", "sgd", "lion"]
default = "adam"
[space.boost]
type = "float"
low = 0.0
high = 1.0
default = 0.5
when = "kind == 'sgd'"
[space.nested]
type = "choice"
choices = ["a", "b"]
default = "a"
when = "kind == 'adam'"
"""


def project(folder: Path, **changes: str) -> Path:
    study = make_project(folder, script=SCRIPT, trials=4, parallel=2)
    text = (study / "study.toml").read_text(encoding="utf-8")
    command = f'"{sys.executable} -I -S train.py --x {{x}} --kind {{kind}} --boost {{boost}} --seed {{seed}}"'
    text = "\n".join(f"command = {command}" if line.startswith("command") else line for line in text.splitlines())
    text = text.replace('y = { type = "int", low = 1, high = 8, default = 8 }', SPACE)
    for old, new in changes.items():
        text = text.replace(old, new)
    (study / "study.toml").write_text(text, encoding="utf-8")
    return study


def trial_count(study: Path) -> int:
    with History.open(study / ".tunesmith" / "history.db") as history:
        return sum(len(history.trials(history.study(name).id)) for name in history.names())


def test_each_method_has_the_same_trials_and_seeds_and_the_worse_one_is_named(tmp_path: Path) -> None:
    study = project(tmp_path / "toy")
    words = ("compare", "toy", "--by", "kind", "--method", "adam", "--method", "sgd", "--repeats", "3", "--seeds", "2")

    done = invoke(*words, "--target", "loss=0.5", cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "adam is better than sgd by" in done.stdout
    (row,) = [line for line in done.stdout.splitlines() if line.startswith(" sgd ") and "0 of 3" in line]
    assert row.split()[-5:] == ["0", "of", "3", "--", "--"]
    written = json.loads((study / ".tunesmith/compare-kind/comparison.json").read_text(encoding="utf-8"))
    assert [(r["method"], r["trials"], len(r["fresh"])) for r in written["results"]] == [
        *[("adam", 4, 2)] * 3,
        *[("sgd", 4, 2)] * 3,
    ]
    by_repeat = {(r["method"], r["repeat"]): set(r["fresh"]) for r in written["results"]}
    assert all(by_repeat["adam", repeat] == by_repeat["sgd", repeat] for repeat in (1, 2, 3))
    assert all(r["params"]["kind"] == r["method"] for r in written["results"])
    table = (study / ".tunesmith/compare-kind/comparison.tex").read_text(encoding="utf-8")
    assert table.count(r" \\") == 3
    assert "$\\infty$ (0/3)" in table
    # A second call finds everything done.
    before = trial_count(study)
    assert invoke(*words, cwd=tmp_path).returncode == 0
    assert trial_count(study) == before == 2 * 3 * (4 + 2)


def test_an_interrupted_comparison_is_continued(tmp_path: Path) -> None:
    study = project(tmp_path / "toy", **{"import random": "import time; time.sleep(0.05); import random"})
    words = ("compare", "toy", "--by", "kind", "--method", "adam", "--method", "lion", "--repeats", "2", "--seeds", "2")
    running = start(*words, cwd=tmp_path)
    assert running.stdout is not None
    assert running.stdout.readline().startswith("[1/4] toy, adam, repeat 1")
    running.send_signal(2)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors

    done = invoke(*words, cwd=tmp_path)

    assert done.returncode == 0, done.stdout
    assert "3 repeats or more say if it is" in done.stdout
    assert trial_count(study) == 2 * 2 * (4 + 2)


def test_a_method_that_always_fails_does_not_end_the_comparison(tmp_path: Path) -> None:
    study = project(tmp_path / "toy")
    script = (study / "train.py").read_text(encoding="utf-8")
    (study / "train.py").write_text(
        f"import sys\nif 'lion' in sys.argv: sys.exit('no lion')\n{script}", encoding="utf-8"
    )
    words = ("compare", "toy", "--by", "kind", "--method", "adam", "--method", "lion", "--repeats", "2", "--seeds", "1")

    done = invoke(*words, cwd=tmp_path)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "[4/4] toy, lion, repeat 2: no trial is complete; " in done.stdout
    assert "no lion" in done.stdout
    # Another number of trials is another comparison.
    assert invoke(*words, "--trials", "2", cwd=tmp_path).returncode == 1
    written = json.loads((study / ".tunesmith/compare-kind/comparison.json").read_text(encoding="utf-8"))
    assert {r["trials"] for r in written["results"] if r["method"] == "adam"} == {2}


@pytest.mark.parametrize("line", ["sys.exit('no data')", "print('loss', float('nan')); sys.exit()"])
def test_a_comparison_in_which_nothing_works_ends_after_two_methods(tmp_path: Path, line: str) -> None:
    study = project(tmp_path / "toy")
    (study / "train.py").write_text(f"import sys\n{line}\n", encoding="utf-8")

    done = invoke("compare", "toy", "--by", "kind", "--repeats", "2", cwd=tmp_path)

    assert done.returncode == 2, done.stdout + done.stderr
    assert "no trial of the first two methods is complete" in done.stderr
    assert "[3/6]" not in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--by", "knd"], "names no parameter of toy; did you mean kind?"),
        (["--by", "x"], "is a number; methods are the values of a choice or a switch"),
        (["--by", "kind", "--method", "sdg"], "sdg is no value of kind; did you mean sgd?"),
        (["--by", "kind", "--method", "sgd"], "a comparison needs two or more"),
        (["--by", "kind", "--target", "loss"], "expected METRIC=NUMBER"),
        (["--by", "kind", "--target", "los=0.3"], "names los, but what is compared is loss"),
        (["--by", "kind", "--target", "loss=nan"], "loss=nan is not a finite number"),
        (["toy", "--by", "kind"], "two of the studies are called toy"),
        (["--by", "nested"], "exists only when kind == 'adam'"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(
    tmp_path: Path, words: list[str], message: str
) -> None:
    study = project(tmp_path / "toy")
    done = invoke("compare", "toy", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert not (study / ".tunesmith").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--history", "typo/here/h.db"], "the folder of --history typo/here/h.db does not exist"),
        (["--history", "typo/h.db"], "create it, or correct the path"),
        (["--out", "toy/train.py"], "--out toy/train.py cannot be a folder"),
        (["--out", "toy/train.py/figures"], "--out toy/train.py/figures cannot be a folder: Not a directory"),
        (["--out", "/proc/figures"], "--out /proc/figures cannot be a folder"),
    ],
)
def test_wrong_places_are_refused_before_anything_runs(tmp_path: Path, words: list[str], message: str) -> None:
    study = project(tmp_path / "toy")
    done = invoke("compare", "toy", "--by", "kind", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert not (study / ".tunesmith").exists()
    assert not (tmp_path / "typo").exists()


def test_the_studies_of_a_comparison_are_listed_on_demand_and_its_table_keeps_its_rows(tmp_path: Path) -> None:
    study = project(tmp_path / "toy")
    words = ("--method", "adam", "--method", "lion", "--repeats", "1", "--seeds", "1", "--trials", "2")
    assert invoke("run", cwd=study).returncode == 0
    done = invoke("compare", "toy", "--by", "kind", *words, "--target", "loss=100", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.startswith(" adam ") and "%" in line]
    assert row.split()[-6:-2] == ["1", "of", "1", "1"]
    assert "reached 100" in done.stdout
    listed = invoke("list", cwd=study).stdout
    assert [line.split()[0] for line in listed.splitlines()] == ["study", "toy", "2"]
    assert "2 studies of comparisons are not shown; `tunesmith list --all` shows them" in listed
    assert len(json.loads(invoke("list", "--json", cwd=study).stdout)) == 1
    assert len(invoke("list", "--all", cwd=study).stdout.splitlines()) == 4
    assert listed_names(study, study / ".tunesmith" / "history.db") == ["toy"]


def result(method: str, repeat: int, value: float, *, trials: int = 3) -> MethodResult:
    return MethodResult(
        task="toy",
        method=method,
        repeat=repeat,
        objective=Objective("loss", Direction.MINIMIZE),
        improvements=(
            Reached(trials=1, seconds=1.0, value=value + 1),
            Reached(trials=trials, seconds=2.0 * trials, value=value),
        ),
        trials=10,
        failed=0,
        unfinished=0,
        chosen=1,
        params={},
        fresh={1: value},
    )


def test_a_method_under_two_names_ties_and_a_crippled_one_is_found() -> None:
    """40 comparisons of 5 repeats: the same method twice, and one that is two standard deviations behind."""
    rng = Random(0)

    def clear(behind: float) -> int:
        ones = [result("one", repeat, rng.gauss(0, 1)) for repeat in range(5)]
        others = [result("two", repeat, rng.gauss(behind, 1)) for repeat in range(5)]
        return verdicts({"toy": {"one": ones, "two": others}})[0].is_clear

    assert sum(clear(0.0) for _ in range(40)) <= 4
    assert sum(clear(3.0) for _ in range(40)) >= 32


def test_what_differs_by_rounding_only_is_no_difference() -> None:
    exact, summed = 0.3, 0.1 + 0.2
    assert exact != summed
    by_task = {
        "toy": {"a": [result("a", r, exact) for r in (1, 2, 3)], "b": [result("b", r, summed) for r in (1, 2, 3)]}
    }
    (verdict,) = verdicts(by_task)
    assert verdict.words == "a and b tie: they have the same value in every repeat"


def test_several_comparisons_share_one_error_rate() -> None:
    """Six methods without a difference make 15 pairs: at 5% each, every second comparison would claim something."""
    rng = Random(1)
    false = 0
    for _ in range(40):
        methods = {f"m{i}": [result(f"m{i}", repeat, rng.gauss(0, 1)) for repeat in range(5)] for i in range(6)}
        false += any(verdict.is_clear for verdict in verdicts({"toy": methods}))
    assert false <= 4


def test_the_time_to_a_target_and_the_profile_count_every_repeat() -> None:
    fast = [result("fast", repeat, 0.1, trials=2) for repeat in range(4)]
    slow = [result("slow", repeat, 0.1 if repeat else 0.4, trials=4) for repeat in range(4)]
    by_task = {"toy": {"fast": fast, "slow": slow}}

    target = targets(by_task, {"loss": 0.2})
    assert target == {"toy": 0.2}
    assert targets(by_task, {}) == {"toy": 0.1}
    needed = time_to_target(slow, 0.2)
    assert (needed.trials, needed.seconds, needed.reached, needed.repeats) == (4, 8.0, 3, 4)
    profile = ratios(by_task, target)
    assert [share_within(profile["slow"], multiple) for multiple in (1.0, 2.0, 4.0)] == [0.0, 0.75, 0.75]
    assert share_within(profile["fast"], 1.0) == 1.0
