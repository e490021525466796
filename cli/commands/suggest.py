"""`tunesmith suggest`: starting points without a trial, for a person to read or for another optimizer to begin with."""

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
from tunesmith.cli.commands.run import overridden
from tunesmith.cli.session.locate import history_file, study_file
from tunesmith.history.earlier import EarlierStudies, find_earlier_studies, overlapping_studies
from tunesmith.history.read import History
from tunesmith.study.config.command import command_line
from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.formatting import render_short
from tunesmith.tools.interop.export.registry import Target, find_target
from tunesmith.tools.interop.study_export import hand_over
from tunesmith.tools.script_reader.reader import read_script
from tunesmith.tools.script_reader.writer import study_toml


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestOptions:
    """What `suggest` was asked for.

    Attributes:
        script: a training script to read in place of a study file.
        to: the optimizer that the points are written for; None to print them.
    """

    study: Path
    script: Path | None
    count: int
    model: str | None
    base_url: str | None
    to: str | None
    out: str | None


def suggest_points(wanted: SuggestOptions, *, history: Path | None, recording: RecordingFiles, as_json: bool) -> None:
    """Print starting points, or write them for another optimizer.

    Raises:
        InputError: the study file, the script, a named study or an option is wrong.
    """
    target = _target(wanted)
    spec, project = _study(wanted)
    spec = overridden(spec, {"model": wanted.model, "base_url": wanted.base_url})
    named, others = _earlier(spec, project, history or history_file(project, None))
    planner = make_planner(spec, open_model(spec.planner, recording), project=project) if spec.planner.model else None
    start = starting_points(spec, wanted.count, named=named.studies, others=others.studies, planner=planner)
    written: dict[str, Any] = {}
    if target is not None:
        out = wanted.out or f"{spec.study.name}{target.suffix}"
        handover = hand_over(spec, [], [dict(p.params) for p in start.points], folder=str(project))
        remarks = target.export(handover, out)
        written = {"to": target.name, "out": out, "remarks": [*handover.remarks, *remarks]}
    if as_json:
        print(json.dumps(_told(start, written), indent=2))
        return
    for line in _lines(spec, start):
        print(line)
    if target is not None:
        print(f"{written['out']}: {target.takes}; {len(start.points)} points to try first")
        for line in written["remarks"]:
            print(f"  {line}")


def _target(wanted: SuggestOptions) -> Target | None:
    mistakes = []
    if wanted.count < 1:
        mistakes.append(Mistake("--n", f"is {wanted.count}; give 1 or more"))
    if wanted.script is not None and wanted.study != Path():
        mistakes.append(Mistake("--script", "takes the place of a study; leave one of both out"))
    target = None if wanted.to is None else find_target(wanted.to)
    if target is not None and target.no_points:
        mistakes.append(Mistake("--to", f"{target.name} takes no points to try first: {target.no_points}"))
    if wanted.out is not None and target is None:
        mistakes.append(Mistake("--out", "names the file for --to; give that, too"))
    if mistakes:
        raise SpecError(mistakes, where="the command line")
    return target


def _study(wanted: SuggestOptions) -> tuple[StudySpec, Path]:
    """Return the study and the folder that its command runs in."""
    if wanted.script is None:
        return load_spec(wanted.study), study_file(wanted.study).absolute().parent
    folder = wanted.script.absolute().parent
    text = study_toml(read_script(wanted.script), script=wanted.script.name, name=folder.name)
    return parse_spec(tomllib.loads(text), where=f"what was read from {wanted.script}"), folder


def _earlier(spec: StudySpec, project: Path, history: Path) -> tuple[EarlierStudies, EarlierStudies]:
    """Return the studies that are learned from, and others in the history whose spaces overlap.

    Raises:
        SpecError: nothing can be learned from a study that [warm_start] names.
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
    lines = [f"{start.llm_trouble}; the sampler's points follow alone"] if start.llm_trouble else []
    for number, point in enumerate(start.points, start=1):
        lines.append(f"{number}. {point.origin}: {point.why}")
        runs = not spec.run.command.startswith("(")
        lines.append(f"   {command_line(spec, point.params) if runs else dict(point.params)}")
    if start.optimum is not None:
        lines.append(f"At {format_scale(spec.scale)} the optimum should lie, with 80%, at")
        lines += [f"   {line}" for line in _ranges(start.optimum)]
    return lines


def _ranges(optimum: OptimumAtScale) -> list[str]:
    width = max((len(name) for name in optimum.ranges), default=0)
    return [
        f"{name:<{width}}  {render_short(low)} to {render_short(high)}; suggested {render_short(optimum.params[name])}"
        for name, (low, high) in optimum.ranges.items()
    ]


def _told(start: StartingPoints, written: Mapping[str, Any]) -> Any:
    points = [_point(p) for p in start.points]
    if start.optimum is None and not written:
        return points
    told: dict[str, Any] = {"points": points, **written}
    if start.optimum is not None:
        ranges = {name: list(ends) for name, ends in start.optimum.ranges.items()}
        told["optimum"] = {"params": dict(start.optimum.params), "with_80_percent": ranges}
    return told


def _point(point: StartingPoint) -> dict[str, Any]:
    return {"params": dict(point.params), "source": point.origin, "why": point.why}
