"""Guesses which column of a foreign table is which parameter or metric, by name. Knows no file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.names import did_you_mean
from tunesmith.tools.interop.importing.imported_table import VALUE

_PREFIXES = (
    *("params.", "params_", "param.", "param_", "config/", "config.", "config_", "hparams.", "hparams/", "hp/"),
    *("train_loop_config/", VALUE, "values_", "metrics.", "metrics/", "metric.", "user_attrs_", "summary."),
)
_ALIASES = (
    ("lr", "learningrate", "eta", "stepsize"),
    ("batch", "batchsize", "bs", "trainbatchsize"),
    ("wd", "weightdecay"),
    ("epochs", "nepochs", "numepochs", "numtrainepochs"),
    ("layers", "nlayers", "numlayers", "depth"),
    ("hidden", "hiddensize", "hiddendim", "width", "nhidden", "units"),
    ("opt", "optimizer", "optim"),
    ("dropout", "dropoutrate", "pdrop"),
    ("momentum", "mom"),
)
_ANY_VALUE = ("value", "value.value", "values_0", "value.0", "objective", "score")


@dataclass(frozen=True, slots=True)
class Mapped:
    """Which column is what.

    Attributes:
        parameters: parameter to column.
        metrics: metric to column.
        guessed: the names among them that were not given and do not match letter by letter.
        missing: parameters without a column.
    """

    parameters: Mapping[str, str]
    metrics: Mapping[str, str]
    guessed: frozenset[str]
    missing: tuple[str, ...]


def map_columns(columns: Sequence[str], spec: StudySpec, given: Mapping[str, str]) -> Mapped:
    """Return the mapping: what was given, then equal names, then what is called alike.

    Args:
        columns: what there is.
        spec: the study that is imported into.
        given: column to parameter or metric.

    Raises:
        SpecError: what was given is not there, an objective has no column, or no parameter has one.
    """
    wanted = [*spec.space.names, *spec.metrics]
    found = {name: column for column, name in given.items()}
    _check_given(columns, wanted, given)
    guessed = set()
    for name in wanted:
        if name in found:
            continue
        column = _guess(name, [c for c in columns if c not in found.values()], is_metric=name in spec.metrics)
        if column is not None:
            found[name] = column
            guessed |= {name} - {column, column.removeprefix(VALUE)}
    (first, *more) = spec.study.metric
    if first not in found and not more:
        plain = [c for c in columns if c.lower() in _ANY_VALUE and c not in found.values()]
        if plain:
            found[first] = plain[0]
            guessed.add(first)
    _require_enough(found, columns, spec)
    return Mapped(
        parameters={n: found[n] for n in spec.space.names if n in found},
        metrics={n: found[n] for n in spec.metrics if n in found},
        guessed=frozenset(guessed),
        missing=tuple(n for n in spec.space.names if n not in found),
    )


def _check_given(columns: Sequence[str], wanted: Sequence[str], given: Mapping[str, str]) -> None:
    mistakes = [
        Mistake(f"--map {c}={n}", f"{c!r} is no column{did_you_mean(c, columns)}")
        for c, n in given.items()
        if c not in columns
    ]
    mistakes += [
        Mistake(f"--map {c}={n}", f"{n!r} is neither a parameter nor a metric of the study{did_you_mean(n, wanted)}")
        for c, n in given.items()
        if n not in wanted
    ]
    if mistakes:
        raise SpecError(mistakes, where="the command line")


def _require_enough(found: Mapping[str, str], columns: Sequence[str], spec: StudySpec) -> None:
    there = f"; columns there: {', '.join(columns[:12])}{', …' if len(columns) > 12 else ''}"
    lacking = [metric for metric in spec.study.metric if metric not in found]
    mistakes = [
        Mistake(metric, f"has no column that is called alike; say which with --map COLUMN={metric}{there}")
        for metric in lacking
    ]
    if not any(name in found for name in spec.space.names):
        name = spec.space.names[0]
        mistakes.append(Mistake("space", f"no parameter has a column; say which with --map COLUMN={name}{there}"))
    if mistakes:
        raise SpecError(mistakes, where="what is imported")


def _guess(name: str, columns: Iterable[str], *, is_metric: bool) -> str | None:
    listed = list(columns)
    preferred = [f"{VALUE}{name}"] if is_metric else []
    for exact in [*preferred, name, *(f"{prefix}{name}" for prefix in _PREFIXES)]:
        if exact in listed:
            return exact
    told_apart = [c for c in listed if c.startswith(VALUE) == is_metric] if not is_metric else listed
    for alike in (_same_letters, _same_last_part, _same_meaning):
        near = [column for column in told_apart if alike(name, column)]
        if len(near) == 1:
            return near[0]
    return None


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _bare(column: str) -> str:
    for prefix in _PREFIXES:
        if column.lower().startswith(prefix):
            return column[len(prefix) :]
    return column


def _same_letters(name: str, column: str) -> bool:
    return _letters(name) == _letters(_bare(column))


def _same_last_part(name: str, column: str) -> bool:
    return _letters(name) == _letters(re.split(r"[./]", column)[-1])


def _same_meaning(name: str, column: str) -> bool:
    plain, other = _letters(name), _letters(re.split(r"[./]", _bare(column))[-1])
    return any(plain in group and other in group for group in _ALIASES)
