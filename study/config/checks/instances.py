"""What [instances] cannot be combined with, and what the rest of a study file must have for it. Reads no file."""

from __future__ import annotations

from collections.abc import Iterable

from tunesmith.study.config.filled import used_placeholders
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.instances import INSTANCE
from tunesmith.study.config.tables.run import PYTHON_FUNCTION
from tunesmith.study.config.tables.search import STAGED_SCHEDULES
from tunesmith.study.errors import Mistake
from tunesmith.study.trials.view import Direction


def instance_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    """Yield what is wrong with [instances] and with what refers to it."""
    table = spec.instances
    if table is None:
        if spec.budget.runs is not None:
            yield Mistake("budget.runs", "counts runs on instances; add [instances], or give trials")
        return
    yield from table.mistakes()
    if INSTANCE in spec.space.parameters:
        yield Mistake(f"space.{INSTANCE}", "is also what [instances] sets in the command; rename the parameter")
    yield from _other_tables(spec)
    if table.par is not None:
        yield from _time_out_mistakes(spec)
    if spec.run.command != PYTHON_FUNCTION and not _names_instance(spec):
        yield Mistake("run.command", "does not say which instance to run; write {instance} where the script takes it")


def _names_instance(spec: StudySpec) -> bool:
    return any(name.split(".")[0] == INSTANCE for name in used_placeholders(spec))


def _other_tables(spec: StudySpec) -> Iterable[Mistake]:
    assert spec.instances is not None  # noqa: S101  # the caller checked it
    if len(spec.study.metric) > 1:
        yield Mistake("instances", "works with one metric; remove all but one from [study].metric")
    if spec.schedule_kind in STAGED_SCHEDULES:
        text = 'cannot be combined with [instances], which itself decides how much each trial runs; write "full"'
        yield Mistake("schedule.kind", text)
    if spec.edits is not None:
        yield Mistake(spec.edits_key, "cannot be combined with [instances]; remove one of the two")
    if spec.instances.hold_out and spec.confirm is None:
        yield Mistake("instances.hold_out", "holds instances out for confirmation; add [confirm]")
    takes_seed = "seed" in used_placeholders(spec) or spec.run.command == PYTHON_FUNCTION
    if spec.confirm is not None and not spec.instances.hold_out and not takes_seed:
        text = "would run the same instances again; give [instances].hold_out = 0.3, or {seed} in the command"
        yield Mistake("confirm", text)


def _time_out_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    if spec.run.timeout is None:
        yield Mistake("instances.par", 'multiplies the timeout; give [run].timeout, for example "60s"')
    if spec.objectives[0].direction is not Direction.MINIMIZE:
        yield Mistake("instances.par", 'counts seconds, of which fewer are better; [study].direction is "maximize"')
