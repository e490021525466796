"""`tunesmith init --serve COMMAND`: writes a study.toml for a server, shows what it found, and tries it."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tunesmith.cli.display.format import short_path, show
from tunesmith.cli.display.reading_table import left_alone_lines, tuned_lines
from tunesmith.cli.session.project_files import study_target, write_file
from tunesmith.cli.session.study_check import try_study
from tunesmith.evaluator.gpu.gpus import find_gpus
from tunesmith.evaluator.preview.dry_run import DryRun
from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ProjectError
from tunesmith.study.formatting import count
from tunesmith.study.units import short_number
from tunesmith.tools.checks.finding import finding_lines, has_problem
from tunesmith.tools.script_reader.servers.knowledge import Machine
from tunesmith.tools.script_reader.servers.reading import ServerReading, read_server
from tunesmith.tools.script_reader.servers.writer import Installed, bench_command, serving_study

DRY_RUN_S = 300.0
"""Time for the dry run, unless the command line says another one: a server may load its model for minutes."""


def init_server(
    command: str, further: Sequence[str], *, out: Path | None = None, force: bool = False, seconds: float | None = None
) -> None:
    """Read the command, write study.toml, print what was found, and try the default.

    Args:
        command: starts the server.
        further: what the command line has besides; must be empty.
        out: the file to write; study.toml in the folder that the server is started from if left out.
        force: whether an existing file is replaced.
        seconds: time for the dry run; 0 for none.

    Raises:
        ProjectError: nothing is known about the server, or study.toml exists already.
    """
    if further:
        raise ProjectError(f"--serve takes the whole command in quotes; {' '.join(further)} does not go with it")
    gpus = len(find_gpus().gpus)
    machine = Machine(cores=_cores(), gpus=gpus)
    installed = Installed(vllm=bool(shutil.which("vllm")), guidellm=bool(shutil.which("guidellm")), gpus=gpus)
    reading = read_server(command, machine, tokens_per_request=installed.load.tokens)
    target = study_target(Path(short_path(reading.root / "study.toml")), out, is_forced=force)
    text = serving_study(reading, name=target.absolute().parent.name, installed=installed)
    parse_spec(tomllib.loads(text), where=str(target))
    write_file(target, text)
    width = shutil.get_terminal_size((100, 24)).columns
    show("\n".join(_lines(reading, installed, short_path(target), width)))
    _try(target, DRY_RUN_S if seconds is None else seconds)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _lines(reading: ServerReading, installed: Installed, target: str, width: int) -> Iterator[str]:
    rules = f", {count(len(reading.rules), 'rule')}" if reading.rules else ""
    yield f"{target}: {count(len(reading.tuned), 'parameter')} of {reading.server}{rules}"
    yield ""
    yield from tuned_lines(reading.tuned, width)
    yield ""
    yield f"measured by  {' '.join(bench_command(reading, installed).split()[:3])} ..."
    yield "maximizes    throughput, with ttft_p95 <= 1 s and tpot_p95 <= 0.1 s"
    if reading.rules:
        yield ""
        yield "never tried"
        yield from (f"  {rule.formula}: {rule.why}" for rule in reading.rules)
    yield from left_alone_lines(reading.left_alone, width)
    if reading.needs_gpu and not installed.gpus:
        yield ""
        yield f"{reading.server} is meant for GPUs, and none was found here"
    yield from (f"look at: {note}" for note in reading.notes)


def _try(target: Path, seconds: float) -> None:
    """Measure the default once, and say what to do next."""
    folder = short_path(target.absolute().parent)
    where = "" if folder == "." else f" {folder}"
    if not seconds:
        show(f"\nCheck the load in [serve].bench, then: tunesmith check{where}, then: tunesmith run{where}")
        return
    show(f"\ndry run of the default, at most {seconds:g} s")
    spec = load_spec(target)
    try:
        run, findings = try_study(spec, target, history=None, seconds=seconds)
    except KeyboardInterrupt:
        show("ended; nothing is left behind")
        return
    show("\n".join(finding_lines(findings)))
    if run is not None and (bounds := _bounds_text(spec, run)):
        show(bounds)
    if has_problem(findings):
        show(f"\nCorrect what is marked ✗, try again: tunesmith check{where}, then start: tunesmith run{where}")
        return
    show(f"\nCheck the load in [serve].bench and the bounds, then start: tunesmith run{where}")


def _bounds_text(spec: StudySpec, run: DryRun) -> str:
    """Return how the default compares with the bounds that it breaks; "" if it keeps all."""
    values = run.outcome.values
    broken = [
        f"{c.metric} is {short_number(values[c.metric])}, above {short_number(c.max)}"
        for c in spec.constraints
        if c.max is not None and values.get(c.metric, c.max) > c.max
    ]
    if not broken:
        return ""
    advice = "raise `max` if users accept that, or lower the load"
    return f"! bounds     the default breaks them: {'; '.join(broken)}; {advice}"
