"""The benchmark: tables read right, regret and intervals by known numbers, runs kept once, the command end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fakes.llm.answers import candidates_text
from fakes.llm.server import Reply, Request, message, serving
from fakes.projects import command

from tunesmith.bench.runs import ResultsFile, Run, RunKey
from tunesmith.bench.statistics import bootstrap, mean_ranks, regret_curve
from tunesmith.bench.table import read_table
from tunesmith.bench.tasks import choose_tasks
from tunesmith.bench.tasks.synthetic import ackley_value, branin_value
from tunesmith.study.errors import ProjectError, SpecError
from tunesmith.study.trials.trial import Failure

BENCH = ("bench", "--planner", "random", "--trials", "6", "--seeds", "2")


def make_table(folder: Path) -> Path:
    folder.mkdir()
    losses = np.array([[4.0, 1.0], [2.0, np.nan], [8.0, 16.0]])
    np.savez(folder / "tiny.npz", val=losses[..., None])  # the last axis is repetitions
    meta = {
        "name": "tiny",
        "kind": "grid",
        "data_file": "tiny.npz",
        "metric": {"name": "loss", "direction": "minimize"},
        "space": [
            {"name": "lr", "type": "float", "low": 0.01, "high": 1.0, "log": True, "grid": [0.01, 0.1, 1.0]},
            {"name": "opt", "type": "categorical", "choices": ["adam", "sgd"]},
        ],
        "stats": {"best": 1.0, "median_random": 4.0},
    }
    (folder / "tiny.json").write_text(json.dumps(meta), encoding="utf-8")
    return folder / "tiny.json"


def bundled() -> list[str]:
    return sorted(p.stem for p in (Path(__file__).parents[2] / "bench" / "tables").glob("*.json"))


@pytest.mark.parametrize("name", bundled())
def test_a_bundled_table_holds_its_own_best_and_its_median(name: str) -> None:
    task = read_table(Path(__file__).parents[2] / "bench" / "tables" / f"{name}.json")
    rng = np.random.default_rng(0)
    answers = [task.evaluate(task.space.from_unit(list(rng.random(len(task.space)))), 0) for _ in range(2000)]
    values = [a for a in answers if not isinstance(a, Failure)]
    sign = task.objective.sign
    assert min(sign * v for v in values) >= sign * task.best - 1e-9
    scale = abs(task.median_random - task.best)
    assert abs(np.median(values) - task.median_random) < 0.2 * scale


@pytest.mark.parametrize(("text", "says"), [("{", "tiny"), ('{"kind": "grid"}', "missing"), ("[]", "tiny")])
def test_an_invalid_table_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = make_table(tmp_path / "t")
    path.write_text(text, encoding="utf-8")
    with pytest.raises((SpecError, ProjectError), match=says):
        read_table(path)


def test_known_optima() -> None:
    assert branin_value(np.pi, 2.275) == pytest.approx(0.397887, abs=1e-5)
    assert ackley_value(np.zeros(10)) == pytest.approx(0.0, abs=1e-9)


def test_regret_is_clipped_never_rises_and_ignores_failures() -> None:
    curve = regret_curve([None, 3.0, 99.0, 2.0, None, 1.0], best=1.0, median_random=3.0, trials=8)
    assert curve.tolist() == [10.0, 1.0, 1.0, 0.5, 0.5, 0.0, 0.0, 0.0]
    up = regret_curve([0.5, 0.9], best=0.9, median_random=0.5, trials=2)
    assert up.tolist() == pytest.approx([1.0, 0.0])


def test_intervals_and_ranks_of_known_numbers() -> None:
    even = bootstrap([np.full(8, 0.25), np.full(8, 0.75)])
    assert even.mean == 0.5
    assert (even.low, even.high) == (0.25, 0.75)
    assert bootstrap([np.full(5, 0.3)]).low == pytest.approx(0.3)
    ranks = mean_ranks({"a": {"t": 0.1, "u": 0.2}, "b": {"t": 0.3, "u": 0.2}, "c": {"t": 0.2, "u": 0.9}})
    assert ranks == {"a": 1.25, "b": 2.25, "c": 2.5}


def test_a_run_is_kept_once_and_a_line_cut_short_is_dropped(tmp_path: Path) -> None:
    file = tmp_path / "runs.jsonl"
    key = RunKey("t", "p", 0, 2)
    results = ResultsFile(file)
    for value in (1.0, 2.0):
        results.append(Run(key, (value, None), {"nan": 1}, (0.1, 0.1)))
    assert len(file.read_text(encoding="utf-8").splitlines()) == 1
    with file.open("a", encoding="utf-8") as lines:
        lines.write('{"task": "t", "pla')
    assert ResultsFile(file).runs == {key: Run(key, (1.0, None), {"nan": 1}, (0.1, 0.1))}


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(SpecError, match="did you mean branin"):
        choose_tasks(["brannin"])


def test_the_command_runs_what_is_missing_and_repeats_nothing(tmp_path: Path) -> None:
    make_table(tmp_path / "tables")
    wanted = [
        *BENCH,
        "--task",
        "branin",
        "--task",
        "half_fails",
        "--task",
        "tiny",
        "--data",
        "tables",
        "--json",
        "out.json",
    ]
    first = command(*wanted, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "6 trials" in first.stdout
    assert "half_fails" in command(*wanted, "--per-task", cwd=tmp_path).stdout
    runs = (tmp_path / "out.runs.jsonl").read_text(encoding="utf-8")
    assert len(runs.splitlines()) == 6
    more = command(*wanted, "--planner", "optuna-tpe", cwd=tmp_path)
    assert "6 of 12 runs are finished already" in more.stderr
    assert (tmp_path / "out.runs.jsonl").read_text(encoding="utf-8").startswith(runs)
    figures = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [p["planner"] for p in figures["planners"]] == ["random", "optuna-tpe"]
    assert figures["planners"][0]["failed_share"] > 0
    assert len(figures["curves"]["random"]["branin"][0]) == 6


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--planner", "bayse", "--task", "branin"], "did you mean bayes"),
        (["--planner", "random", "--task", "branin", "--seeds", "0"], "--seeds"),
        (["--planner", "random", "--task", "branin", "--data", "nowhere"], "--data nowhere is not a folder"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, arguments: list[str], says: str) -> None:
    done = command("bench", *arguments, cwd=tmp_path)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_planners_with_a_model_are_measured_side_by_side(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def says(request: Request, before: int) -> Reply:  # noqa: ARG001
        points = [{"x": round(float(rng.uniform(-5, 10)), 3), "y": round(float(rng.uniform(0, 15)), 3)} for _ in "1234"]
        return message(candidates_text(points))

    names = ["hybrid", "llm", "centaur", "llambo", "best-of-n"]
    planners = [word for name in names for word in ("--planner", name)]
    out = tmp_path / "out.json"
    with serving(says) as server:
        options = ["--model", "m", "--base-url", server.base_url, "--json", str(out)]
        done = command(
            "bench", *planners, "--task", "branin", "--trials", "6", "--seeds", "1", *options, cwd=tmp_path,
            timeout_s=120,
        )  # fmt: skip
        asked = len(server.requests)
    assert done.returncode == 0, done.stderr
    figures = {
        p["planner"].partition("@")[0]: p["regret"]["6"]["mean"] for p in json.loads(out.read_text())["planners"]
    }
    assert set(figures) == set(names)
    assert all(0 <= regret <= 10 for regret in figures.values())
    assert asked >= 5
    missing = command("bench", "--planner", "best-of-n", "--task", "branin", cwd=tmp_path)
    assert missing.returncode == 2
    assert "needs --model" in missing.stderr
