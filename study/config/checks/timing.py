"""Mistakes in a study with the judge of time ([evaluate] kind = "time") that only several keys together show."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.run import EvaluateTable
from tunesmith.study.config.tables.timing import (
    DIFFERENCE,
    SECONDS,
    SPEEDUP,
    TIMING_METRICS,
    TimingKeys,
    case_label,
    is_function,
)
from tunesmith.study.config.template import placeholders
from tunesmith.study.errors import Mistake
from tunesmith.study.formatting import render_literal
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.condition import Value
from tunesmith.study.space.rules.expression import Expression, ExpressionError, parse
from tunesmith.study.trials.observed.resources import RESOURCES

_COMMAND_KEYS = ("command", "data")
_OF_CASE = f"{SPEEDUP}/"
"""Beginning of the metrics of single cases."""
_SMALLER_IS_BETTER = {SECONDS: "minimize", DIFFERENCE: "minimize"}


def timing_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    """Yield what is wrong with [evaluate] as a judge of time, or as a command with keys of one."""
    table = spec.evaluate
    if table is None:
        return
    if not table.is_time:
        if not table.command:
            yield Mistake("evaluate.command", f"is missing; expected {_description('command')}")
        for key in sorted(table.model_fields_set & set(TimingKeys.model_fields)):
            yield Mistake(f"evaluate.{key}", 'only applies to kind = "time"; add kind = "time" or remove it')
        return
    for key in _COMMAND_KEYS:
        if key in table.model_fields_set:
            yield Mistake(f"evaluate.{key}", 'does not apply to kind = "time"; remove it')
    yield from _program_mistakes(table)
    yield from _formula_mistakes(table)
    yield from _metric_mistakes(spec)
    if spec.run.executor != "local":
        yield Mistake(
            "evaluate.kind", f'"time" works on this machine only, but executor = "{spec.run.executor}"; remove one'
        )


def _program_mistakes(table: EvaluateTable) -> Iterable[Mistake]:
    if table.candidate is None:
        yield Mistake("evaluate.candidate", f"is missing; expected {_description('candidate')}")
        return
    has_function = is_function(table.candidate)
    for key, text in {"candidate": table.candidate, "reference": table.reference}.items():
        if text is not None and not is_function(text):
            yield from _command_mistakes(key, text)
    if table.reference is not None and is_function(table.reference) != has_function:
        what, other = ("a function", "a command") if has_function else ("a command", "a function")
        text = f"is {other}, but the candidate is {what}; both must be the same (a function is FILE.py:NAME)"
        yield Mistake("evaluate.reference", text)
    if has_function and table.inputs is None:
        yield Mistake(
            "evaluate.inputs",
            f"is missing; expected {_description('inputs')}: fresh inputs are what makes remembered results show",
        )
    if not has_function and table.arguments:
        yield Mistake("evaluate.arguments", "are for a function, but the candidate is a command; write them into it")
    for key in ("cases", "checks"):
        if table.inputs is None and getattr(table, key):
            yield Mistake(f"evaluate.{key}", "are arguments of the function `inputs`, which is missing")
        if any("seed" in case for case in getattr(table, key)):
            message = "name seed, which the function `inputs` gets anyway, another one for each call; remove it"
            yield Mistake(f"evaluate.{key}", message)


def _command_mistakes(key: str, text: str) -> Iterable[Mistake]:
    try:
        words = shlex.split(text)
    except ValueError:
        yield Mistake(f"evaluate.{key}", f"{render_literal(text)} has a quote that is not closed")
        return
    if ".py:" in (words or [""])[0]:
        yield Mistake(f"evaluate.{key}", f"{render_literal(text)} is not a function; write it as FILE.py:NAME")


def _formula_mistakes(table: EvaluateTable) -> Iterable[Mistake]:
    names = {name for case in (*table.cases, *table.checks) for name in case}
    for key in ("flops", "bytes"):
        text = getattr(table, key)
        if not text:
            continue
        try:
            expression = parse(text)
        except ExpressionError as error:
            yield Mistake(f"evaluate.{key}", str(error))
            continue
        for name in expression.names:
            if name not in names:
                hint = did_you_mean(name, sorted(names))
                yield Mistake(f"evaluate.{key}", f"uses {name}, which is not an argument of `cases`{hint}")
        if all(name in names for name in expression.names):
            yield from (Mistake(f"evaluate.{key}", text) for text in _amounts_without_sense(expression, table.cases))


def _metric_mistakes(spec: StudySpec) -> Iterable[Mistake]:
    for index, objective in enumerate(spec.objectives):
        name = objective.metric
        if name.startswith(_OF_CASE) and (of_cases := _metrics_of_cases(spec)) is not None and name not in of_cases:
            cases = f"expected one of {', '.join(of_cases)}" if of_cases else "one case has no metric besides speedup"
            yield Mistake("study.metric", f"{render_literal(name)} is not measured: {cases}")
        if name not in (*TIMING_METRICS, *RESOURCES) and not name.startswith((_OF_CASE, "train/")):
            known = ", ".join(TIMING_METRICS)
            message = f'{render_literal(name)} is not measured by [evaluate] kind = "time"; expected one of {known}'
            yield Mistake("study.metric", message)
        wanted = "maximize" if name.startswith(SPEEDUP) else _SMALLER_IS_BETTER.get(name, "")
        if wanted and objective.direction != wanted:
            where = "study.direction" if len(spec.objectives) == 1 else f"study.direction.{index}"
            why = "a speed-up above 1 is faster" if wanted == "maximize" else "less is better"
            yield Mistake(where, f'must be "{wanted}" for the metric {name}: {why}')


def _amounts_without_sense(expression: Expression, cases: Iterable[Mapping[str, Value]]) -> Iterator[str]:
    """Yield for which case a formula of operations or bytes has no amount; cases with placeholders are not known."""
    for values in cases:
        if any(isinstance(item, str) and placeholders(item) for item in values.values()):
            continue
        where = f"for {case_label(values)}"
        try:
            amount = expression.value(values)
        except ExpressionError as error:
            yield f"has no value {where}: {error}"
            continue
        if isinstance(amount, bool) or not isinstance(amount, int | float) or amount < 0:
            yield f"is {render_literal(amount)} {where}; expected a number of at least 0"


def _metrics_of_cases(spec: StudySpec) -> list[str] | None:
    """Return the metrics of single cases; None where a case depends on parameters or on the instance."""
    cases = spec.evaluate.cases if spec.evaluate is not None else []
    if any(isinstance(item, str) and placeholders(item) for values in cases for item in values.values()):
        return None
    return [f"{_OF_CASE}{case_label(values)}" for values in cases] if len(cases) > 1 else []


def _description(key: str) -> str:
    return str(EvaluateTable.model_fields[key].description)
