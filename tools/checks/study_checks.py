"""Checks of a study that start nothing: its command, and whether every parameter reaches the script."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from tunesmith.study.config.filled import used_placeholders
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.relations import few_left_warning
from tunesmith.study.config.tables.search import STAGED_SCHEDULES
from tunesmith.study.config.tables.timing import needs_no_command
from tunesmith.study.config.template import argv, placeholders
from tunesmith.study.formatting import count, render_shares
from tunesmith.study.space.mixtures.rows import names_of
from tunesmith.study.space.parameters import Choice
from tunesmith.study.space.rules.repair import allowed_fraction
from tunesmith.tools.checks.finding import Finding
from tunesmith.tools.checks.timing_checks import check_timed_programs, timed_table


def check_command(spec: StudySpec, project: Path) -> Finding:
    """Return whether the command's program and script exist."""
    table = timed_table(spec)
    if table is not None and needs_no_command(spec.run.command):
        return check_timed_programs(table, project)
    key = "[serve].command" if spec.serve is not None else "[run].command"
    bench = _bench_problem(spec, project)
    if bench is not None:
        return bench
    words = argv(spec.run.command, {name: 0 for name in placeholders(spec.run.command)})
    program = words[0]
    is_local = (project / program).exists() and os.sep in program
    if not spec.run.shell and not is_local and not shutil.which(program) and program != "python":
        detail = f"{program} is neither on PATH nor in {project}; correct {key}"
        return Finding(level="problem", what="command", detail=detail)
    scripts = [word for word in words[1:] if word.endswith((".py", ".sh"))]
    absent = [word for word in scripts[:1] if not (project / word).exists()]
    if absent:
        detail = f"{absent[0]} is not in {project}; correct {key}"
        return Finding(level="problem", what="command", detail=detail)
    return Finding(level="ok", what="command", detail=f"{program} is {shutil.which(program) or program}")


def _bench_problem(spec: StudySpec, project: Path) -> Finding | None:
    """Return that the program that measures a server is missing; None if it is there."""
    if spec.serve is None or spec.run.shell:
        return None
    words = argv(spec.serve.bench, {name: 0 for name in placeholders(spec.serve.bench)})
    program = words[0] if words else ""
    if program in ("tunesmith", "python", "python3") or shutil.which(program):
        return None
    if os.sep in program and (project / program).exists():
        return None
    detail = f"{program} is neither on PATH nor in {project}; correct [serve].bench, or use tunesmith load-test"
    return Finding(level="problem", what="command", detail=detail)


def check_parameters(spec: StudySpec) -> Finding:
    """Return which parameters are not in the command."""
    unused = unused_parameters(spec)
    if unused:
        detail = f"{', '.join(unused)}: not in the command; the script must read them with tunesmith.params()"
        return Finding(level="warning", what="parameters", detail=detail)
    return Finding(level="ok", what="parameters", detail="every parameter is in the command")


def unused_parameters(spec: StudySpec) -> list[str]:
    """Return the parameters that are not in the command; one share of a mixture follows from the others.

    With a schedule of stages the fidelity is one of them: without it, each stage would be a full run.
    """
    used = list(used_placeholders(spec))
    for name in used:
        formula = spec.space.relations.derived.get(name)
        used += [needed for needed in formula.names if needed not in used] if formula is not None else []
    unused = [name for name in spec.space.names if name not in used]
    for mixture, shares in spec.space.mixtures.items():
        missing = [name for name in names_of(mixture, shares) if name in unused]
        if len(missing) == 1:
            unused.remove(missing[0])
    fidelity, schedule = spec.fidelity, spec.schedule
    is_staged = schedule is not None and schedule.kind in STAGED_SCHEDULES
    return unused + ([fidelity.name] if fidelity is not None and is_staged and fidelity.name not in used else [])


def check_rules(spec: StudySpec) -> Iterator[Finding]:
    """Yield how much of the space the rules leave; nothing without rules."""
    if not spec.space.forbid:
        return
    warning = few_left_warning(spec.space)
    if warning:
        yield Finding(level="warning", what="rules", detail=warning)
    else:
        detail = f"{count(len(spec.space.forbid), 'rule')}; {allowed_fraction(spec.space):.0%} of the space is left"
        yield Finding(level="ok", what="rules", detail=detail)


def check_mixtures(spec: StudySpec) -> Iterator[Finding]:
    """Yield the sources of each mixture and the default's shares; nothing without mixtures."""
    for name, shares in spec.space.mixtures.items():
        given = shares.default if isinstance(shares.default, Mapping) else None
        start = f"default {render_shares(given, digits=4)}" if given is not None else "without a default"
        yield Finding(level="ok", what="mixture", detail=f"{name}: {len(shares.of)} shares that sum to 1, {start}")


def check_arms(spec: StudySpec) -> Iterator[Finding]:
    """Yield how trials are divided among the values of an algorithm choice; nothing without one."""
    name = spec.space.arms
    choice = spec.space.parameters[name] if name is not None else None
    if not isinstance(choice, Choice):
        return
    values, trials = len(choice.choices), spec.budget.trials
    if spec.planner.sampler != "bayes":
        detail = f"{name} has arms, which the sampler {spec.planner.sampler} does not know; use bayes or remove arms"
        yield Finding(level="warning", what="arms", detail=detail)
    elif trials is not None and trials < 2 * values:
        detail = f"{name} has {values} values and each runs once, so {trials} trials leave few for the best of them"
        yield Finding(level="warning", what="arms", detail=detail)
    else:
        detail = f"each of the {values} values of {name} runs once; then trials go to those that may still rise"
        yield Finding(level="ok", what="arms", detail=detail)
