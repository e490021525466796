"""Mistakes of a study file about the resources that Tunesmith measures, such as `run/seconds`."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.run import PYTHON_FUNCTION
from tunesmith.study.errors import Mistake
from tunesmith.study.trials.observed.resources import RESOURCES, USD, meant_resource
from tunesmith.study.trials.view import Direction


def resource_mistakes(spec: StudySpec) -> Iterator[Mistake]:
    """Yield what is wrong with measured resources among the metrics of a study."""
    yield from _misspelled(spec)
    # A wrong number of directions is reported elsewhere.
    for objective in spec.objectives if len(spec.study.direction) in (1, len(spec.study.metric)) else ():
        if objective.metric in RESOURCES and objective.direction is Direction.MAXIMIZE:
            message = f"maximizes {objective.metric}, which is a cost; give a direction for each metric, and"
            yield Mistake("study.direction", f'{message} "minimize" for this one')
    # Python code gives the values that it measured.
    for key, name in _places(spec) if spec.run.command != PYTHON_FUNCTION else ():
        if name == USD and spec.run.usd_per_hour is None:
            yield Mistake(key, f"{USD} needs a price: add usd_per_hour = 2.5 to [run], what one hour of a trial costs")
        elif name in RESOURCES and RESOURCES[name].needs_gpu and not spec.run.gpu_count:
            message = f"{name} ({RESOURCES[name].about}) needs a GPU, but [run].gpus is 0; set gpus, or remove it"
            yield Mistake(key, message)
    for index, rule in enumerate(spec.stop.rules):
        if rule.metric in RESOURCES:
            message = f"{rule.metric} is known only when a trial has ended; bound it in [[constraints]]"
            yield Mistake(f"stop.rules.{index}.metric", f"{message}, or end trials by {_limit(rule.metric)}")
    for name in spec.metric_tables:
        if name in RESOURCES:
            yield Mistake(f'metrics."{name}"', f"{name} is measured, not read from the script; remove this entry")


def _places(spec: StudySpec) -> Iterator[tuple[str, str]]:
    """Yield where metrics are named, and the name."""
    yield from (("study.metric", name) for name in spec.study.metric)
    yield from ((f"constraints.{index}.metric", bound.metric) for index, bound in enumerate(spec.constraints))


def _misspelled(spec: StudySpec) -> Iterator[Mistake]:
    """Yield names that are like a resource's: `run/second`, `run/time`. Another name is the script's own.

    So is any name that [metrics] says how to read.
    """
    for key, name in _places(spec):
        if name not in RESOURCES and name not in spec.metric_tables and (meant := meant_resource(name)):
            message = f"{name} is not a measured resource; did you mean {meant}?"
            yield Mistake(key, f"{message} A metric of the script's own needs another name")


def _limit(name: str) -> str:
    """Return the key that limits a resource of a running trial."""
    return "[run].memory" if name == "run/rss_gib" else "[run].timeout"
