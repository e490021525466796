"""Decides whether a failure says something about its configuration or only about the study. Pure functions.

A missing package or a full disk fails every configuration and teaches nothing about any of them. Two things decide:

- the message. Some messages are typical of a broken environment, such as ModuleNotFoundError; most are not.
- the data. A parameter that separates the failures with a message from the trials that got further explains them,
  provided that time does not: a package that was missing for an hour also separates the trials of that hour.

Every call decides anew from all trials, so a later trial may change the scope of an earlier failure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby

from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import FailureKind, FailureScope, Source, Trial, TrialState

SIGNIFICANCE = 0.05
"""Largest probability of a separation by chance at which a parameter explains messages of an environment."""
_TIME_SIGNIFICANCE = 0.01
"""Largest probability that failures come in one block by chance at which time explains them."""
_MIN_CONFIGURATIONS = 3
"""Different configurations that must fail alike before an ordinary message counts as the study's."""
_MIN_INSIDE, _MAX_OUTSIDE = 0.8, 0.2
"""Failure rates inside and outside of a region that explains failures."""

_REMEMBERED = 20_000
"""Number of answers to whether a message names something that are remembered."""
_MAX_CHOICES = 12
"""Number of values up to which each value of a parameter counts as a choice."""

OF_THE_CONFIGURATION = (
    FailureKind.OOM,
    FailureKind.NAN,
    FailureKind.TIMEOUT,
    FailureKind.TAMPERED,
    FailureKind.WRONG,
    FailureKind.LOST,
)
"""Kinds that are never the study's: memory, divergence and time depend on the configuration. A lost trial keeps its
number and its place, since a configuration may be what takes its machine down."""
_GOT_FURTHER = (FailureKind.OOM, FailureKind.NAN, FailureKind.TIMEOUT, FailureKind.WRONG)
"""Kinds of failure that show that the environment worked."""

_ENVIRONMENT = re.compile(
    r"""
    \b(?:ModuleNotFoundError|ImportError|SyntaxError|IndentationError|TabError)\b
    | cannot\ open\ shared\ object\ file | undefined\ symbol
    | \bFileNotFoundError\b | No\ such\ file\ or\ directory | \bcan't\ open\ file\b | \bNotADirectoryError\b
    | command\ not\ found | :\ not\ found$ | was\ not\ found\ (?:in|on)\b | has\ no\ first\ line
    | is\ not\ installed | is\ not\ an\ executable | does\ not\ exist
    | cannot\ be\ (?:started|found|executed|run) | \bcannot\ start\b | exit\ status\ 12[67]\b
    | \bPermissionError\b | [Pp]ermission\ denied | Operation\ not\ permitted | Read-only\ file\ system
    | No\ space\ left\ on\ device | Disk\ quota\ exceeded | filled\ its\ disk\ quota | Too\ many\ open\ files
    | invalid\ device\ ordinal | [Nn]o\ CUDA\ GPUs\ are\ available
    | no\ CUDA-capable\ device | Found\ no\ NVIDIA\ driver
    | not\ compiled\ with\ CUDA | no\ kernel\ image\ is\ available | driver\ version\ is\ insufficient
    | CUDA\ driver\ initialization\ failed | CUDA\ unknown\ error | all\ CUDA-capable\ devices\ are\ busy
    | unrecognized\ arguments | the\ following\ arguments\ are\ required | [Nn]o\ such\ option | [Uu]nknown\ option
    | name\ resolution | Name\ or\ service\ not\ known | Connection\ ?(?:refused|reset|Error) | Network\ is\ unreachable
    | Max\ retries\ exceeded | LocalEntryNotFoundError | couldn't\ connect\ to
    | port\ taken: | is\ in\ use\ by\ another\ program | model\ not\ found:
    | was\ removed\ from\ the\ cluster | ended\ by\ signal\ SIG(?:TERM|INT|HUP)
    """,
    re.VERBOSE,
)
"""Messages of a broken environment."""
_VARYING = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-f]{8,}\b|[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?")
"""Parts of a message that differ between equal failures: numbers, addresses, ids."""


def with_scopes(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials with the scope of each failure decided from all of them; the others are unchanged."""
    of_study = study_failures(trials)
    return [_with_scope(t, of_study) if t.failure is not None else t for t in trials]


def study_failures(trials: Sequence[Trial]) -> frozenset[int]:
    """Return the numbers of the failed trials whose failure is the study's, for every configuration.

    Args:
        trials: every trial of the study, by number. Forgotten trials are no evidence.
    """
    known = [t for t in trials if t.state.is_finished and not t.forgotten]
    if not any(_may_be_of_study(t) for t in known):
        return frozenset()
    further = [t for t in known if _got_further(t)]
    found: set[int] = set()
    for failed in _by_message(known).values():
        history = _History(failed=tuple(failed), further=tuple(further))
        is_environment = bool(_ENVIRONMENT.search(_reason(failed[0])))
        of_study = _failures_of_environment(history) if is_environment else _failures_of_all(history)
        # Broken edits fail with the messages of a broken environment; only the user's own code tells them apart.
        fails_unedited = any(t.number in of_study and not t.proposal.code for t in failed)
        found |= {t.number for t in failed if t.number in of_study and (fails_unedited or not t.proposal.code)}
    return frozenset(found)


def is_environment_message(reason: str) -> bool:
    """Return whether a reason is typical of a broken environment."""
    return bool(_ENVIRONMENT.search(reason))


@dataclass(frozen=True, slots=True)
class _History:
    """The trials that failed with one message, and those that got further; each by number."""

    failed: Sequence[Trial]
    further: Sequence[Trial]

    def blocks(self) -> list[list[Trial]]:
        """Return the failed trials in groups with no trial that got further between them."""
        marked = [(t, True) for t in self.failed] + [(t, False) for t in self.further]
        marked.sort(key=lambda pair: pair[0].number)
        return [[t for t, _ in group] for failed, group in groupby(marked, lambda pair: pair[1]) if failed]


@dataclass(frozen=True, slots=True)
class _Region:
    """A part of the space: one value of a parameter, a part of its range, or, without limits, where it is active.

    Attributes:
        rivals: number of such parts among which the best one is chosen.
    """

    name: str
    low: float = -math.inf
    high: float = math.inf
    choice: Value = None
    is_choice: bool = False
    rivals: int = 1

    def holds(self, params: Mapping[str, Value]) -> bool:
        """Return whether a configuration lies in the region."""
        if self.name not in params:
            return False
        value = params[self.name]
        if self.is_choice:
            return value == self.choice and type(value) is type(self.choice)
        if not _is_number(value):
            return math.isinf(self.low) and math.isinf(self.high)
        return self.low <= value <= self.high  # type: ignore[operator]


def _failures_of_environment(history: _History) -> set[int]:
    """Return the study's failures among those with a message of the environment: all that no parameter explains."""
    numbers = {t.number for t in history.failed}
    if not history.further:
        return numbers
    region = _explaining_region(history)
    return numbers if region is None else {t.number for t in history.failed if not region.holds(t.params)}


def _failures_of_all(history: _History) -> set[int]:
    """Return the study's failures among those with an ordinary message: those that came for all parameters."""
    # Imported trials have no order in time, and often one message for every failure.
    if any(_names_parameter(t) or t.proposal.source is Source.IMPORT for t in history.failed):
        return set()
    blocks = [b for b in history.blocks() if len({_config_key(t) for t in b}) >= _MIN_CONFIGURATIONS]
    worked = {_config_key(t) for t in history.further} if blocks else set()
    return {t.number for block in blocks if _is_of_all(block, history.further, worked) for t in block}


def _is_of_all(block: Sequence[Trial], further: Sequence[Trial], worked: set[tuple[object, ...]]) -> bool:
    """Return whether a block of equal failures is independent of the parameters; `worked` has keys of `further`."""
    if not further or not worked.isdisjoint(_config_key(t) for t in block):
        # Nothing has worked yet, or what failed then works now.
        return True
    by_chance = (len(further) + 1) / math.comb(len(further) + len(block), len(block))
    return by_chance <= _TIME_SIGNIFICANCE and not any(
        _separates(region, block, further) for region in _regions(block, further)
    )


def _explaining_region(history: _History) -> _Region | None:
    """Return the region in which trials fail with this message, if there is evidence that it is not the time.

    Failures with no success between them count as one: one fault may have caused all of them.
    """
    blocks, further = history.blocks(), history.further
    regions = [r for r in _regions(history.failed, further) if _separates(r, history.failed, further)]
    named = [r for r in regions if r.is_choice and all(_names(t, r.name) for t in history.failed if r.holds(t.params))]
    if named:
        return named[0]
    parameters = len({name for t in [*history.failed, *further] for name in t.params})
    best = min(regions, key=lambda r: _chance(r, blocks, further) * r.rivals, default=None)
    if best is None or len(blocks) < 2 or _chance(best, blocks, further) * best.rivals * parameters > SIGNIFICANCE:  # noqa: PLR2004  # one block is explained by time
        return None
    return best


def _separates(region: _Region, failed: Sequence[Trial], further: Sequence[Trial]) -> bool:
    """Return whether most trials in a region failed, and few outside of it."""
    bad_in = sum(region.holds(t.params) for t in failed)
    good_in = sum(region.holds(t.params) for t in further)
    bad_out, good_out = len(failed) - bad_in, len(further) - good_in
    if not bad_in or not good_out:
        return False
    return bad_in / (bad_in + good_in) >= _MIN_INSIDE and bad_out / (bad_out + good_out) <= _MAX_OUTSIDE


def _chance(region: _Region, blocks: Sequence[Sequence[Trial]], further: Sequence[Trial]) -> float:
    """Return the probability of at least as many blocks of failures in a region by chance (Fisher's test)."""
    inside = sum(all(region.holds(t.params) for t in block) for block in blocks)
    total = inside + sum(region.holds(t.params) for t in further)
    count = len(blocks) + len(further)
    ways = sum(math.comb(total, i) * math.comb(count - total, len(blocks) - i) for i in range(inside, len(blocks) + 1))
    return ways / math.comb(count, len(blocks))


def _regions(failed: Sequence[Trial], further: Sequence[Trial]) -> Iterator[_Region]:
    """Yield the regions of one parameter that could explain the failures: values, halves, activity."""
    both = [*failed, *further]
    for name in dict.fromkeys(name for t in both for name in t.params):
        values = {(type(t.params[name]), t.params[name]) for t in both if name in t.params}
        if all(_is_number(value) for _, value in values):
            yield from _halves(name, failed, rivals=2 * len(values))
        if len(values) <= _MAX_CHOICES:
            yield from (_Region(name, choice=value, is_choice=True) for _, value in values)
        if any(name not in t.params for t in both):
            yield _Region(name)


def _halves(name: str, failed: Sequence[Trial], *, rivals: int) -> Iterator[_Region]:
    """Yield the smallest low and high parts of a range that hold all failures, or most of them."""
    values = sorted(float(t.params[name]) for t in failed if name in t.params)  # type: ignore[arg-type]
    for left_out in dict.fromkeys(int(share * len(values)) for share in (0.0, 0.1, 0.2)):
        if values:
            yield _Region(name, high=values[len(values) - 1 - left_out], rivals=rivals)
            yield _Region(name, low=values[left_out], rivals=rivals)


def _by_message(trials: Sequence[Trial]) -> dict[tuple[FailureKind, str], list[Trial]]:
    found: dict[tuple[FailureKind, str], list[Trial]] = {}
    for trial in trials:
        if trial.failure is not None and _may_be_of_study(trial):
            found.setdefault((trial.failure.kind, _VARYING.sub("#", _reason(trial))), []).append(trial)
    return found


def _may_be_of_study(trial: Trial) -> bool:
    return trial.failure is not None and trial.failure.kind not in OF_THE_CONFIGURATION


def _got_further(trial: Trial) -> bool:
    if trial.state is TrialState.FAILED:
        return trial.failure is not None and trial.failure.kind in _GOT_FURTHER
    return trial.outcome is not None and trial.started_at is not None or bool(trial.values)


def _names_parameter(trial: Trial) -> bool:
    """Return whether the message of a failure names a parameter or the value of one."""
    reason = _reason(trial)
    return any(_has_word(reason, name) for name in trial.params) or any(_names(trial, name) for name in trial.params)


def _names(trial: Trial, name: str) -> bool:
    """Return whether the message of a failure names the trial's value of a parameter; short values prove nothing."""
    value = trial.params.get(name)
    text = str(value)
    if isinstance(value, bool) or value is None or len(text) < (2 if _is_number(value) else 3):
        return False
    return _has_value(_reason(trial), text)


# Scopes are decided anew after each trial, from the same messages and many more.
@lru_cache(maxsize=_REMEMBERED)
def _has_word(reason: str, word: str) -> bool:
    return bool(re.search(rf"\b{re.escape(word)}\b", reason))


@lru_cache(maxsize=_REMEMBERED)
def _has_value(reason: str, text: str) -> bool:
    return bool(re.search(rf"(?<![A-Za-z0-9]){re.escape(text)}(?![0-9])", reason, re.IGNORECASE))


def _reason(trial: Trial) -> str:
    return trial.failure.reason if trial.failure is not None else ""


def _config_key(trial: Trial) -> tuple[object, ...]:
    return (trial.proposal.code, *sorted((name, str(value)) for name, value in trial.params.items()))


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _with_scope(trial: Trial, of_study: frozenset[int]) -> Trial:
    scope = FailureScope.STUDY if trial.number in of_study else FailureScope.CONFIGURATION
    if trial.outcome is None or trial.failure is None or trial.failure.scope is scope:
        return trial
    return replace(trial, outcome=replace(trial.outcome, failure=replace(trial.failure, scope=scope)))
