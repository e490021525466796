"""What an LLM asks for about the study reaches the person, and changes it only where the study allows that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes.llm.server import Reply, Request, message, serving
from fakes.projects import events, invoke, make_project

from tunesmith.history.read import History
from tunesmith.study.commands import Bounds, Forbid
from tunesmith.study.config.spec import StudySpec
from tunesmith.tools.control.inbox import Inbox

WIDER = {"action": "range", "name": "x", "high": 2.0, "why": "the loss still falls at the upper end"}
DROPOUT = {"action": "parameter", "name": "dropout", "low": 0.0, "high": 0.5, "why": "it overfits"}
RULE = {"action": "forbid", "condition": "x > 0.9 and y > 7", "why": "both large diverged"}


@pytest.fixture(scope="module", autouse=True)
def client() -> None:
    """Import the client before the first study, which takes seconds on a busy machine."""
    import langchain.chat_models  # noqa: F401
    import langchain_openai  # noqa: F401  # the import is all that is needed


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789abcdef")


def asks(request: Request, before: int) -> Reply:
    """Give candidates that come nearer to the best with every question, and the same requests each time."""
    if "insights" in json.dumps(request.get("response_format") or request.get("tools") or {}):
        return message(json.dumps({"insights": []}))
    points = [{"x": round(0.3 + 0.6 / (before + 1 + i / 3), 4), "y": max(4, 7 - before)} for i in range(3)]
    candidates = [{"kind": "refine", "changes": p, "rationale": "closer", "predicted": 1} for p in reversed(points)]
    return message(json.dumps({"candidates": candidates, "requests": [WIDER, DROPOUT, RULE]}))


def run(project: Path, *options: str) -> Any:
    with serving(asks) as server:
        done = invoke("run", "--model", "m", "--base-url", server.base_url, *options, cwd=project)
    assert done.returncode == 0, done.stderr
    return done


def spec_of(project: Path) -> StudySpec:
    with History.open(project / ".tunesmith" / "history.db") as history:
        return history.study("toy").spec


def later(project: Path, trials: int) -> None:
    study = project / "study.toml"
    text = study.read_text(encoding="utf-8")
    study.write_text(text.replace("trials = 10", f"trials = {trials}"), encoding="utf-8")


def test_requests_reach_the_person_everywhere_and_widen_nothing_unasked(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=10, sampler="bayes", more="--sleep 0.4")
    printed = run(project, "--json").stdout
    notes = [e["text"] for e in events(printed) if e["event"] == "note" and "the LLM asks" in e["text"]]
    invoke("report", "--out", "out", cwd=project)
    report = (project / "out" / "report.md").read_text(encoding="utf-8")
    asked = ["let x range to 2 (the loss still falls at the upper end)", "add a parameter dropout from 0 to 0.5"]
    for text in asked:
        assert sum(text in note for note in notes) == 1, "asked with every answer, said once"
        assert text in invoke("status", cwd=project).stdout
        assert text in report
    assert "/bounds x LOW HIGH" in invoke("status", cwd=project).stdout
    assert spec_of(project).space.parameters["x"].high == 1.0  # type: ignore[union-attr]
    later(project, 11)
    study = project / "study.toml"
    study.write_text(study.read_text().replace("high = 1.0", "high = 2.5"), encoding="utf-8")
    run(project)
    status = invoke("status", cwd=project).stdout
    assert "let x range to 2" not in status, "what was done is no request any more"
    assert "dropout" in status


def test_what_is_taken_over_is_shown_as_a_command_and_can_be_undone(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", trials=10, sampler="bayes", more="--sleep 0.4", tables='allow = ["ranges"]')
    printed = run(project, "--json").stdout
    assert "the LLM" in printed
    made = spec_of(project)
    assert made.space.parameters["x"].high == 2.0  # type: ignore[union-attr]
    assert RULE["condition"] in made.space.forbid
    assert "dropout" not in made.space.parameters
    inbox = Inbox(project / ".tunesmith" / "toy")
    inbox.submit(Bounds(name="x", high=1.0), by="a person")
    inbox.submit(Forbid(rule=str(RULE["condition"]), lift=True), by="a person")
    later(project, 11)
    run(project)
    # The LLM asked again in the last run: what a person undid stays undone.
    undone = spec_of(project)
    assert undone.space.parameters["x"].high == 1.0  # type: ignore[union-attr]
    assert RULE["condition"] not in undone.space.forbid
