"""Candidates of a model, and their validation: well-formed, inside the space, allowed, and not tried before."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tunesmith.agent.llm.answer_format import KINDS
from tunesmith.agent.llm.answers.intervals import Interval, free_intervals, is_number, is_valid, value_within
from tunesmith.agent.llm.answers.mixtures import whole_mixtures, with_free_shares
from tunesmith.agent.sampler.candidates.deduplication import tried_keys
from tunesmith.study.errors import Mistake, ProposalError
from tunesmith.study.space.condition import Params, Value
from tunesmith.study.space.mixtures.rows import flat
from tunesmith.study.space.mixtures.shares import Share
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.space.values import config_key
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import incumbent
from tunesmith.tools.surrogate.encoding import SpaceEncoding

NEAR_DUPLICATE_DISTANCE = 5e-3
"""Largest difference per smooth coordinate of the unit cube at which two configurations count as duplicates."""

MAX_RUNS = 20
"""Largest number of trials that a region lasts."""

_MAX_TEXT_CHARS = 600
_MAX_CANDIDATES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A configuration proposed by a model, whole or with coordinates that are left to the sampler.

    Attributes:
        params: the configuration; free coordinates have the values of its base.
        rationale: the model's reason, at most 600 characters.
        predicted: expected value of the first objective; None when the model gave none.
        refuted_by: the result that would refute the rationale, in the model's words.
        kind: one of KINDS; "" when the model named none of them.
        base: number of the trial that it changes; None when it changes none.
        free: the parameters that the sampler chooses, with their ranges.
        runs: number of trials that a region lasts.
        repeats: number of the trial that runs again on another seed; None for a new configuration.
    """

    params: Mapping[str, Value]
    rationale: str = ""
    predicted: float | None = None
    refuted_by: str = ""
    kind: str = ""
    base: int | None = None
    free: Mapping[str, Interval] = field(default_factory=dict)
    runs: int = 1
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class InvalidCandidate:
    """A candidate that cannot run: its values as far as they can be read, and why, phrased for the model."""

    index: int
    params: Params
    problem: str

    @property
    def text(self) -> str:
        """The problem with the candidate's place in the answer."""
        return f"candidate {self.index} {self.problem}"


@dataclass(frozen=True, slots=True)
class ValidatedCandidates:
    """Candidates that may run, and the others with the problem of each."""

    valid: tuple[Candidate, ...]
    invalid: tuple[InvalidCandidate, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """The problem of each candidate that cannot run, phrased for the model."""
        return tuple(one.text for one in self.invalid)


def validate_candidates(
    raw: Sequence[Mapping[str, Any]], view: StudyView, objection: Callable[[Params], str] = lambda params: ""
) -> ValidatedCandidates:
    """Check candidates against the space, what people forbid, the tried configurations and each other.

    Args:
        raw: the candidates as decoded from the answer.
        view: the study.
        objection: returns why a person or the study forbids a configuration; "" if nothing does.
    """
    known = _Known(view)
    valid: list[Candidate] = []
    invalid: list[InvalidCandidate] = []
    for index, entry in enumerate(raw[:_MAX_CANDIDATES], start=1):
        try:
            candidate = _parse_candidate(entry, view)
        except ProposalError as error:
            invalid.append(InvalidCandidate(index, {}, f"cannot be read: {error}"))
            continue
        problem = objection(candidate.params) or known.problem(candidate)
        if problem:
            invalid.append(InvalidCandidate(index, candidate.params, problem))
        else:
            valid.append(candidate)
            known.add(candidate)
    return ValidatedCandidates(tuple(valid), tuple(invalid))


def revalidate(
    candidates: Sequence[Candidate], view: StudyView, objection: Callable[[Params], str] = lambda params: ""
) -> tuple[Candidate, ...]:
    """Return the earlier candidates that are still new and allowed; other trials may have been proposed meanwhile."""
    known = _Known(view)
    kept = []
    for candidate in candidates:
        if view.space.contains(candidate.params) and not objection(candidate.params) and not known.problem(candidate):
            kept.append(candidate)
            known.add(candidate)
    return tuple(kept)


class _Known:
    """The configurations that were tried or proposed."""

    def __init__(self, view: StudyView) -> None:
        self._view, self._encoding = view, SpaceEncoding(view.space)
        self._keys = tried_keys(view)
        tried = [t for t in [*view.finished, *view.pending] if view.counts_as_tried(t)]
        self._points = [view.space.to_unit(t.params) for t in tried]
        self._numbers = {config_key(t.params): t.number for t in reversed(view.trials)}

    def problem(self, candidate: Candidate) -> str:
        """Return why a candidate is not new; "" if it is, or is not meant to be."""
        if candidate.repeats is not None or candidate.free:
            return ""
        key = config_key(candidate.params)
        if key in self._keys:
            number = self._numbers.get(key)
            which = "an earlier candidate" if number is None else f"trial #{number}"
            again = (
                "" if number is None else f'; to repeat it on another seed, give kind "confirm" and base "#{number}"'
            )
            return f"is {which} again{again}"
        if self._is_near(np.array(self._view.space.to_unit(candidate.params))):
            return "nearly repeats a configuration that was tried or proposed"
        return ""

    def add(self, candidate: Candidate) -> None:
        """Count a candidate as proposed."""
        if candidate.repeats is None and not candidate.free:
            self._keys.add(config_key(candidate.params))
            self._points.append(self._view.space.to_unit(candidate.params))

    def _is_near(self, unit: np.ndarray[Any, Any]) -> bool:
        if not self._points:
            return False
        tolerance = np.where(self._encoding.smooth, NEAR_DUPLICATE_DISTANCE, 1e-9)
        return bool((np.abs(np.array(self._points) - unit) <= tolerance).all(axis=1).any())


def _parse_candidate(entry: Mapping[str, Any], view: StudyView) -> Candidate:
    """Return the candidate of one entry.

    Raises:
        ProposalError: a value, the base or a free parameter is not valid; carries every mistake.
    """
    space, kind = view.space, str(entry.get("kind", entry.get("operator", "")))
    base, base_params = _base(entry.get("base"), view)
    text = {
        "rationale": _clean_text(entry.get("rationale")),
        "refuted_by": _clean_text(entry.get("refuted_by")),
        "kind": kind if kind in KINDS else "",
    }
    if kind == "confirm":
        return Candidate(params=base_params, base=_confirmed(base, view), repeats=base, **text)  # type: ignore[arg-type]
    whole = whole_mixtures(space.own_values(_changes(entry, space)), base_params, space)
    free = free_intervals(entry.get("free"), space)
    params = _combined(whole.changes, base_params, free, space)
    text["rationale"] = "; ".join(part for part in (text["rationale"], *whole.notes) if part)
    predicted = entry.get("predicted")
    return Candidate(
        params=params,
        predicted=float(predicted) if is_number(predicted) else None,
        base=base,
        free={name: interval for name, interval in free.items() if name in params},
        runs=_runs(entry.get("runs"), kind),
        **text,  # type: ignore[arg-type]
    )


def _combined(
    changes: Mapping[str, Any], base: Mapping[str, Value], free: Mapping[str, Interval], space: SearchSpace
) -> dict[str, Value]:
    """Return the configuration: the changes on top of the base, and a value within its range for what is free."""
    values: dict[str, Any] = {**base, **changes}
    moved = [name for name in free if name not in changes]
    for name in moved:
        values[name] = value_within(space.parameters[name], values.get(name), free[name])
    if any(isinstance(space.parameters[name], Share) for name in moved):
        values = with_free_shares(values, changes, space)
    if base:
        # A change may make other parameters active that the base does not have: they start at their defaults.
        clipped = space.clip({n: v for n, v in values.items() if is_valid(space.parameters.get(n), v)})
        values = {**{n: v for n, v in clipped.items() if n not in values}, **values}
        values = {n: v for n, v in values.items() if n in changes or n in clipped}
    return space.parse(values)


def _base(given: Any, view: StudyView) -> tuple[int | None, Mapping[str, Value]]:
    """Return the trial and the configuration that a candidate changes; nothing where it names none.

    Raises:
        ProposalError: the name is not that of a trial of the present space.
    """
    text = str(given).strip().lower() if given is not None else ""
    if text in ("", "none", "null"):
        return None, {}
    if text == "default":
        default = view.space.default
        ran = next((t.number for t in view.trials if default is not None and dict(t.params) == default), None)
        return ran, default or view.space.imputed
    if text == "best":
        best = incumbent(view.trials, view)
        return (best.number, best.params) if best is not None else (None, view.space.imputed)
    digits = re.fullmatch(r"(?:trial\s*)?#?\s*(\d{1,9})", text)
    trial = _find(int(digits[1]), view) if digits else None
    if trial is None:
        last = max((t.number for t in view.trials), default=None)
        known = "no trial has run yet" if last is None else f"the last trial is #{last}"
        raise ProposalError(
            [Mistake("base", f"{str(given)[:40]!r} is not a trial; {known}; write #N, best or default")]
        )
    return trial.number, {n: v for n, v in trial.params.items() if n in view.space.parameters}


def _find(number: int, view: StudyView) -> Trial | None:
    return next((t for t in view.trials if t.number == number), None)


def _confirmed(base: int | None, view: StudyView) -> int:
    """Return the number of the trial to repeat.

    Raises:
        ProposalError: there is none, or it did not complete.
    """
    trial = None if base is None else _find(base, view)
    if trial is None or base is None:
        raise ProposalError([Mistake("base", "is missing; a confirmation names the trial that runs again, as #N")])
    if trial.state is not TrialState.COMPLETE:
        raise ProposalError([Mistake("base", f"#{base} is {trial.state.value}; only a complete trial can run again")])
    return base


def _changes(entry: Mapping[str, Any], space: SearchSpace) -> dict[str, Any]:
    """Return the values that a candidate gives, whichever way it writes them; null where that is none of them."""
    given: Any = entry.get("changes")
    if given is None or (not given and "params" in entry):
        # Accept a flat object without "params", as weak models write it.
        known = (*space.names, *space.mixtures)
        given = entry.get("params", {name: entry[name] for name in known if name in entry})
    if isinstance(given, Sequence) and not isinstance(given, str):
        pairs = [(c.get("name"), c.get("value")) for c in given if isinstance(c, Mapping)]
    else:
        pairs = list(given.items()) if isinstance(given, Mapping) else []
    given_by_name = flat(space.mixtures, {str(name): value for name, value in pairs})
    values = {name: _scalar(value) for name, value in given_by_name.items()}
    # null means "not active", except where it is one of the choices.
    return {n: v for n, v in values.items() if v is not None or is_valid(space.parameters.get(n), v)}


def _runs(given: Any, kind: str) -> int:
    usual = 5 if kind == "region" else 1
    return min(max(int(given), 1), MAX_RUNS) if is_number(given) else usual


def _scalar(value: Any) -> Value:
    """Return the value; one that is not a scalar becomes text, which the parameter then rejects with a message."""
    return value if isinstance(value, str | int | float | bool | None) else str(value)[:80]


def _clean_text(text: Any) -> str:
    return " ".join(str(text).split())[:_MAX_TEXT_CHARS] if isinstance(text, str) else ""
