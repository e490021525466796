"""`tunesmith suggest`: starting points before any trial, to read or to write for another optimizer."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.agent.planner.factory import make_planner
from tunesmith.agent.planner.model import RecordingFiles, open_model
from tunesmith.agent.planner.starting_points import StartingPoint, StartingPoints, starting_points
from tunesmith.agent.sampler.warm_start.scale_transfer import OptimumAtScale, format_scale
from tunesmith.cli.display.format import show
from tunesmith.cli.session.locate import history_file, study_file
from tunesmith.cli.session.overrides import Overrides
from tunesmith.history.earlier import EarlierStudies, find_earlier_studies, overlapping_studies
from tunesmith.history.read import History
from tunesmith.study.config.command import command_line
from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.formatting import count, render_short
from tunesmith.tools.interop.export.registry import Target, find_target
from tunesmith.tools.interop.study_export import build_export
from tunesmith.tools.script_reader.reader import read_script
from tunesmith.tools.script_reader.writer import study_toml


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestOptions:
    """The options of `suggest`.

    Attributes:
        script: a training script to read instead of a study file.
        count: the number of points.
        to: the optimizer to write the points for; None to print them.
        out: the file to write; None for the default name.
    """

    study: Path
    script: Path | None
    count: int
    model: str | None
    base_url: str | None
    to: str | None
    out: str | None


def suggest_points(options: SuggestOptions, *, history: Path | None, recording: RecordingFiles, as_json: bool) -> None:
    """Print starting points, or write them for another optimizer.

    Raises:
        InputError: the study file, the script, a named study or an option is wrong.
    """
    target = _target(options)
    spec, project = _study(options)
    spec = Overrides(model=options.model, base_url=options.base_url).apply_to(spec)
    named, others = _earlier(spec, project, history or history_file(project, None))
    planner = make_planner(spec, open_model(spec.planner, recording), project=project) if spec.planner.model else None
    start = starting_points(spec, options.count, named=named.studies, others=others.studies, planner=planner)
    written = None if target is None else _write(spec, start, target, options.out, project)
    if as_json:
        show(json.dumps(_to_json(start, written or {}), indent=2))
        return
    show("\n".join(_lines(spec, start)))
    if target is not None and written is not None:
        show(f"{written['out']}: {target.takes}; {count(len(start.points), 'point')} to try first")
        for line in written["remarks"]:
            show(f"  {line}")


def _write(spec: StudySpec, start: StartingPoints, target: Target, out: str | None, project: Path) -> dict[str, Any]:
    """Write the points for another optimizer; return the target, the file and remarks."""
    out = out or f"{spec.study.name}{target.suffix}"
    exported = build_export(spec, [], [dict(p.params) for p in start.points], folder=str(project))
    remarks = target.export(exported, out)
    return {"to": target.name, "out": out, "remarks": [*exported.remarks, *remarks]}


def _target(options: SuggestOptions) -> Target | None:
    mistakes = []
    if options.count < 1:
        mistakes.append(Mistake("--n", f"is {options.count}; expected 1 or more"))
    if options.script is not None and options.study != Path():
        mistakes.append(Mistake("--script", "replaces the study file; give one of the two"))
    target = None if options.to is None else find_target(options.to)
    if target is not None and target.no_points:
        mistakes.append(Mistake("--to", f"{target.name} cannot take points to try first: {target.no_points}"))
    if options.out is not None and target is None:
        mistakes.append(Mistake("--out", "names the file that --to writes; give --to as well"))
    if mistakes:
        raise SpecError(mistakes, where="the command line")
    return target


def _study(options: SuggestOptions) -> tuple[StudySpec, Path]:
    """Return the study and its project's folder."""
    if options.script is None:
        return load_spec(options.study), study_file(options.study).absolute().parent
    folder = options.script.absolute().parent
    text = study_toml(read_script(options.script, root=folder), name=folder.name)
    return parse_spec(tomllib.loads(text), where=f"the draft from {options.script}"), folder


def _earlier(spec: StudySpec, project: Path, history: Path) -> tuple[EarlierStudies, EarlierStudies]:
    """Return the studies that [warm_start] names, and other studies of the history with an overlapping space.

    Raises:
        SpecError: a study that [warm_start] names cannot be used.
    """
    if history.is_file():
        with History.open(history) as opened:
            named, others = find_earlier_studies(opened, spec, str(project)), overlapping_studies(opened, spec)
    else:
        named, others = find_earlier_studies(None, spec, str(project)), EarlierStudies((), ())
    if named.mistakes:
        raise SpecError(named.mistakes, where="study.toml")
    return named, others


def _lines(spec: StudySpec, start: StartingPoints) -> list[str]:
    lines = [f"{start.llm_trouble}; no point below comes from the LLM"] if start.llm_trouble else []
    for number, point in enumerate(start.points, start=1):
        lines.append(f"{number}. {point.origin}: {point.why}")
        runs = not spec.run.command.startswith("(")
        lines.append(f"   {command_line(spec, point.params) if runs else dict(point.params)}")
    if start.optimum is not None:
        lines.append(f"At {format_scale(spec.scale)} the optimum is expected, with 80% probability, at")
        lines += [f"   {line}" for line in _ranges(start.optimum)]
    return lines


def _ranges(optimum: OptimumAtScale) -> list[str]:
    width = max((len(name) for name in optimum.ranges), default=0)
    return [
        f"{name:<{width}}  {render_short(low)} to {render_short(high)}; suggested {render_short(optimum.params[name])}"
        for name, (low, high) in optimum.ranges.items()
    ]


def _to_json(start: StartingPoints, written: Mapping[str, Any]) -> Any:
    """Return the list of points, or an object if a file was written or an optimum is predicted."""
    points = [_point_json(p) for p in start.points]
    if start.optimum is None and not written:
        return points
    document: dict[str, Any] = {"points": points, **written}
    if start.optimum is not None:
        ranges = {name: list(ends) for name, ends in start.optimum.ranges.items()}
        document["optimum"] = {"params": dict(start.optimum.params), "with_80_percent": ranges}
    return document


def _point_json(point: StartingPoint) -> dict[str, Any]:
    return {"params": dict(point.params), "source": point.origin, "why": point.why}
