"""Assigns the columns of an imported table to parameters and metrics, by name. Knows no file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.instances import INSTANCE
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.mixtures.rows import names_of
from tunesmith.study.trials.observed.resources import SECONDS, USD
from tunesmith.tools.interop.importing.imported_table import VALUE
from tunesmith.tools.interop.importing.rows import NOT_VALUES

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
_OPTION = re.compile(r"(?<![\w-])--?([A-Za-z][\w-]*)(?:=|\s+)['\"]?\{instance\}")
"""An option of a command that takes the instance; it begins a word, so that no hyphen within one is tried."""
_NUMBERED = re.compile(r"(.*) \[\d+\]", re.DOTALL)
_ANY_VALUE = ("value", "value.value", "values_0", "value.0", "objective", "score")


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """The column of each parameter and metric.

    Attributes:
        parameters: parameter to column.
        metrics: metric to column.
        guessed: names whose column was not given with --map and is not spelled the same.
        missing: parameters without a column.
        instance: the column that says on which instance a row ran; "" for a study without [instances], or without one.
        unused: the other columns, without those of a trial's state and time.
    """

    parameters: Mapping[str, str]
    metrics: Mapping[str, str]
    guessed: frozenset[str]
    missing: tuple[str, ...]
    instance: str = ""
    unused: tuple[str, ...] = ()


def map_columns(columns: Sequence[str], spec: StudySpec, given: Mapping[str, str]) -> ColumnMapping:
    """Return the mapping: given columns first, then equal names, then similar names.

    Args:
        columns: of the imported table.
        spec: the study that is imported into.
        given: column to parameter or metric.

    Raises:
        SpecError: a given column does not exist, an objective has no column, or no parameter has one.
    """
    wanted = [*spec.space.names, *spec.metrics]
    found = {name: column for column, name in given.items()}
    _check_given(columns, [*wanted, *([INSTANCE] if spec.instances is not None else [])], given)
    guessed = set()
    for name in wanted:
        if name in found:
            continue
        column = _guess(name, [c for c in columns if c not in found.values()], is_metric=name in spec.metrics)
        if column is not None:
            found[name] = column
            guessed |= {name} - {column, column.removeprefix(VALUE)}
    bare = _columns_of_sources(spec, [c for c in columns if c not in found.values()], found)
    found |= bare
    guessed |= set(bare)
    _refuse_ambiguous([name for name in wanted if name not in found], columns, spec)
    (first, *more) = spec.study.metric
    if first not in found and not more:
        plain = [c for c in columns if c.lower() in _ANY_VALUE and c not in found.values()]
        if plain:
            found[first] = plain[0]
            guessed.add(first)
    _require_enough(found, columns, spec)
    instance = found.pop(INSTANCE, "") or _instance_column(spec, [c for c in columns if c not in found.values()])
    used = {*found.values(), instance}
    return ColumnMapping(
        parameters={n: found[n] for n in spec.space.names if n in found},
        metrics={n: found[n] for n in spec.metrics if n in found},
        guessed=frozenset(guessed),
        missing=tuple(n for n in spec.space.names if n not in found),
        instance=instance,
        unused=tuple(c for c in columns if c not in used and c.lower() not in NOT_VALUES),
    )


def _columns_of_sources(spec: StudySpec, columns: Sequence[str], found: Mapping[str, str]) -> dict[str, str]:
    """Return the columns of mixtures that have none yet, where every source is a column: code for mix.code."""
    bare: dict[str, str] = {}
    for mixture, shares in spec.space.mixtures.items():
        names = names_of(mixture, shares)
        if any(name in found for name in names):
            continue
        left = [column for column in columns if column not in bare.values()]
        guesses = {n: _guess(source, left, is_metric=False) for n, source in zip(names, shares.of, strict=True)}
        columns_found = [column for column in guesses.values() if column is not None]
        if len(set(columns_found)) == len(names):
            bare |= dict(zip(guesses, columns_found, strict=True))
    return bare


def _instance_column(spec: StudySpec, columns: Sequence[str]) -> str:
    """Return the column that says on which instance a row ran; "" without [instances], or without such a column.

    It is called instance, as the first column of the study's instances, or as the option of the command that takes it.
    """
    if spec.instances is None:
        return ""
    option = _OPTION.search(spec.run.command)
    names = [INSTANCE, *spec.instances.columns[:1], *([option[1].replace("-", "_")] if option else [])]
    return next((column for name in names if (column := _guess(name, columns, is_metric=False))), "")


def _check_given(columns: Sequence[str], wanted: Sequence[str], given: Mapping[str, str]) -> None:
    mistakes = [
        Mistake(f"--map {c}={n}", f"{c!r} is not a column{did_you_mean(c, columns)}")
        for c, n in given.items()
        if c not in columns
    ]
    mistakes += [Mistake(f"--map {c}={n}", _unknown_text(n, wanted)) for c, n in given.items() if n not in wanted]
    if mistakes:
        raise SpecError(mistakes, where="the command line")


def _unknown_text(name: str, wanted: Sequence[str]) -> str:
    if name == INSTANCE:
        return "the study has no [instances], so rows cannot say on which one they ran"
    return f"{name!r} is neither a parameter nor a metric of the study{did_you_mean(name, wanted)}"


def _refuse_ambiguous(names: Sequence[str], columns: Sequence[str], spec: StudySpec) -> None:
    """Refuse a name that several columns have, which the reader has numbered: `lr [1]`, `lr [2]`."""
    numbered = {column: match[1] for column in columns if (match := _NUMBERED.fullmatch(column))}
    mistakes = []
    for name in names:
        twins = [c for c, plain in numbered.items() if _guess(name, [plain], is_metric=name in spec.metrics)]
        if len(twins) > 1:
            message = f"has several columns with different cells; select one, for example --map '{twins[0]}={name}'"
            mistakes.append(Mistake(name, message))
    if mistakes:
        raise SpecError(mistakes, where="the imported table")


def _require_enough(found: Mapping[str, str], columns: Sequence[str], spec: StudySpec) -> None:
    there = f"; the columns are {', '.join(columns[:12])}{', …' if len(columns) > 12 else ''}"
    # What follows from the seconds of a row needs no column.
    lacking = [metric for metric in spec.study.metric if metric not in found and metric not in (SECONDS, USD)]
    mistakes = [
        Mistake(metric, f"has no column of a similar name; give one with --map COLUMN={metric}{there}")
        for metric in lacking
    ]
    if not any(name in found for name in spec.space.names):
        name = spec.space.names[0]
        mistakes.append(Mistake("space", f"no parameter has a column; give one with --map COLUMN={name}{there}"))
    if mistakes:
        raise SpecError(mistakes, where="the imported table")


def _guess(name: str, columns: Iterable[str], *, is_metric: bool) -> str | None:
    listed = list(columns)
    preferred = [f"{VALUE}{name}"] if is_metric else []
    for exact in [*preferred, name, *(f"{prefix}{name}" for prefix in _PREFIXES)]:
        if exact in listed:
            return exact
    possible = listed if is_metric else [c for c in listed if not c.startswith(VALUE)]
    for alike in (_same_letters, _same_last_part, _same_meaning):
        near = [column for column in possible if alike(name, column)]
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
