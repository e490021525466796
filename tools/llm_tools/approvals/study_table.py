"""A study as a person reads it before it is written: its goal, command, space and limits; a changed one as a diff."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import render_parameter, render_shares
from tunesmith.study.space.mixtures.shares import Shares
from tunesmith.study.space.parameters import Parameter


def study_table(spec: StudySpec) -> list[str]:
    """Return the whole study, a line per fact; columns are aligned."""
    rows = [("study", spec.study.name), ("goal", _goal(spec))]
    rows += [("about", spec.study.description)] if spec.study.description else []
    rows += _space_rows(spec)
    rows += [("bound", _bound(c.metric, c.min, c.max)) for c in spec.constraints]
    if spec.fidelity:
        schedule = f"{spec.fidelity.name} from {spec.fidelity.min:g} to {spec.fidelity.max:g}"
        rows.append(("fidelity", f"{schedule}, {spec.schedule_kind}"))
    if spec.edits:
        rows.append(("edits", f"the LLM may edit {', '.join(spec.edits.files)}; edited code runs in a sandbox"))
    return [*_aligned(rows), *run_lines(spec)]


def run_lines(spec: StudySpec) -> list[str]:
    """Return what runs and what ends it."""
    rows = [("command", spec.run.command)]
    rows += [("measured by", spec.serve.bench)] if spec.serve is not None else []
    rows += [("filled", f"{path}: {', '.join(keys)}, in each trial's copy") for path, keys in spec.run.files.items()]
    rows.append(("limits", _limits(spec)))
    if (spec.run.parallel or 1) > 1 or spec.run.gpus:
        gpus = f", {spec.run.gpus} GPU each" if spec.run.gpus else ""
        rows.append(("at once", f"{spec.run.parallel or 1}{gpus}"))
    rows.append(("planner", f"LLM {spec.planner.model}" if spec.planner.model else f"sampler {spec.planner.sampler}"))
    return _aligned(rows)


def study_diff(before: str, after: str) -> list[str]:
    """Return the changed lines of a study file, each with what is around it; [] for the same text."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _aligned(rows: list[tuple[str, str]]) -> list[str]:
    return [f"{name:<8}  {text}" for name, text in rows]


def _goal(spec: StudySpec) -> str:
    return ", ".join(f"{o.direction.value} {o.metric}" for o in spec.objectives)


def _space_rows(spec: StudySpec) -> list[tuple[str, str]]:
    width = max((len(name) for name in spec.space.declared), default=0)
    entries: Mapping[str, Any] = spec.document["space"]
    texts = [
        f"{name:<{width}}  {_range(parameter, entries.get(name, {}))}"
        for name, parameter in spec.space.declared.items()
    ]
    return [("space" if index == 0 else "", text) for index, text in enumerate(texts)]


def _range(parameter: Parameter | Shares, entry: Mapping[str, Any]) -> str:
    if isinstance(parameter, Shares):
        default = f", default {render_shares(parameter.default)}" if isinstance(parameter.default, Mapping) else ""
        return f"shares of {', '.join(parameter.of)}{default}{f', when {parameter.when}' if parameter.when else ''}"
    if "choices" in entry:
        values = ", ".join(render_parameter(choice) for choice in entry["choices"])
    else:
        values = f"{render_parameter(entry.get('low'))} to {render_parameter(entry.get('high'))}"
        values += " (log)" if entry.get("log") else ""
    default = f", default {render_parameter(parameter.default)}" if "default" in entry else ""
    return f"{values}{default}{f', when {when}' if (when := entry.get('when')) else ''}"


def _bound(metric: str, low: float | None, high: float | None) -> str:
    parts = [f"at least {low:g}"] if low is not None else []
    parts += [f"at most {high:g}"] if high is not None else []
    return f"{metric} {' and '.join(parts)}"


def _limits(spec: StudySpec) -> str:
    return ", ".join(f"{name} {value}" for name, value in spec.document.get("budget", {}).items())
