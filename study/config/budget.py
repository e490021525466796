"""What a study may spend, what it has spent, and which limit ended it. Knows no clock: the time comes in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

JOULES_PER_KWH = 3.6e6
"""In a kWh."""
ENDING_LIMITS = ("trials", "hours", "until", "gpu_hours", "kwh")
"""The limits of which at least one must be set, or nothing would end a study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What is used up.

    Attributes:
        trials: how many ended.
        saved: how many full runs less they took: a trial that was stopped early, or went on from an earlier one, counts
            by its seconds over those of a full run.
        hours: the time during which a `tunesmith run` was at work on the study.
        kwh: what GPUs used, as far as it was measured.
    """

    trials: int = 0
    saved: float = 0.0
    hours: float = 0.0
    gpu_hours: float = 0.0
    kwh: float = 0.0
    llm_usd: float = 0.0
    llm_tokens: int = 0
    llm_calls: int = 0

    @property
    def full_runs(self) -> float:
        """How many runs to the end the trials amount to."""
        return self.trials - self.saved


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUsage:
    """One limit: its name, how much is used, and how much may be."""

    name: str
    used: float
    limit: float

    @property
    def fraction(self) -> float:
        """Used part, in [0, 1]."""
        return min(self.used / self.limit, 1.0) if self.limit else 1.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """A limit of time and how far away it is."""

    name: str
    seconds_left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits; None is no limit. `until` is in seconds since the epoch.

    The three llm limits end the LLM's part alone: the study goes on with the sampler.
    """

    trials: int | None = None
    hours: float | None = None
    until: float | None = None
    gpu_hours: float | None = None
    kwh: float | None = None
    llm_usd: float | None = None
    llm_tokens: int | None = None
    llm_calls: int | None = None

    def limit_usage(self, spent: Spent) -> Iterator[LimitUsage]:
        """Yield every limit that ends the study and is counted (not `until`)."""
        pairs = (
            ("trials", spent.full_runs, self.trials),
            ("hours", spent.hours, self.hours),
            ("gpu_hours", spent.gpu_hours, self.gpu_hours),
            ("kwh", spent.kwh, self.kwh),
        )
        for name, used, limit in pairs:
            if limit is not None:
                yield LimitUsage(name=name, used=used, limit=limit)

    def llm_limit_usage(self, spent: Spent) -> Iterator[LimitUsage]:
        """Yield the limits on the LLM; a limit of 0 counts as reached."""
        pairs = (
            ("llm_usd", spent.llm_usd, self.llm_usd),
            ("llm_tokens", spent.llm_tokens, self.llm_tokens),
            ("llm_calls", spent.llm_calls, self.llm_calls),
        )
        for name, used, limit in pairs:
            if limit is not None:
                yield LimitUsage(name=name, used=used, limit=limit)

    def ended_by(self, spent: Spent, now: float) -> str | None:
        """Return the name of a limit that is reached, or None."""
        if self.until is not None and now >= self.until:
            return "until"
        return next((share.name for share in self.limit_usage(spent) if share.used >= share.limit), None)

    def cost_exponent(self, spent: Spent) -> float:
        """Return how much the seconds of a trial should weigh in, from 0 to 1.

        Nothing while trials are what is counted. With hours or GPU-hours, the share that is left: cheap trials first,
        and towards the end the best ones whatever they cost, as there is nothing left to save for. Lee et al. 2020.
        """
        if self.trials is not None:
            return 0.0
        used = [share.fraction for share in self.limit_usage(spent)]
        return 1.0 - max(used) if used else float(self.until is not None)

    def deadline(self, spent: Spent, now: float) -> Deadline | None:
        """Return the limit of time that is reached first, None when none is set."""
        left = []
        if self.hours is not None:
            left.append(Deadline("hours", max((self.hours - spent.hours) * 3600, 0.0)))
        if self.until is not None:
            left.append(Deadline("until", max(self.until - now, 0.0)))
        return min(left, key=lambda limit: limit.seconds_left, default=None)
