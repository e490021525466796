"""What [judge] cannot be combined with, and what the rest of a study file must have for it. Reads no file."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.run import PYTHON_FUNCTION
from tunesmith.study.errors import Mistake
from tunesmith.study.names import nearest_name
from tunesmith.study.trials.observed.judged import ABOUT, OF_PAIRS, OF_SCORES, PREFIX
from tunesmith.study.trials.view import Direction


def judge_mistakes(spec: StudySpec) -> Iterator[Mistake]:
    """Yield what is wrong with [judge], and with metrics that only a judge makes."""
    made = _made(spec)
    for key, name in _places(spec):
        if name.startswith(PREFIX) and name not in made:
            yield Mistake(key, _not_made(spec, name, made))
    for objective in spec.objectives if len(spec.study.direction) in (1, len(spec.study.metric)) else ():
        if objective.metric in made and objective.direction is Direction.MINIMIZE:
            text = f'minimizes {objective.metric}, of which more is better; write direction = "maximize"'
            yield Mistake("study.direction", text)
    yield from _misplaced(spec)
    yield from _table_mistakes(spec, made)


def _table_mistakes(spec: StudySpec, made: tuple[str, ...]) -> Iterator[Mistake]:
    if spec.judge is None:
        return
    if not any(name in made for _, name in _places(spec)):
        yield Mistake("judge", f"makes {' and '.join(made)}, which no metric uses; name one in [study].metric")
    if spec.instances is not None:
        yield Mistake("judge", "cannot be combined with [instances]; each trial writes the texts of all examples")
    if spec.run.command == PYTHON_FUNCTION:
        yield Mistake("judge", "works with trials that run a command, not with Python code that asks and tells")
    elif "{artifacts}" not in spec.run.command and not _names_artifacts(spec):
        yield Mistake("run.command", f"does not say where to write {spec.judge.outputs}; write {{artifacts}} in it")
    if spec.judge.reference is not None and not spec.judge.pairs:
        yield Mistake("judge.reference", "is compared with in pairs only; remove it, or write pairs = true")


def _made(spec: StudySpec) -> tuple[str, ...]:
    if spec.judge is None:
        return ()
    return OF_PAIRS if spec.judge.pairs else OF_SCORES


def _not_made(spec: StudySpec, name: str, made: tuple[str, ...]) -> str:
    if spec.judge is None:
        known = f"{name} is made by a judge of texts" if name in ABOUT else f"{name} is not a metric of a judge"
        return f"{known}; add [judge] with a model and a prompt, or name another metric"
    nearest = nearest_name(name, made)
    hint = f"; did you mean {nearest}?" if nearest else ""
    mode = "true" if spec.judge.pairs else "false"
    return f"{name} is not made with [judge].pairs = {mode}, which makes {' and '.join(made)}{hint}"


def _misplaced(spec: StudySpec) -> Iterator[Mistake]:
    for index, rule in enumerate(spec.stop.rules):
        if rule.metric.startswith(PREFIX):
            text = f"{rule.metric} is known only when a trial has ended; bound it in [[constraints]]"
            yield Mistake(f"stop.rules.{index}.metric", text)
    for name in spec.metric_tables:
        if name.startswith(PREFIX):
            yield Mistake(f'metrics."{name}"', f"{name} is made by the judge, not read from output; remove this entry")


def _names_artifacts(spec: StudySpec) -> bool:
    texts = [*spec.run.env.values(), *(str(e) for table in spec.run.files.values() for e in table.values())]
    texts += [spec.evaluate.command] if spec.evaluate else []
    return any("{artifacts}" in text for text in texts)


def _places(spec: StudySpec) -> Iterator[tuple[str, str]]:
    """Yield where metrics are named, and the name."""
    yield from (("study.metric", name) for name in spec.study.metric)
    yield from ((f"constraints.{index}.metric", bound.metric) for index, bound in enumerate(spec.constraints))
