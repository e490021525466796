"""The limits of a study, what it has used, and which limit ends it. Knows no clock: the time is an argument."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

ENDING_LIMITS = ("trials", "runs", "hours", "until", "gpu_hours", "kwh")
"""The limits of which at least one must be set; without any, a study would run forever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeUsage:
    """What an LLM was used for: calls, tokens and dollars of one purpose, such as "propose" or "chat"."""

    purpose: str
    calls: int
    tokens: int
    usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a study has used so far.

    Attributes:
        trials: trials that ended, repetitions left out.
        runs: runs that ended on instances that choices are made on, of a study with [instances].
        saved: full runs that early stopping saved: a trial that was stopped, or resumed from an earlier one, counts by
            its seconds divided by those of a full run.
        hours: time during which `tunesmith run` worked on the study.
        kwh: energy of the GPUs, as far as it was measured.
        llm_purposes: what the LLM was used for, the dearest first; of earlier runs while one runs.
    """

    trials: int = 0
    runs: int = 0
    saved: float = 0.0
    hours: float = 0.0
    gpu_hours: float = 0.0
    kwh: float = 0.0
    llm_usd: float = 0.0
    llm_tokens: int = 0
    llm_calls: int = 0
    llm_purposes: tuple[PurposeUsage, ...] = ()

    @property
    def full_runs(self) -> float:
        """The number of full runs that the trials amount to."""
        return self.trials - self.saved


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUsage:
    """A limit of the budget: its name, what is used, and what may be used."""

    name: str
    used: float
    limit: float

    @property
    def fraction(self) -> float:
        """The fraction that is used, in [0, 1]; 1 for a limit of 0."""
        return min(self.used / self.limit, 1.0) if self.limit else 1.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """A time limit and the seconds until it is reached."""

    name: str
    seconds_left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The limits of a study; None means no limit. `until` is in seconds since the epoch.

    The three LLM limits only end the use of the LLM: the study continues with the sampler.
    """

    trials: int | None = None
    runs: int | None = None
    hours: float | None = None
    until: float | None = None
    gpu_hours: float | None = None
    kwh: float | None = None
    llm_usd: float | None = None
    llm_tokens: int | None = None
    llm_calls: int | None = None

    def limit_usage(self, spent: Spent) -> Iterator[LimitUsage]:
        """Yield every limit that ends the study, except `until`."""
        pairs = (
            ("trials", spent.full_runs, self.trials),
            ("runs", spent.runs, self.runs),
            ("hours", spent.hours, self.hours),
            ("gpu_hours", spent.gpu_hours, self.gpu_hours),
            ("kwh", spent.kwh, self.kwh),
        )
        for name, used, limit in pairs:
            if limit is not None:
                yield LimitUsage(name=name, used=used, limit=limit)

    def llm_limit_usage(self, spent: Spent) -> Iterator[LimitUsage]:
        """Yield the limits on the use of the LLM; a limit of 0 counts as reached."""
        pairs = (
            ("llm_usd", spent.llm_usd, self.llm_usd),
            ("llm_tokens", spent.llm_tokens, self.llm_tokens),
            ("llm_calls", spent.llm_calls, self.llm_calls),
        )
        for name, used, limit in pairs:
            if limit is not None:
                yield LimitUsage(name=name, used=used, limit=limit)

    def ended_by(self, spent: Spent, now: float) -> str | None:
        """Return the name of a limit that is reached, None if there is none."""
        if self.until is not None and now >= self.until:
            return "until"
        return next((share.name for share in self.limit_usage(spent) if share.used >= share.limit), None)

    def cost_exponent(self, spent: Spent) -> float:
        """Return the exponent of a trial's cost in the acquisition, in [0, 1].

        0 if the number of trials or runs is limited. With hours or GPU-hours, the fraction of the budget that is left:
        cheap trials first, and at the end the best ones at any cost, since there is nothing left to save for (cost
        cooling, Lee et al. 2020).
        """
        if self.trials is not None or self.runs is not None:
            return 0.0
        used = [share.fraction for share in self.limit_usage(spent)]
        return 1.0 - max(used) if used else float(self.until is not None)

    def deadline(self, spent: Spent, now: float) -> Deadline | None:
        """Return the time limit that is reached first, None if none is set."""
        left = []
        if self.hours is not None:
            left.append(Deadline("hours", max((self.hours - spent.hours) * 3600, 0.0)))
        if self.until is not None:
            left.append(Deadline("until", max(self.until - now, 0.0)))
        return min(left, key=lambda limit: limit.seconds_left, default=None)
