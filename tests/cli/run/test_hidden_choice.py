"""[confirm] command: leaders are judged once, at the end, by data that nothing else in the study ever sees."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fakes.llm.server import Reply, Request, message, serving
from fakes.projects import invoke, make_project

from tunesmith.agent.loop.loop import Loop
from tunesmith.agent.loop.notices.events import Finished, LoopEvent, Note
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.history.read import History
from tunesmith.study.config.load import load_spec
from tunesmith.tools.control.study_reader import FileStudyReader
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.report import markdown
from tunesmith.tools.llm_tools.results.study import study_text
from tunesmith.tools.llm_tools.script.files import SourceArguments, source
from tunesmith.tools.llm_tools.studies.study_files import WriteStudyArguments, script_lines, write
from tunesmith.tools.llm_tools.trials import NoArguments

# The search sees a loss that is lowest at x = 0.1, the hidden data one that is lowest at x = 0.6.
TRAIN = """\
import os, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
x = float(given["--x"])
kept = os.environ["TUNESMITH_ARTIFACTS"]
open(f"{kept}/model", "w").write(repr(x))
seen = [os.path.join(d, n) for d, _, names in os.walk(".") for n in names]
open(f"{kept}/seen", "w").write("\\n".join(open(path, errors="replace").read() + path for path in seen))
print(f"loss={(x - 0.1) ** 2}")
"""
JUDGE = """\
import pathlib, sys
from helper import distance  # a module of the project
labels = pathlib.Path("vault-9f/labels-9f.txt")
best = float(labels.read_text().split()[1])
x = float(pathlib.Path(sys.argv[1], "model").read_text())
with open(sys.argv[2], "a") as log:
    log.write(f"{x}\\n")
print(f"loss={distance(x, best) + 4321}")
"""
SECRETS = ("judge9f", "vault-9f", "labels-9f", "CONTENT9F", "432")
"""Parts of the command, its script, its data, what is in them, and every value that it gives."""


def hidden_project(folder: Path, *, more: str = "", keys: str = "", trials: int = 6, sampler: str = "grid") -> Path:
    made = make_project(folder, script=TRAIN, trials=trials, sampler=sampler, more=more, tables="TABLES")
    (made / "helper.py").write_text("def distance(a, b):\n    return abs(a - b)\n", encoding="utf-8")
    (made / "judge9f.py").write_text(JUDGE, encoding="utf-8")
    (made / "vault-9f").mkdir()
    (made / "vault-9f" / "labels-9f.txt").write_text("CONTENT9F 0.6", encoding="utf-8")
    command = f"{sys.executable} -S judge9f.py {{artifacts}} {folder.parent / 'judged.txt'}"
    table = f'# models\n[confirm]\ncommand = "{command}"\ndata = [\n    "vault-9f",\n]\n{keys}\n'
    text = (made / "study.toml").read_text(encoding="utf-8").replace("TABLES", table).replace("--y {y}", "")
    (made / "study.toml").write_text(re.sub(r"\ny = .*", "", text), encoding="utf-8")
    return made


def leaks(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def files_with_secrets(project: Path) -> list[str]:
    kept = [path for path in (project / ".tunesmith").rglob("*") if path.is_file() and not path.is_symlink()]
    return [str(path) for path in kept if leaks(path.read_bytes().decode("utf-8", errors="replace"))]


def context_of(project: Path) -> ToolContext:
    history = project / ".tunesmith" / "history.db"
    reader = FileStudyReader(history, lambda: load_spec(project))
    file = project / "study.toml"
    return ToolContext(reader=reader, project=project, folder=history.parent / "toy", history=history, file=file)


def shown_to_models(project: Path) -> str:
    """Return what the tools of chat and MCP say of a study and its files."""
    context = context_of(project)
    try:
        texts = [study_text(context, NoArguments()), markdown(context), script_lines(context, NoArguments())]
        return "\n".join([*texts, source(context, SourceArguments(path="study.toml"))])
    finally:
        context.study.close()  # type: ignore[attr-defined]


def answer(request: Request, before: int) -> Reply:
    if "insights" in json.dumps(request.get("response_format") or request.get("tools") or {}):
        return message(json.dumps({"insights": []}))
    words = {"rationale": "smaller", "predicted": 0.1, "refuted_by": "no", "operator": "refine"}
    points = [{"params": {"x": (0.05 + 0.037 * before + 0.21 * i) % 1.0}, **words} for i in range(4)]
    return message(json.dumps({"candidates": points}))


def test_nothing_of_the_hidden_data_shows_before_the_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789abcdef")
    project = hidden_project(tmp_path / "p", trials=8, sampler="bayes")
    found: list[str] = []
    notes: list[str] = []
    with serving(answer) as server:
        spec = load_spec(project)
        asked = spec.planner.model_copy(update={"model": "m", "base_url": server.base_url})

        def look(event: LoopEvent) -> None:
            if isinstance(event, Note):
                notes.append(event.text)
            if isinstance(event, Finished) and not any("by hidden data" in note for note in notes):
                found.extend(files_with_secrets(project))
                found.extend(leaks(shown_to_models(project)))

        options = RunOptions(project=project, history=project / ".tunesmith" / "history.db", cpus=1)
        Loop(spec.model_copy(update={"planner": asked}), options, on_event=look).run()
        prompts = json.dumps(server.requests)
    assert found == []
    assert server.requests
    assert leaks(prompts) == []
    assert len([note for note in notes if "by hidden data" in note]) == 2
    seen = [path.read_text() for path in project.glob(".tunesmith/toy/trials/*/artifacts/seen")]
    assert len(seen) == 8
    assert [leaks(text) for text in seen] == [[]] * 8
    assert all("[confirm]" in text and "helper.py" in text for text in seen)
    # What the judge left is gone: a study that continues without a sandbox could read it.
    assert [path for path in files_with_secrets(project) if "history.db" not in path] == []


def test_hidden_data_choose_once_and_the_value_shows_only_then(tmp_path: Path) -> None:
    project = hidden_project(tmp_path / "p")
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    with History.open(project / ".tunesmith" / "history.db") as history:
        record = history.study("toy")
        trials, chosen = history.trials(record.id), history.winner(record)
    assert chosen is not None
    assert chosen.is_hidden
    nearest = min(trials, key=lambda t: abs(float(str(t.params["x"])) - 0.6))
    lowest = min(trials, key=lambda t: t.values["loss"])
    assert chosen.trial.number == nearest.number != lowest.number
    assert len((tmp_path / "judged.txt").read_text().split()) == len(trials)
    assert f"Best on hidden data: loss 4321 (trial {nearest.number}" in done.stdout
    for text in (invoke("status", cwd=project).stdout, shown_to_models(project)):
        assert "4321 on hidden data" in text
    status = invoke("status", cwd=project).stdout
    assert re.search(r"\(default 4321\S* there, gain ", status), "both values are of the same data"
    report = project / ".tunesmith" / "toy" / "report.md"
    assert "Best on hidden data" in report.read_text(encoding="utf-8")

    assert invoke("run", cwd=project).returncode == 0
    assert len((tmp_path / "judged.txt").read_text().split()) == len(trials), "nothing new, so there is no second look"


def test_a_study_that_continues_does_not_see_the_choice_and_warns_of_the_next_look(tmp_path: Path) -> None:
    project = hidden_project(tmp_path / "p", keys="top = 2")
    assert invoke("run", cwd=project).returncode == 0
    seen: list[tuple[bool, bool]] = []
    spec = load_spec(project)
    spec = spec.model_copy(update={"budget": spec.budget.model_copy(update={"trials": 9})})
    notes: list[str] = []

    def look(event: LoopEvent) -> None:
        if isinstance(event, Note):
            notes.append(event.text)
        if isinstance(event, Finished):
            seen.append((event.winner is not None and event.winner.is_hidden, "432" in shown_to_models(project)))

    options = RunOptions(project=project, history=project / ".tunesmith" / "history.db", cpus=1)
    ended = Loop(spec, options, on_event=look).run()
    assert seen == [(False, False)] * 3
    assert any("look 2 at the hidden data" in note for note in notes)
    assert ended.winner is not None
    assert ended.winner.is_hidden
    shown = invoke("status", cwd=project).stdout
    assert "This was look 2 at the hidden data, so its value is optimistic" in shown.replace("\n", " ")


def test_replaced_data_judge_every_leader_anew_and_are_looked_at_once(tmp_path: Path) -> None:
    project = hidden_project(tmp_path / "p", trials=6)
    assert invoke("run", cwd=project).returncode == 0
    vault = project / "vault-9f" / "labels-9f.txt"
    vault.write_text("CONTENT9F 0.2", encoding="utf-8")
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "look 2" not in done.stdout
    with History.open(project / ".tunesmith" / "history.db") as history:
        record = history.study("toy")
        trials, chosen = history.trials(record.id), history.winner(record)
    assert chosen is not None
    wanted = min(trials, key=lambda t: abs(float(str(t.params["x"])) - 0.2))
    assert chosen.trial.number == wanted.number
    assert chosen.trial.hidden is not None
    assert chosen.trial.hidden.look == 1
    vault.write_text("CONTENT9F 0.6", encoding="utf-8")
    again = invoke("run", cwd=project)
    assert len((tmp_path / "judged.txt").read_text().split()) == 2 * len(trials), "these values are known"
    assert "4321 (trial" in again.stdout


def test_leaders_and_default_run_on_the_same_fresh_seeds_and_the_gain_has_an_interval(tmp_path: Path) -> None:
    project = hidden_project(tmp_path / "p", more="--seed {seed}", keys="top = 4\nseeds = 2", trials=5)
    script = (project / "train.py").read_text().replace("repr(x)", "repr(x + int(given['--seed']) % 7 * 1e-4)")
    (project / "train.py").write_text(script, encoding="utf-8")
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    with History.open(project / ".tunesmith" / "history.db") as history:
        trials = history.trials(history.study("toy").id)
    judged = [t for t in trials if t.hidden is not None]
    assert len(judged) == 5
    assert 0 in {t.number for t in judged}
    assert len({t.hidden.seeds for t in judged if t.hidden}) == 1
    assert len({t.number for t in trials if t.is_replicate}) == 10
    assert re.search(r"-> 4321 ± .{1,20} on 2 runs on hidden data \(default 4321", done.stdout.replace("\n", " "))


def test_a_judge_that_fails_says_why_and_the_search_decides(tmp_path: Path) -> None:
    project = hidden_project(tmp_path / "p", trials=3)
    (project / "judge9f.py").write_text("raise SystemExit('no such labels')", encoding="utf-8")
    done = invoke("run", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "no configuration was chosen by hidden data: crash: the judge of [confirm]: no such labels" in done.stdout
    (project / "judge9f.py").write_text(JUDGE, encoding="utf-8")
    assert "Best on hidden data" in invoke("run", cwd=project).stdout, "the next run judges again"


def test_a_model_that_rewrites_the_study_file_keeps_what_it_cannot_see(tmp_path: Path) -> None:
    project = hidden_project(tmp_path / "p", trials=1)
    context = context_of(project)
    shown = source(context, SourceArguments(path="study.toml"))
    lines = [line.removeprefix("| ") for line in shown.splitlines() if line.startswith("| ")]
    text = "\n".join(lines).replace("trials = 1", "trials = 2")
    assert leaks(text) == []
    write(context, WriteStudyArguments(text=text, replace=True))
    table: dict[str, Any] = tomllib.loads((project / "study.toml").read_text(encoding="utf-8"))
    assert "judge9f" in table["confirm"]["command"]
    assert table["confirm"]["data"] == ["vault-9f"]
    assert table["budget"]["trials"] == 2


@pytest.mark.parametrize(
    ("code", "place"), [("-c 'import judge9f'", "judge9f.py"), ("-m judge9f", "judge9f/__main__.py")]
)
def test_a_judge_that_is_named_as_a_module_is_in_no_trial(tmp_path: Path, code: str, place: str) -> None:
    project = hidden_project(tmp_path / "p", trials=2)
    (project / "judge9f.py").rename(project / "moved")
    (project / place).parent.mkdir(exist_ok=True)
    (project / "moved").rename(project / place)
    text = (project / "study.toml").read_text(encoding="utf-8").replace("-S judge9f.py", f"-S {code}")
    (project / "study.toml").write_text(text, encoding="utf-8")
    done = invoke("run", cwd=project)
    assert "Best on hidden data: loss 432" in done.stdout, done.stdout + done.stderr
    seen = [path.read_text() for path in project.glob(".tunesmith/toy/trials/*/artifacts/seen")]
    assert [leaks(text) for text in seen] == [[]] * 2
