"""A study that edits code, over real HTTP: good edits win, bad ones cost little, the project stays as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes.llm.answers import candidates_reply
from fakes.llm.server import Reply, Request, message, serving
from fakes.projects import command, environment

from tunesmith.evaluator.sandbox.bubblewrap import sandbox_problem
from tunesmith.history.read import History
from tunesmith.study.trials.trial import FailureKind, Source, Trial, TrialState
from tunesmith.study.variant import Variant, VariantState

pytestmark = pytest.mark.skipif(sandbox_problem() != "" and os.environ.get("CI") != "true", reason=sandbox_problem())

SCRIPT = """\
import random, sys, time

time.sleep(0.4)  # so that the model has time to answer
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
x, seed = float(values["--x"]), int(values["--seed"])
random.seed(seed)
bias = 1.0
for step in range(4):
    penalty = (x - 0.3) ** 2
    noise = 0.01 * random.random()
    print(f"step={step} loss={penalty + bias + noise}")
"""
STUDY = """\
[study]
name = "coded"
metric = "loss"
[run]
command = "{python} -I -S train.py --x {{x}} --seed {{seed}}"
parallel = 1
[space]
x = {{ type = "float", low = 0.0, high = 1.0, default = 0.9 }}
[budget]
trials = {trials}
[planner]
model = "openai:made-up"
base_url = "{url}"
[edits]
files = ["train.py"]
{more}
"""
GOOD = ("bias = 1.0", "bias = 0.6", "optimizer")
BETTER = ("bias = 0.6", "bias = 0.4", "schedule")
OTHER = ("penalty = (x - 0.3) ** 2", "penalty = 0.5 * (x - 0.3) ** 2", "regularisation")


def edit_reply(search: str, replacement: str, direction: str = "other", **more: Any) -> Reply:
    block = {"path": "train.py", "search": search, "replace": replacement}
    answer = {"rationale": f"{direction} helps", "direction": direction, "edits": [block], "params": {"x": None}}
    return message(json.dumps({**answer, "new_params": [], "predicted": 0.5, **more}))


class Scripted:
    """A model that gives these edits in turn, first those that fit the code it is shown, and points when asked."""

    def __init__(self, replies: Sequence[Reply], *, before: Sequence[Reply] = ()) -> None:
        self._replies, self._before = list(replies), list(before)
        self.questions: list[str] = []

    def __call__(self, request: Request, before: int) -> Reply:
        prompt = "\n".join(str(m["content"]) for m in request["messages"])
        if "# The code" not in prompt:
            return candidates_reply([{"x": round((0.37 * before) % 1, 3)}])
        self.questions.append(str(request["messages"][-1]["content"]))
        shown = prompt.replace("\n| ", "\n")
        if self._before:
            return self._before.pop(0)
        fitting = next((r for r in self._replies if _search_of(r) in shown), None)
        if fitting is None:
            return edit_reply("it has no more ideas", "")
        self._replies.remove(fitting)
        return fitting


def _search_of(reply: Reply) -> str:
    answer = json.loads(json.loads(reply.body)["choices"][0]["message"]["content"])
    return str(answer["edits"][0]["search"])


def project(folder: Path, url: str, *, trials: int = 14, script: str = SCRIPT, more: str = "") -> Path:
    folder.mkdir()
    (folder / "train.py").write_text(script, encoding="utf-8")
    text = STUDY.format(python=sys.executable, trials=trials, url=url, more=more)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return folder


def outcome(folder: Path) -> tuple[list[Trial], dict[str, Variant]]:
    with History.open(folder / ".tunesmith" / "history.db") as history:
        study = history.study("coded").id
        return history.trials(study), {v.id: v for v in history.variants(study)}


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    os.environ["OPENAI_API_KEY"] = "sk-nobody"
    done = command("run", *options, cwd=folder, timeout_s=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def first_runs(trials: Sequence[Trial]) -> Mapping[str, Trial]:
    found: dict[str, Trial] = {}
    for trial in trials:
        if trial.proposal.code:
            found.setdefault(trial.proposal.code, trial)
    return found


def test_the_model_may_ask_for_a_trial_of_the_users_own_code_in_its_answer_about_edits(tmp_path: Path) -> None:
    own = {"version": None, "params": {"x": 0.111}, "rationale": "is it the code at all?", "predicted": 1.0}
    asked = message(json.dumps({"ideas": [], "joins": [], "trials": [own]}))
    with serving(Scripted([edit_reply(*GOOD)], before=[asked])) as server:
        run(project(tmp_path / "p", server.base_url, trials=6))
    trials, _ = outcome(tmp_path / "p")
    assert next(t.proposal.code for t in trials if t.params["x"] == 0.111) == ""
    assert len(trials) == 6


def test_edited_code_reports_from_an_environment_without_tunesmith_as_the_users_own_code_does(tmp_path: Path) -> None:
    script = SCRIPT.replace("import random", "import tunesmith\nimport random")
    script = script.replace('print(f"step={step} loss={', "tunesmith.report(step=step, loss=")
    script = script.replace('noise}")', "noise)")
    with serving(Scripted([edit_reply(*GOOD)])) as server:
        folder = project(tmp_path / "p", server.base_url, trials=4, script=script)
        study = (folder / "study.toml").read_text(encoding="utf-8")
        # With -S and without a PYTHONPATH of ours, Python finds nothing that is installed.
        study = study.replace(" -I -S ", " -S ").replace("parallel = 1", 'parallel = 1\nenv = { PYTHONPATH = "" }')
        (folder / "study.toml").write_text(study, encoding="utf-8")
        run(folder)
    trials, _ = outcome(folder)
    edited = [t for t in trials if t.proposal.code]
    assert edited
    assert [t.failure.reason for t in trials if t.failure] == []


def test_good_edits_win_and_bad_ones_cost_nothing(tmp_path: Path) -> None:
    bad = [
        edit_reply("bias = 1.5", "bias = 0.5"),  # matches nowhere
        edit_reply("bias = 1", "bias = ("),  # no Python
    ]
    replies = [
        edit_reply("bias = 1.0", "bias = 1.0  # as before"),  # equivalent
        edit_reply(*GOOD),
        edit_reply("random.seed(seed)", "random.seed(3)"),  # a shortcut
        edit_reply(*BETTER),
        edit_reply(*OTHER),
        edit_reply("bias = 0.4", "bias = 0.3"),
    ]
    model = Scripted(replies, before=bad)
    with serving(model) as server:
        folder = project(tmp_path / "p", server.base_url, trials=14)
        done = run(folder)
    trials, variants = outcome(folder)
    states = [v.state for v in variants.values() if v.is_edited]
    assert states.count(VariantState.REFUSED) == 2, variants
    assert states.count(VariantState.DUPLICATE) == 1
    best = min((t for t in trials if t.state is TrialState.COMPLETE), key=lambda t: t.values["loss"])
    won = variants[best.proposal.code].files["train.py"]
    assert any(f"bias = {value}" in won for value in (0.6, 0.4, 0.3))
    assert (folder / "train.py").read_text(encoding="utf-8") == SCRIPT
    assert all(variants[code].state is VariantState.SOUND for code in first_runs(trials)), "only valid versions ran"
    assert "The most similar lines are" in "\n".join(model.questions)
    assert "is not valid Python" in "\n".join(model.questions)
    assert "the code is equivalent to" in "\n".join(model.questions)
    assert "a seed is changed" in "\n".join(model.questions)
    assert "edit-" in done.stdout
    first = first_runs(trials)[next(iter(first_runs(trials)))]
    origin = next(t for t in trials if not t.proposal.code and t.proposal.seed == first.proposal.seed)
    assert first.params == origin.params, "a new version first runs as what it was made of ran best"
    assert first.proposal.source is Source.LLM


def hostile_edit(path: str, rationale: str = "helps") -> Reply:
    """Return an edit that adds a file of this name, and otherwise improves the script."""
    blocks = [
        {"path": path, "search": "", "replace": "y = 1\n"},
        {"path": "train.py", "search": GOOD[0], "replace": GOOD[1]},
    ]
    answer = {"rationale": rationale, "direction": "optimizer", "edits": blocks, "params": {"x": None}}
    return message(json.dumps({**answer, "new_params": [], "predicted": 0.5}))


@pytest.mark.parametrize(
    ("files", "hostile"),
    [
        ('"train.py"', [hostile_edit("train.py/x.py"), hostile_edit("train.py/"), hostile_edit("train.py/x.py/y.py")]),
        ('"*.py"', [hostile_edit("x\0.py"), hostile_edit("x" * 300 + ".py"), hostile_edit("d" * 260 + "/x.py")]),
        ('"*.py"', [hostile_edit("new.py", "h \ud800"), hostile_edit("\udfff.py"), hostile_edit("x.py", "a\0b")]),
    ],
    ids=["a file as a folder", "names that no file has", "text that nothing can hold"],
)
def test_an_edit_that_cannot_be_built_costs_its_call_and_not_the_run(
    tmp_path: Path, files: str, hostile: list[Reply]
) -> None:
    model = Scripted([edit_reply(*GOOD)], before=hostile)

    def answer(request: Request, before: int) -> Reply:
        if before == 0:
            candidate = {"params": {"x": 0.2}, "rationale": "a \ud800", "predicted": 0.1, "refuted_by": "b"}
            return message(json.dumps({"candidates": [{**candidate, "operator": "refine"}]}))
        return model(request, before)

    with serving(answer) as server:
        folder = project(tmp_path / "p", server.base_url, trials=8)
        study = (folder / "study.toml").read_text(encoding="utf-8")
        (folder / "study.toml").write_text(
            study.replace('files = ["train.py"]', f"files = [{files}]"), encoding="utf-8"
        )
        run(folder)
        asked = len(server.requests)
    trials, variants = outcome(folder)
    assert len(trials) >= 8
    assert model.questions
    edits = [v for v in variants.values() if v.is_edited]
    assert all(v.state is VariantState.REFUSED and v.reason for v in edits if "y = 1" in v.diff or not v.diff), edits
    assert [path.name for path in folder.iterdir() if path.suffix == ".py"] == ["train.py"]
    with History.open(folder / ".tunesmith" / "history.db") as history:
        assert history.study("coded").spent.llm_calls >= min(asked, 1 + len(model.questions)) > 1


def test_code_that_computes_the_same_is_a_duplicate(tmp_path: Path) -> None:
    with serving(Scripted([edit_reply("bias = 1.0", "bias = 4.0 / 4")])) as server:
        folder = project(tmp_path / "p", server.base_url, trials=14)
        run(folder)
    trials, variants = outcome(folder)
    (twin,) = [v for v in variants.values() if v.is_edited]
    assert twin.state is VariantState.DUPLICATE
    assert "exactly the same numbers" in twin.reason
    assert sum(t.proposal.code == twin.id for t in trials) == 1, "it gets no further trial"


def test_a_broken_edit_comes_back_once_with_its_traceback(tmp_path: Path) -> None:
    model = Scripted([edit_reply("bias = 1.0", "bias = [1.0][int(x) + 5]")])

    def repairing(request: Request, before: int) -> Reply:
        asked = str(request["messages"][-1]["content"])
        return (
            edit_reply(*GOOD) if "# A failure to repair" in asked and "IndexError" in asked else model(request, before)
        )

    with serving(repairing) as server:
        folder = project(tmp_path / "p", server.base_url, trials=14)
        run(folder)
    trials, variants = outcome(folder)
    made = [v for v in variants.values() if v.is_edited]
    assert [v.state for v in made] == [VariantState.BROKEN, VariantState.SOUND]
    assert "IndexError" in made[0].reason
    assert "bias = [1.0]" in made[0].diff


def test_a_suspicious_gain_runs_again_and_is_caught(tmp_path: Path) -> None:
    # The edit changes what the script reports. A lucky seed models a gain that another seed does not repeat.
    cheat = edit_reply("noise = 0.01 * random.random()", "noise = -100.0 * (random.random() < 0.4)")
    with serving(Scripted([cheat])) as server:
        folder = project(tmp_path / "p", server.base_url, trials=10)
        run(folder)
    trials, _ = outcome(folder)
    caught = [t for t in trials if t.failure and t.failure.kind is FailureKind.TAMPERED]
    best = min(t.values["loss"] for t in trials if t.state is TrialState.COMPLETE)
    assert best > 0 or not caught
    for trial in caught:
        assert trial.failure is not None
        assert "another seed did not reproduce it" in trial.failure.reason


def test_an_edit_that_trains_longer_is_compared_again_and_caught(tmp_path: Path) -> None:
    sleep = next(line for line in SCRIPT.split("\n") if line.startswith("time.sleep"))
    work = "work = 1.0\nend = time.thread_time() + 0.4 * work\nwhile time.thread_time() < end:\n    pass"
    longer = edit_reply("work = 1.0", "work = 2.5")
    with serving(Scripted([longer, edit_reply(*GOOD)])) as server:
        script = SCRIPT.replace(sleep, work).replace("bias = 1.0", "bias = 1.0 / work")
        folder = project(tmp_path / "p", server.base_url, trials=5, script=script)
        done = run(folder)
    trials, variants = outcome(folder)
    reasons = {t.proposal.code: t.failure.reason for t in trials if t.failure}
    (cheat,) = [v for v in variants.values() if "work = 2.5" in v.diff]
    assert set(reasons) == {cheat.id}, "and no other edit fails"
    assert "of your code in a run next to it at the same settings" in reasons[cheat.id]
    assert "both run again to compare" in done.stdout + done.stderr
    with History.open(folder / ".tunesmith" / "history.db") as history:
        assert len(history.events(history.study("coded").id, "timed")) == 1


def test_new_parameters_are_tuned_with_their_version(tmp_path: Path) -> None:
    change = edit_reply(
        "bias = 1.0",
        'bias = abs(float(values.get("--shift", 0)) - 0.2)',
        "schedule",
        new_params=[
            {"name": "shift", "type": "float", "low": 0.0, "high": 1.0, "log": None, "default": 0.5, "choices": None}
        ],
    )
    with serving(Scripted([change])) as server:
        folder = project(tmp_path / "p", server.base_url, trials=14, script=SCRIPT.replace("-S", ""))
        run(folder)
    trials, variants = outcome(folder)
    (made,) = [v for v in variants.values() if v.is_edited]
    assert made.declared["shift"]["high"] == 1.0
    with_it = [t for t in trials if t.proposal.code == made.id]
    assert with_it[0].params["shift"] == 0.5
    assert len({t.params["shift"] for t in with_it}) > 1, "it is tuned"
    for tried in with_it:
        bias = abs(float(tried.params["shift"]) - 0.2)
        assert abs(tried.values["loss"] - bias - (float(tried.params["x"]) - 0.3) ** 2) < 0.011, (
            "and reaches the script"
        )


NUMBER = ("bias = 1.0", "smoothing = 0.5\nbias = abs(smoothing - 0.2)", "optimizer")


def values_of(folder: Path, name: str) -> list[float]:
    """Return a parameter's values in the trials of the only edit, checked against what the script made of them."""
    trials, variants = outcome(folder)
    (made,) = [v for v in variants.values() if v.is_edited and v.state is VariantState.SOUND]
    own = [t for t in trials if t.proposal.code == made.id]
    for tried in own:
        value = float(tried.params.get(name, 0.5))
        expected = abs(value - 0.2) + (float(tried.params["x"]) - 0.3) ** 2
        assert abs(tried.values["loss"] - expected) < 0.011, "it reaches the script"
    return [float(t.params[name]) for t in own if name in t.params]


def test_a_number_of_an_edit_is_offered_and_tuned_once_a_person_wants_it(tmp_path: Path) -> None:
    with serving(Scripted([edit_reply(*NUMBER)])) as server:
        folder = project(tmp_path / "p", server.base_url, trials=3)
        run(folder)
        assert values_of(folder, "smoothing") == []
        (name,) = [v.removeprefix("edit-")[:6] for v, made in outcome(folder)[1].items() if made.is_edited]
        shown = command("variants", name, cwd=folder).stdout
        assert "could be a parameter: smoothing = 0.5000 (train.py:smoothing), range" in shown
        assert f"tunesmith variants edit-{name} --fit smoothing" in shown
        wrong = command("variants", name, "--fit", "smoothin", cwd=folder)
        assert wrong.returncode == 2
        assert "smoothin is none of its constants (smoothing); did you mean" in wrong.stderr
        assert command("variants", name, "--fit", "smoothing", cwd=folder).returncode == 0
        run(folder, "--trials", "9")
    values = values_of(folder, "smoothing")
    assert len(set(values)) > 2
    assert min(abs(value - 0.2) for value in values) < 0.2, "it is tuned"
    patch = command("apply", name, "--patch", "--output", "best.patch", cwd=folder)
    assert patch.returncode == 0, patch.stderr
    trials, _ = outcome(folder)
    best = min((t for t in trials if t.proposal.code.startswith(f"edit-{name}")), key=lambda t: t.values["loss"])
    assert f"+smoothing = {best.params['smoothing']!r}" in (folder / "best.patch").read_text(encoding="utf-8")


@pytest.mark.parametrize("who", ["all", "model"])
def test_numbers_of_an_edit_become_parameters_as_edits_says(tmp_path: Path, who: str) -> None:
    def answer(request: Request, before: int) -> Reply:
        asked = str(request["messages"][-1]["content"])
        if "Name those worth tuning in `constants`" in asked and "smoothing = 0.5" in asked:
            chosen = {"ideas": [], "constants": [{"version": None, "names": ["smoothing"]}]}
            return message(json.dumps(chosen))
        return model(request, before)

    model = Scripted([edit_reply(*NUMBER)])
    with serving(answer) as server:
        folder = project(tmp_path / "p", server.base_url, trials=7, more=f'constants = "{who}"')
        run(folder)
    assert len(set(values_of(folder, "smoothing"))) > 1


def test_a_study_resumes_with_its_versions(tmp_path: Path) -> None:
    with serving(Scripted([edit_reply(*GOOD), edit_reply(*BETTER)])) as server:
        folder = project(tmp_path / "p", server.base_url, trials=6)
        run(folder)
        before = outcome(folder)[1]
        run(folder, "--trials", "9")
    trials, after = outcome(folder)
    assert set(before) <= set(after)
    assert len([t for t in trials if not t.is_replicate]) == 9


def test_without_a_sandbox_edits_are_refused_unless_the_user_insists(tmp_path: Path) -> None:
    with serving(Scripted([edit_reply(*GOOD)])) as server:
        folder = project(tmp_path / "p", server.base_url, trials=8)
        tools = tmp_path / "bin"
        tools.mkdir()
        (tools / "python").symlink_to(sys.executable)
        env = {**environment(), "PATH": str(tools), "OPENAI_API_KEY": "sk-nobody"}
        words = [sys.executable, "-m", "tunesmith.cli.main", "run"]
        refused = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert refused.returncode == 2
        assert "bubblewrap" in refused.stderr
        assert "--unsafe-edits" in refused.stderr
        done = subprocess.run(
            [*words, "--unsafe-edits"], cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert any(v.is_edited for v in outcome(folder)[1].values())
