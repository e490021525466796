"""What the LLM may look up before it proposes: trials, the end of a log, source files. Read-only, over a snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.agent.models.calls import Tool
from tunesmith.prompts.compact import params_line
from tunesmith.prompts.render import render_text
from tunesmith.prompts.untrusted import fenced, one_line
from tunesmith.study.errors import ToolRefused
from tunesmith.study.results import candidates
from tunesmith.study.trial import Trial, TrialState
from tunesmith.study.units import short_number
from tunesmith.study.view import StudyView
from tunesmith.tools.knowledge.catalogue import RULES, apply_rule

MOST = 20
SOURCE_CHARS = 3500


def lookup_tools(view: StudyView, project: Path | None) -> list[Tool]:
    """Return the tools for one question.

    Args:
        view: what is known at the moment of the question.
        project: the folder whose files may be read; None for a study from Python.
    """
    number = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
    listing = {
        "type": "object",
        "properties": {
            "which": {"type": "string", "enum": ["best", "worst", "latest", "failed"]},
            "count": {"type": "integer"},
        },
        "required": ["which"],
    }
    tools = [
        _tool("trial", number, lambda given: _trial(view, given)),
        _tool("trials", listing, lambda given: _trials(view, given)),
    ]
    rule = {
        "type": "object",
        "properties": {"name": {"type": "string", "enum": list(RULES)}, "inputs": {"type": "object"}},
        "required": ["name", "inputs"],
    }
    tools.append(_tool("rule", rule, _apply))
    if project is not None:
        path = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
        tools.append(_tool("source", path, lambda given: _source(project, given)))
    return tools


def _apply(given: Mapping[str, Any]) -> str:
    inputs = given.get("inputs")
    advice = apply_rule(str(given.get("name")), inputs if isinstance(inputs, Mapping) else {})
    lines = [f"{name} = {value:.6g}" for name, value in advice.values.items()]
    return "\n".join([*lines, f"source: {advice.source}", *advice.outside])


def _tool(name: str, arguments: Mapping[str, Any], run: Any) -> Tool:
    return Tool(name, render_text(f"tool_{name}.md", rules=RULES.values()), arguments, run)


def _trial(view: StudyView, given: Mapping[str, Any]) -> str:
    number = given.get("number")
    trial = next((t for t in view.trials if t.number == number), None)
    if trial is None:
        known = f"they run from 0 to {view.trials[-1].number}" if view.trials else "there is none yet"
        raise ToolRefused(f"there is no trial {one_line(str(number), 20)}; {known}")
    lines = [_line(trial, view), f"reason: {one_line(trial.proposal.rationale, 400)}"]
    lines += [f"{name} = {short_number(value)}" for name, value in trial.values.items()]
    if trial.failure:
        lines.append(f"failed as {trial.failure.kind.value}: {one_line(trial.failure.reason)}")
        if trial.failure.tail:
            lines.append(fenced(trial.failure.tail, "log", limit=1500))
    return "\n".join(lines)


def _trials(view: StudyView, given: Mapping[str, Any]) -> str:
    ranked = candidates(view.trials, view.objectives, view.constraints)
    chosen: Mapping[str, Sequence[Trial]] = {
        "best": ranked,
        "worst": ranked[::-1],
        "latest": list(view.trials)[::-1],
        "failed": [t for t in view.trials if t.state is TrialState.FAILED][::-1],
    }
    which = str(given.get("which"))
    if which not in chosen:
        raise ToolRefused(f"which: give one of {', '.join(chosen)}")
    asked = given.get("count")
    count = min(max(asked, 1), MOST) if isinstance(asked, int) else MOST
    return "\n".join(_line(t, view) for t in chosen[which][:count]) or "there is none"


def _line(trial: Trial, view: StudyView) -> str:
    metric = view.objectives[0].metric
    value = f"{metric} {short_number(trial.values[metric])}" if metric in trial.values else "no value"
    return f"#{trial.number} {trial.proposal.source.value} {trial.state.value} {value}  {params_line(trial.params)}"


def _source(project: Path, given: Mapping[str, Any]) -> str:
    asked = str(given.get("path", ""))
    path = (project / asked).resolve()
    hidden = (
        any(part.startswith(".") for part in path.relative_to(project.resolve()).parts)
        if path.is_relative_to(project.resolve())
        else True
    )
    if hidden or not path.is_file():
        files = sorted(p.name for p in project.glob("*.py"))[:MOST]
        raise ToolRefused(f"there is no such file in the project; at its top there are {', '.join(files) or 'none'}")
    text = path.read_bytes()[: SOURCE_CHARS * 2].decode("utf-8", errors="replace")
    return fenced(text[:SOURCE_CHARS], "file", limit=SOURCE_CHARS)
