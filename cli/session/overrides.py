"""Command-line options that replace values of study.toml for one command. Knows no command."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, SpecError

OPTIONS = {
    "trials": "budget.trials",
    "hours": "budget.hours",
    "until": "budget.until",
    "parallel": "run.parallel",
    "sampler": "planner.sampler",
    "seed": "study.seed",
    "model": "planner.model",
    "base_url": "planner.base_url",
}
"""The key of study.toml that each option replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Values of the command line; None keeps the value of study.toml. The names are those of OPTIONS."""

    trials: int | None = None
    hours: float | None = None
    until: str | None = None
    parallel: int | None = None
    sampler: str | None = None
    seed: int | None = None
    model: str | None = None
    base_url: str | None = None

    def apply_to(self, spec: StudySpec) -> StudySpec:
        """Return the study with these values.

        Raises:
            SpecError: a value is not valid.
        """
        document = _with_values(spec.document, asdict(self))
        try:
            return parse_spec(document)
        except SpecError as error:
            options = {key: f"--{option.replace('_', '-')}" for option, key in OPTIONS.items()}
            mistakes = [Mistake(options.get(m.key, m.key), m.message) for m in error.mistakes]
            raise SpecError(mistakes, where="the command line") from None


def _with_values(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a study document with each value that is not None under its key."""
    changed: dict[str, Any] = copy.deepcopy(dict(document))
    for option, value in values.items():
        if value is not None:
            table, name = OPTIONS[option].split(".")
            changed[table] = {**changed.get(table, {}), name: value}
    planner = changed.get("planner", {})
    if server_of(planner) != server_of(document.get("planner", {})):
        # Headers often hold a key, and a body what one server knows: neither is for another server.
        changed["planner"] = {key: value for key, value in planner.items() if key not in ("headers", "body")}
    return changed


def server_of(planner: Mapping[str, Any]) -> tuple[str, str]:
    """Return what decides where questions go: the address, or without one the provider before the model's colon."""
    base_url = str(planner.get("base_url") or "")
    return base_url, "" if base_url else str(planner.get("model") or "").partition(":")[0]


def require_end(spec: StudySpec) -> None:
    """Check that some limit ends the study.

    Raises:
        SpecError: [budget] has no limit, so the study would run forever.
    """
    if not spec.budget.ends:
        message = 'nothing would end this study; set trials = 40, hours = 8 or until = "07:00", or pass --trials 40'
        raise SpecError([Mistake("budget", message)], where="study.toml")
