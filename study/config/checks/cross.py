"""Mistakes in a study file that only several of its tables together show."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from tunesmith.study.config.checks.confirm import confirm_mistakes
from tunesmith.study.config.checks.instances import instance_mistakes
from tunesmith.study.config.checks.judge import judge_mistakes
from tunesmith.study.config.checks.resources import resource_mistakes
from tunesmith.study.config.checks.schedule import schedule_mistakes
from tunesmith.study.config.checks.serving import serve_mistakes
from tunesmith.study.config.checks.timing import timing_mistakes
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.instances import INSTANCE
from tunesmith.study.config.tables.planner import SAMPLERS
from tunesmith.study.config.tables.relations import (
    reserved_name_mistakes,
)
from tunesmith.study.config.tables.run import EXECUTORS, GIVEN_PLACEHOLDERS, ExecutorTable
from tunesmith.study.config.tables.search import STAGED_SCHEDULES
from tunesmith.study.config.tables.serve import SERVE_PLACEHOLDERS
from tunesmith.study.config.template import placeholders
from tunesmith.study.errors import Mistake
from tunesmith.study.formatting import render_literal
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.mixtures.rows import names_of
from tunesmith.study.space.space import SearchSpace


def cross_mistakes(spec: StudySpec, space: SearchSpace | None) -> Iterable[Mistake]:
    """Yield the mistakes of a file whose tables are valid by themselves; `space` is None where it cannot be read."""
    metrics, directions = spec.study.metric, spec.study.direction
    if len(set(metrics)) < len(metrics):
        yield Mistake("study.metric", f"lists a metric twice: {render_literal(metrics)}; remove one")
    if len(directions) not in (1, len(metrics)):
        are = "is 1 metric" if len(metrics) == 1 else f"are {len(metrics)} metrics"
        yield Mistake("study.direction", f"has {len(directions)} entries, but there {are}; give one for each")
    if spec.planner.sampler not in SAMPLERS:
        name = spec.planner.sampler
        yield Mistake("planner.sampler", f"unknown sampler {render_literal(name)}{did_you_mean(name, SAMPLERS)}")
    for index, constraint in enumerate(spec.constraints):
        if constraint.min is None and constraint.max is None:
            yield Mistake(f"constraints.{index}", "has no bound; give min, max or both")
        elif None not in (constraint.min, constraint.max) and constraint.min > constraint.max:  # type: ignore[operator]  # neither is None
            yield Mistake(
                f"constraints.{index}.min",
                f"{constraint.min:g} is above max = {constraint.max:g}; no value can meet both",
            )
    yield from _metric_mistakes(spec)
    yield from resource_mistakes(spec)
    yield from _executor_mistakes(spec)
    yield from _pace_mistakes(spec)
    yield from _notify_mistakes(spec)
    yield from schedule_mistakes(spec, space)
    if space is not None:
        yield from _name_mistakes(spec, space)
        yield from reserved_name_mistakes(space)
    yield from _command_mistakes(spec, space)
    yield from instance_mistakes(spec)
    yield from confirm_mistakes(spec, space)
    yield from judge_mistakes(spec)
    yield from serve_mistakes(spec, space)
    yield from timing_mistakes(spec)


def _notify_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    table = spec.notify
    if table is None:
        return
    if table.command is None and table.url is None:
        yield Mistake("notify", "has no destination; give command, url or both")
    if table.url is not None and not table.url.startswith(("http://", "https://", "$")):
        yield Mistake(
            "notify.url",
            f"{render_literal(table.url)} is not a web address; begin it with http://, https:// or $VARIABLE",
        )
    if table.command is not None:
        try:
            shlex.split(table.command)
        except ValueError:
            yield Mistake("notify.command", f"{render_literal(table.command)} has a quote that is not closed")


def _executor_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    chosen = spec.run.executor
    if chosen not in EXECUTORS:
        yield Mistake("run.executor", f"unknown executor {render_literal(chosen)}{did_you_mean(chosen, EXECUTORS)}")
        return
    for key in spec.executor.model_fields_set:
        wanted = ExecutorTable.FOR[key]
        if chosen not in wanted:
            names = " or ".join(f'"{name}"' for name in wanted)
            message = f'only applies to executor = {names}, but [run].executor is "{chosen}"; remove it'
            yield Mistake(f"executor.{key}", message)
    if chosen != "local" and spec.run.sandbox:
        yield Mistake("run.sandbox", f'works on this machine only, but executor = "{chosen}"; remove one of the two')
    if chosen != "local" and spec.edits is not None:
        message = (
            f'needs the sandbox, which works on this machine only, but executor = "{chosen}"; remove one of the two'
        )
        yield Mistake(spec.edits_key, message)
    if chosen == "slurm" and spec.run.parallel is None:
        message = 'is missing; executor = "slurm" needs how many jobs to queue at once, for example parallel = 8'
        yield Mistake("run.parallel", message)
    if chosen == "slurm" and 0 < spec.run.gpu_count < 1:
        yield Mistake(
            "run.gpus", f"{spec.run.gpu_count:g} is not valid here: Slurm allocates whole GPUs; write gpus = 1"
        )
    if chosen != "local" and spec.run.packs:
        yield Mistake("run.gpus", f'"auto" works on this machine only, but executor = "{chosen}"; give a number')


def _pace_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    for index, rule in enumerate(spec.stop.rules):
        if rule.above is None and rule.below is None:
            yield Mistake(f"stop.rules.{index}", "has no bound; give above, below or both")
    if spec.fidelity is None and spec.schedule_kind in STAGED_SCHEDULES:
        yield Mistake(
            "schedule.kind", f'"{spec.schedule_kind}" needs a fidelity; add [fidelity] with name, min and max'
        )


def _name_mistakes(spec: StudySpec, space: SearchSpace) -> Iterable[Mistake]:
    for name in GIVEN_PLACEHOLDERS:
        if name in space.parameters:
            yield Mistake(f"space.{name}", f"Tunesmith itself sets {{{name}}} in the command; rename the parameter")
    for name in spec.scale:
        if name in space.parameters:
            yield Mistake(
                f"scale.{name}", "is also a parameter; remove it here, or from [space] if this study does not vary it"
            )
    if spec.fidelity is None:
        return
    name = spec.fidelity.name
    if name in GIVEN_PLACEHOLDERS:
        yield Mistake("fidelity.name", f"Tunesmith itself sets {{{name}}} in the command; choose another name")
    elif name in space.parameters:
        yield Mistake("fidelity.name", f"{render_literal(name)} is also a parameter; remove it from [space]")
    elif not name.isidentifier():
        yield Mistake("fidelity.name", f"{render_literal(name)} is not a valid name; use letters, digits and _")
    if spec.fidelity.min >= spec.fidelity.max:
        yield Mistake("fidelity.min", f"{spec.fidelity.min:g} is not below max = {spec.fidelity.max:g}")


def _commands(spec: StudySpec) -> dict[str, str]:
    """Return every command of the study that has placeholders, by its key."""
    commands = {"run.command": spec.run.command}
    if spec.serve:
        commands = {"serve.command": spec.serve.command, "serve.bench": spec.serve.bench}
    if spec.evaluate and spec.evaluate.command:
        commands["evaluate.command"] = spec.evaluate.command
    if spec.test:
        commands["test.command"] = spec.test.command
    if spec.confirm and spec.confirm.command is not None:
        commands["confirm.command"] = spec.confirm.command
    return commands


def _command_mistakes(spec: StudySpec, space: SearchSpace | None) -> Iterable[Mistake]:
    for key, command in _commands(spec).items():
        try:
            if not shlex.split(command):
                yield Mistake(key, "is empty; expected a command line")
        except ValueError:
            shown = "" if key == "confirm.command" else f"{render_literal(command)} "
            yield Mistake(key, f"{shown}has a quote that is not closed")
        where = f"[{key.split('.')[0]}].command"
        yield from _unknown_placeholders(spec, space, command, where)
    for path, table in spec.run.files.items():
        for key, entry in table.items():
            yield from _unknown_placeholders(spec, space, str(entry), f'[run.files]."{path}"."{key}"')
    for name, text in spec.run.env.items():
        yield from _unknown_placeholders(spec, space, text, f"[run.env].{name}")
    for name, text in spec.evaluate.texts.items() if spec.evaluate else ():
        yield from _unknown_placeholders(spec, space, text, f"[evaluate].{name}")


def _unknown_placeholders(spec: StudySpec, space: SearchSpace | None, text: str, where: str) -> Iterable[Mistake]:
    if space is None:
        return
    fidelity = [spec.fidelity.name] if spec.fidelity else []
    given = (*GIVEN_PLACEHOLDERS, *(SERVE_PLACEHOLDERS if spec.serve else ()))
    known = dict.fromkeys([*space.names, *space.relations.derived, *fidelity, *given])
    if spec.instances is not None:
        known |= dict.fromkeys([INSTANCE, *(f"{INSTANCE}.{column}" for column in spec.instances.columns)])
    for name in placeholders(text):
        if name.split(".")[0] == INSTANCE and name not in known:
            yield _unknown_instance(spec, name, where)
            continue
        if name in space.mixtures:
            shares = ", ".join(f"{{{part}}}" for part in names_of(name, space.mixtures[name])[:3])
            yield Mistake(
                f"space.{name}", f"is a mixture, and {where} uses {{{name}}}; write its shares: {shares}, ..."
            )
        elif name not in known:
            yield Mistake(f"space.{name}", f"is used in {where}, but not defined in [space]{did_you_mean(name, known)}")


def _unknown_instance(spec: StudySpec, name: str, where: str) -> Mistake:
    if spec.instances is None:
        return Mistake(
            "instances", f"is missing, but {{{name}}} is used in {where}; add [instances] with values or file"
        )
    columns = ", ".join(spec.instances.columns)
    if not columns:
        return Mistake("instances.values", f"are single values without columns, but {{{name}}} is used in {where}")
    return Mistake("instances", f"has no column {name.partition('.')[2]}, which {where} uses; columns: {columns}")


def _metric_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    for name in spec.metric_tables:
        if name not in spec.metrics:
            message = f"is not a metric of this study{did_you_mean(name, spec.metrics)}"
            yield Mistake(f'metrics."{name}"', message)
