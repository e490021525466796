"""What a person wants of a chat, from their words to what came of it: the approvals and model calls that it takes.

The model is a script over real HTTP. The counts are upper bounds: a change that asks a person or the model once more
than today has to say why.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from fakes.llm.server import Reply, Request, serving, streamed
from fakes.projects import command, environment, make_project

from tunesmith.history.read import History
from tunesmith.study.trials.trial import Trial, TrialState

ASKS = "[y = yes"
TRAINER = """\
import argparse
p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=0.1)
p.add_argument("--width", type=int, default=8)
a = p.parse_args()
acc = 1 - (a.lr - 0.3) ** 2 - abs(a.width - 16) / 100
"""
PRINTS = 'print(f"val_acc={acc}")\n'
TOML = f"""\
[study]
name = "digits"
metric = "val_acc"
direction = "maximize"
[run]
command = "{sys.executable} -I -S train.py --lr {{lr}} --width {{width}}"
parallel = 2
[space]
lr = {{ type = "float", low = 1e-3, high = 1.0, log = true, default = 0.1 }}
width = {{ type = "int", low = 4, high = 64, default = 8 }}
[budget]
trials = 4
llm_usd = 3.0
"""
Step: TypeAlias = str | list[tuple[str, dict[str, Any]]] | Callable[[str], list[tuple[str, dict[str, Any]]]]


def call(tool: str, /, **arguments: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(tool, arguments)]


@dataclass(frozen=True, kw_only=True)
class Story:
    """A story: the folder, what the person types, what the model does, and what it takes.

    Attributes:
        lines: what the person types: wishes, slash commands, and answers to questions.
        model: a step for each call: text, tool calls, or a function of the last tool's answer.
        approvals: the most questions that the person may be asked.
        shows: what the person must have seen.
    """

    folder: Callable[[Path], None]
    lines: Sequence[str]
    model: Sequence[Step]
    approvals: int
    shows: Sequence[str]
    came_of_it: Callable[[Path], bool]


def behave(steps: Sequence[Step]) -> Callable[[Request, int], Reply]:
    def reply(request: Request, before: int) -> Reply:
        step = steps[before] if before < len(steps) else "I have nothing to add."
        if callable(step):
            step = step(str(request["messages"][-1]["content"]))
        if isinstance(step, str):
            return streamed(step)
        return streamed(calls=[(tool, json.dumps(arguments)) for tool, arguments in step])

    return reply


def numbers(text: str) -> list[int]:
    """Return the trial numbers in a tool's answer."""
    found = re.search(r"as trial (\d+)|as (\d+) to (\d+)", text)
    assert found is not None, text
    return [int(found[1])] if found[1] else list(range(int(found[2]), int(found[3]) + 1))


def trials(folder: Path, study: str = "digits") -> list[Trial]:
    """Return the trials of a study; none before its run made the history."""
    if not (folder / ".tunesmith" / "history.db").exists():
        return []
    with History.open(folder / ".tunesmith" / "history.db") as history:
        return history.trials(history.study(study).id)


def complete(folder: Path, study: str = "digits") -> int:
    return sum(t.state is TrialState.COMPLETE for t in trials(folder, study))


def waiting(folder: Path) -> list[str]:
    """Return the kinds of the commands that wait for the next run, without the bills of the chat's own calls."""
    files = sorted((folder / ".tunesmith" / "digits" / "inbox").glob("*.json"))
    kinds = [str(json.loads(file.read_text())["order"]["kind"]) for file in files]
    return [kind for kind in kinds if kind != "charge"]


def wait_for(holds: Callable[[], bool], seen: str) -> None:
    until = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < until, seen
        time.sleep(0.1)


def script_only(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "train.py").write_text(text) and None


def with_study(text: str = TRAINER + PRINTS, toml: str = TOML) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "train.py").write_text(text)
        (folder / "study.toml").write_text(toml)

    return write


def finished(text: str = TRAINER + PRINTS, toml: str = TOML, *, status: int = 0) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        with_study(text, toml)(folder)
        assert command("run", cwd=folder).returncode == status

    return run


def committed(folder: Path) -> None:
    """Run the study, and commit its files."""
    finished()(folder)
    (folder / ".gitignore").write_text(".tunesmith/\n")
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=n", "-c", "user.email=e@x", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)


def log_of(folder: Path) -> str:
    return subprocess.run(["git", "log", "--oneline"], cwd=folder, check=True, capture_output=True, text=True).stdout


def two_studies(folder: Path) -> None:
    finished()(folder)
    make_project(folder / "other", trials=3)
    (folder / "other" / "study.toml").rename(folder / "toy.toml")
    (folder / "toy.toml").write_text((folder / "toy.toml").read_text().replace("train.py", "other/train.py"))
    assert command("run", "toy.toml", cwd=folder).returncode == 0


def earlier_results(folder: Path) -> None:
    with_study()(folder)
    (folder / "old.csv").write_text("learning_rate,width,val_acc\n0.2,16,0.98\n0.4,8,0.9\n")


BROKEN = TRAINER.replace("import argparse", "import argparse, jsn") + PRINTS
HUNGRY = TRAINER + "assert a.width < 32, 'CUDA out of memory'\n" + PRINTS
SLOW = "import time; time.sleep(0.3)\n" + TRAINER + PRINTS
LONG = TOML.replace("trials = 4", "trials = 12")
OPTION = 'p.add_argument("--momentum", type=float, default=0.0)'
RANGE = 'momentum = { type = "float", low = 0.0, high = 0.99, default = 0.0 }'
MAKE_MOMENTUM = [
    {"path": path, "search": search, "replace": replace}
    for path, search, replace in (
        ("train.py", "a = p.parse_args()", f"{OPTION}\na = p.parse_args()"),
        ("train.py", "/ 100", "/ 100 - (a.momentum - 0.5) ** 2"),
        ("study.toml", "--width {width}", "--width {width} --momentum {momentum}"),
        ("study.toml", "[budget]\ntrials = 4", f"{RANGE}\n[budget]\ntrials = 7"),
    )
]
"""What makes a setting a hyperparameter: its option and use in the script, its range, its place in the command."""


STORIES = {
    "an empty folder to a running study": Story(
        folder=script_only(TRAINER + PRINTS),
        lines=["tune train.py for validation accuracy overnight, use both cores, at most 3 dollars", "y"],
        model=[call("read_script", path="train.py"), call("write_study", text=TOML, start=True), "It runs."],
        approvals=1,
        shows=["Write study.toml and start the run:", "llm_usd 3.0", "a dry run of at most 20 s", "It runs."],
        came_of_it=lambda folder: complete(folder) == 4,
    ),
    "twice the width, then confirm it": Story(
        folder=with_study(SLOW, LONG),
        lines=["/run", "try twice the width, then confirm it", "all"],
        model=[
            call("queue", configurations=[{"width": 16}], base="default"),
            lambda seen: call("wait", until="trials", numbers=numbers(seen)),
            lambda seen: call("confirm", number=int(re.findall(r"#(\d+) user", seen)[0]), seeds=2),
            lambda seen: call("wait", until="trials", numbers=numbers(seen)),
            "It holds on fresh seeds.",
        ],
        approvals=1,
        shows=["Run 1 trial next", "width=16", "again on 2 fresh seeds: 2 runs", "(yes to all)", "It holds"],
        came_of_it=lambda folder: sum(t.is_replicate and t.params["width"] == 16 for t in trials(folder)) >= 2,
    ),
    "a metric that the script does not print": Story(
        folder=script_only(TRAINER),
        lines=["tune train.py for val_acc, 4 trials", "y", "y"],
        model=[
            call("read_script", path="train.py"),
            call("write_study", text=TOML, start=True),
            call(
                "change_files",
                blocks=[{"path": "train.py", "search": "/ 100", "replace": f"/ 100\n{PRINTS.strip()}"}],
                start=True,
            ),
            "Fixed; it runs.",
        ],
        approvals=2,
        shows=["Change train.py in your project and start the run:", '+print(f"val_acc={acc}")', "Fixed"],
        came_of_it=lambda folder: complete(folder) == 4 and (folder / "train.py.bak").exists(),
    ),
    "a crash": Story(
        folder=finished(BROKEN, status=1),
        lines=["all trials failed, mend it and go on", "y"],
        model=[
            call("trial", number=0),
            call(
                "change_files",
                blocks=[{"path": "train.py", "search": "import argparse, jsn", "replace": "import argparse"}],
                start=True,
            ),
            "Mended.",
        ],
        approvals=1,
        shows=["-import argparse, jsn", "+import argparse", "Mended."],
        came_of_it=lambda folder: complete(folder) == 4,
    ),
    "memory that is too small": Story(
        folder=finished(HUNGRY, TOML.replace("default = 8", "default = 16").replace("high = 64", "high = 40")),
        lines=["never so wide that memory runs out, then 3 trials more", "all"],
        model=[
            [("bounds", {"name": "width", "high": 31}), ("limit", {"name": "trials", "value": 7}), ("start", {})],
            "It continues.",
        ],
        approvals=1,
        shows=["width: 4 to 40 -> 4 to 31", "Trials: 4 -> 7", "It continues."],
        came_of_it=lambda folder: len([t for t in trials(folder) if t.number >= 4 and not t.is_replicate]) >= 3,
    ),
    "a new hyperparameter": Story(
        folder=committed,
        lines=["make the momentum a hyperparameter and try it in 3 trials", "y"],
        model=[
            [("source", {"path": "train.py"}), ("source", {"path": "study.toml"})],
            call("change_files", blocks=MAKE_MOMENTUM, why="Momentum is a hyperparameter", start=True),
            "Momentum is tuned now.",
        ],
        approvals=1,
        shows=["Change train.py, study.toml in your project and start the run:", "--momentum {momentum}"],
        came_of_it=lambda folder: (
            "Momentum is a hyperparameter" in log_of(folder)
            and sum("momentum" in t.params for t in trials(folder)) >= 3
        ),
    ),
    "a plot and a table": Story(
        folder=finished(),
        lines=["plot the accuracy over lr, and give me everything as CSV", "y"],
        model=[[("plot", {"of": "lr"}), ("more_tools", {"names": ["export"]})], call("export", to="csv"), "Both done."],
        approvals=1,
        shows=["val_acc", "└─", "digits.csv: ", "4 complete", "Both done."],
        came_of_it=lambda folder: (folder / "digits.csv").read_text().count("\n") == 5,
    ),
    "several studies": Story(
        folder=two_studies,
        lines=["how is toy? continue from its best as toy-2 with 5 trials", "y", "/switch"],
        model=[
            call("switch", name="toy"),
            [("more_tools", {"names": ["branch"]})],
            call("branch", number=1, name="toy-2", trials=5, start=True),
            "toy-2 runs.",
        ],
        approvals=1,
        shows=["Write toy-2.toml, a study that continues from #1, and start the run:", "toy-2 (toy-2.toml), this one"],
        came_of_it=lambda folder: len(trials(folder, "toy-2")) >= 5,
    ),
    "no, do this instead": Story(
        folder=finished(),
        lines=["no more large rates", "no, only above 0.5", "y", "and up to 9 trials, with width 16 only", "y", "y"],
        model=[
            call("veto", condition="lr > 0.1"),
            call("veto", condition="lr > 0.5"),
            "No rate above 0.5.",
            [("limit", {"name": "trials", "value": 9}), ("pin", {"name": "width", "value": 16})],
            "Done.",
        ],
        approvals=4,
        shows=["No more trials with lr > 0.1", "No more trials with lr > 0.5", "Trials: 4 -> 9", "Fix width at 16"],
        came_of_it=lambda folder: waiting(folder) == ["veto", "limit", "pin"],
    ),
    "tell me when it is done": Story(
        folder=with_study(SLOW, LONG),
        lines=["/run", "tell me of a new best, and report when it is over"],
        model=[call("wait", until="best"), call("wait", until="end"), "#3 is the best."],
        approvals=0,
        shows=["⚙ wait(best)", "⚙ wait(end)", "#3 is the best."],
        came_of_it=lambda folder: complete(folder) >= 12,
    ),
    "results of elsewhere": Story(
        folder=earlier_results,
        lines=["learn from old.csv, then start", "all"],
        model=[
            call("more_tools", names=["import_results"]),
            [
                ("import_results", {"path": "old.csv", "columns": {"learning_rate": "lr"}}),
                ("start", {"check": False}),
            ],
            "It knows them.",
        ],
        approvals=1,
        shows=[
            "Let digits learn from trials that ran elsewhere (2 complete):",
            "lr      <- learning_rate",
            "It knows them.",
        ],
        came_of_it=lambda folder: complete(folder) == 4 and complete(folder, "digits-from-old") == 2,
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_story_takes_no_more_approvals_and_model_calls_than(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-key-for-this-test")
    story = STORIES[name]
    story.folder(tmp_path)
    with serving(behave(story.model)) as server:
        done = subprocess.run(
            [sys.executable, "-m", "tunesmith.cli.main", "chat", "--model", "m", "--base-url", server.base_url],
            cwd=tmp_path,
            env=environment(),
            input="".join(f"{line}\n" for line in story.lines),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for words in story.shows:
        assert words in done.stdout, done.stdout
    assert done.stdout.count(ASKS) <= story.approvals, done.stdout
    assert len(server.requests) == len(story.model), done.stdout
    wait_for(lambda: story.came_of_it(tmp_path), done.stdout)
