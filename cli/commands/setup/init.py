"""`tunesmith init SCRIPT`: writes a study.toml for a training script, shows what it found, and tries it."""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.cli.display.format import short_path, show
from tunesmith.cli.display.reading_table import headline, reading_lines
from tunesmith.cli.session.project_files import study_target, write_file
from tunesmith.cli.session.study_check import try_study
from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.study.errors import ProjectError
from tunesmith.study.formatting import count
from tunesmith.tools.checks.finding import Finding, finding_lines, has_problem
from tunesmith.tools.script_reader.reader import read_script
from tunesmith.tools.script_reader.reading import ScriptReading
from tunesmith.tools.script_reader.seen_metrics import with_seen_metric
from tunesmith.tools.script_reader.writer import study_toml

if TYPE_CHECKING:
    from tunesmith.agent.llm.study_draft import StudyDraft


DRY_RUN_S = 20.0
"""Time for the dry run, unless the command line says another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOptions:
    """What the command line says.

    Attributes:
        words: further words of the script's command, as a person starts it.
        out: the file to write; study.toml in the folder that the script is started from if left out.
        force: whether an existing file is replaced.
        seconds: time for the dry run; 0 for none.
        model: an LLM that improves the draft.
    """

    words: Sequence[str] = ()
    out: Path | None = None
    force: bool = False
    seconds: float = DRY_RUN_S
    model: str | None = None
    base_url: str | None = None


def write_study(script: Path, options: InitOptions) -> None:
    """Read the script, write study.toml, print what was found, and try the study; an LLM may improve the draft.

    Raises:
        ProjectError: the script cannot be read or has nothing to tune, or study.toml exists already.
    """
    if script == Path():
        raise ProjectError("name the training script, as in tunesmith init train.py")
    reading = _read(script, options)
    default = Path(short_path(reading.root / "study.toml"))
    target = study_target(default, options.out, is_forced=options.force)
    text = study_toml(reading, name=target.absolute().parent.name)
    parse_spec(tomllib.loads(text), where=str(target))
    width = shutil.get_terminal_size((100, 24)).columns
    lines = [headline(reading, short_path(target)), "", *reading_lines(reading, width)]
    if options.model is not None:
        draft = _improve(text, script, options.model, options.base_url)
        text = draft.text
        if draft.error:
            show(f"{draft.error}; the draft without the LLM was written instead")
        else:
            lines = _draft_lines(draft, target, options.model)
    write_file(target, text)
    for name, content in reading.helpers.items():
        write_file(target.parent / name, content)
    show("\n".join(lines))
    _try(reading, target, options)


def _read(script: Path, options: InitOptions) -> ScriptReading:
    """Return the reading; in a terminal, a person is asked for what the script requires."""
    folder = None if options.out is None else (options.out if options.out.is_dir() else options.out.parent).absolute()
    root = folder if folder is not None and script.absolute().is_relative_to(folder) else None
    reading = read_script(script, options.words, root)
    if not reading.required or not sys.stdin.isatty():
        return reading
    words = list(options.words)
    for setting in reading.required:
        answer = input(f"{setting.place} (the script needs it{f': {setting.help}' if setting.help else ''}): ").strip()
        if answer:
            words += [*setting.word.partition("{")[0].split(), answer]
    return read_script(script, words, root)


def _try(reading: ScriptReading, target: Path, options: InitOptions) -> None:
    """Run the default for some seconds, correct the metric by what it shows, and say what to do next."""
    if not options.seconds or reading.required:
        show(f"\n{_next_step(target, is_tried=False)}")
        return
    show(f"\ndry run of the default, at most {options.seconds:g} s")
    spec = load_spec(target)
    try:
        run, findings = try_study(spec, target, history=None, seconds=options.seconds)
    except KeyboardInterrupt:
        show("ended; nothing is left behind")
        return
    if run is not None and options.model is None:
        is_read = all(run.counts.values())
        changed = with_seen_metric(reading, run.sightings, is_read=is_read)
        if changed.metrics != reading.metrics and changed.metrics:
            metric = changed.metrics[0]
            write_file(target, study_toml(changed, name=spec.study.name))
            findings = [f for f in findings if f.what not in ("metric", "others")]
            detail = f"{metric.direction} {metric.name} instead, since the dry run showed it ({metric.where})"
            findings.append(Finding(level="ok", what="metric", detail=detail))
    show("\n".join(finding_lines(findings)))
    show(f"\n{_next_step(target, is_tried=True, has_problem=has_problem(findings))}")


def _improve(text: str, script: Path, model: str, base_url: str | None) -> StudyDraft:
    from tunesmith.agent.llm.client.client import LangChainModel
    from tunesmith.agent.llm.study_draft import improve_draft
    from tunesmith.tools.llm_tools.studies.study_files import parse_study_text

    source = script.read_text(encoding="utf-8-sig", errors="replace")
    return improve_draft(LangChainModel(model, base_url=base_url), text, source, check=parse_study_text)


def _draft_lines(draft: StudyDraft, target: Path, model: str) -> list[str]:
    """Return what the LLM wrote."""
    spec = parse_spec(tomllib.loads(draft.text), where=str(target))
    aims = ", ".join(f"{o.direction.value} {o.metric}" for o in spec.objectives)
    cost = f", ${draft.cost_usd:.4f}" if draft.cost_usd else ""
    size = count(len(spec.space), "parameter")
    return [
        f"{short_path(target)}: {size} ({', '.join(spec.space.names)}), written by {model}{cost}",
        f"metric    {aims}",
    ]


def _next_step(target: Path, *, is_tried: bool, has_problem: bool = False) -> str:
    folder = short_path(target.absolute().parent)
    where = "" if folder == "." else f" {folder}"
    if is_tried and not has_problem:
        return f"Read the file, then start: tunesmith run{where}"
    if is_tried:
        return f"Correct what is marked ✗, try again: tunesmith check{where}, then start: tunesmith run{where}"
    return f"Check the file, try it for some seconds: tunesmith check{where}, then start: tunesmith run{where}"
