"""The figures of a report beyond its summary: sources, failures, spending, and one row per trial. Pure."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.study.config.tables.run import EvaluateTable
from tunesmith.study.config.tables.timing import timed_text
from tunesmith.study.energy import energy_line
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.results import is_feasible, present_improvements
from tunesmith.study.trials.trial import Failure, Source, Trial, TrialState
from tunesmith.study.units import short_number, short_seconds
from tunesmith.study.variant import short_id
from tunesmith.tools.analysis.findings.judge_line import judge_line
from tunesmith.tools.analysis.source_credit import credit_lines, credit_report
from tunesmith.tools.report.inputs import ReportInput

_EXAMPLES_PER_KIND = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceShare:
    """The contribution of one source; `improved` are its trials that became the incumbent."""

    source: str
    trials: int
    complete: int
    stopped: int
    failed: int
    improved: tuple[int, ...]
    best: float | None
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureExample:
    """A reason of failure, the trials with the same reason up to the numbers in it, and the end of a log."""

    reason: str
    trials: tuple[int, ...]
    tail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """The failures of one kind: `examples` has the most frequent reasons, `others` counts the remaining trials."""

    kind: str
    trials: tuple[int, ...]
    examples: tuple[FailureExample, ...]
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """One resource, as text: how much was used, and the study's limit, None without one."""

    name: str
    used: str
    limit: str | None
    fraction: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One trial or replicate.

    Attributes:
        note: the reason of its failure, why it was stopped, or its rationale.
        code: the edited version of the code that it ran, shortened; "" for the user's own.
    """

    number: int
    source: str
    state: str
    values: Mapping[str, float]
    params: Mapping[str, Value]
    fidelity: float | None
    wall_s: float | None
    note: str
    replicate_of: int | None
    code: str


def sources(report: ReportInput) -> list[SourceShare]:
    """Return the contribution of each source, in the order of Source; the fallback is separate from the sampler."""
    spec = report.record.spec
    first = spec.objectives[0]
    tuned = [t for t in report.trials if t.counts and not t.is_replicate]
    improved = {i.number for i in present_improvements(tuned, spec)}
    found = []
    for source in Source:
        of_source = [t for t in tuned if t.proposal.source is source]
        usable = [t for t in of_source if is_feasible(t, spec.metric_constraints)]
        values = [t.values[first.metric] for t in usable if is_valued(t, first.metric)]
        if of_source:
            found.append(
                SourceShare(
                    source=source.value,
                    trials=len(of_source),
                    complete=_count(of_source, TrialState.COMPLETE),
                    stopped=_count(of_source, TrialState.STOPPED),
                    failed=_count(of_source, TrialState.FAILED),
                    improved=tuple(t.number for t in of_source if t.number in improved),
                    best=min(values, key=lambda value: first.sign * value) if values else None,
                    wall_s=sum(wall_s(t) or 0.0 for t in of_source),
                )
            )
    return found


def llm_worth(report: ReportInput) -> list[str]:
    """Return the credit of the sources as lines, the LLM's first; none if no LLM took part."""
    meter = credit_report(report.trials, report.record.spec, report.record.spent)
    return [line.strip() for line in credit_lines(meter)]


def failures(trials: Sequence[Trial]) -> list[FailureGroup]:
    """Return the failures by kind, the most frequent first; those that count nowhere are groups of their own kind."""
    by_kind: dict[str, list[tuple[Trial, Failure]]] = {}
    for trial in trials:
        if trial.failure:
            by_kind.setdefault(_kind(trial, trial.failure), []).append((trial, trial.failure))
    groups = [_failure_group(kind, pairs) for kind, pairs in by_kind.items()]
    return sorted(groups, key=lambda group: (-len(group.trials), group.kind))


def _kind(trial: Trial, failure: Failure) -> str:
    """Return a failure's kind, and why it counts nowhere if it does not."""
    if trial.forgotten:
        return f"{failure.kind.value}, forgotten"
    if trial.is_unlisted:
        return f"{failure.kind.value}, on earlier instances"
    return failure.kind.value if trial.counts else f"{failure.kind.value}, for all parameters"


def spending(report: ReportInput) -> list[Spending]:
    """Return the resources used, with the study's limits."""
    spent, limits = report.record.spent, report.record.spec.budget
    co2 = report.record.spec.run.co2_g_per_kwh
    replicates = sum(t.is_replicate for t in report.trials)
    busy = sum(wall_s(t) or 0.0 for t in report.trials)
    lines = [
        _spending("trials", spent.trials, limits.trials, str),
        _spending("running time", spent.hours, limits.hours, _hours),
        _spending("GPU time", spent.gpu_hours, limits.gpu_hours, _hours),
        _spending("GPU energy", spent.kwh, limits.kwh, lambda kwh: energy_line(kwh, co2)),
        _spending("LLM cost", spent.llm_usd, limits.llm_usd, lambda usd: f"${usd:.2f}"),
        _spending("LLM tokens", spent.llm_tokens, limits.llm_tokens, lambda count: f"{count:,.0f}"),
        _spending("LLM calls", spent.llm_calls, limits.llm_calls, str),
    ]
    extra = [
        Spending(name="confirmation runs", used=str(replicates), limit=None, fraction=None) if replicates else None,
        Spending(name="sum of trial times", used=short_seconds(busy), limit=None, fraction=None) if busy else None,
    ]
    return [line for line in [*lines, *extra] if line is not None]


def rows(report: ReportInput) -> Iterator[Row]:
    """Yield every trial, in order of number."""
    for trial in sorted(report.trials, key=lambda t: t.number):
        yield Row(
            number=trial.number,
            source=trial.proposal.source.value,
            state=trial.state.value,
            values=trial.values,
            params={**trial.params, **report.record.spec.space.derived_values(trial.params)},
            fidelity=trial.proposal.fidelity,
            wall_s=wall_s(trial),
            note=_note(trial),
            replicate_of=trial.proposal.replicate_of,
            code=short_id(trial.proposal.code) if trial.proposal.code else "",
        )


def origin(report: ReportInput) -> dict[str, str]:
    """Return the facts needed to reproduce the study."""
    spec = report.record.spec
    best = {t.proposal.variant for t in report.trials} - {"base"}
    found = {
        "Tunesmith": _version(),
        "study": report.record.name,
        "folder": report.record.project,
        "seed": str(spec.study.seed),
        "command": spec.run.command,
        "judge": _judge(spec.evaluate, spec.run.command) if spec.evaluate else judge_line(report.events),
        "code variants": ", ".join(sorted(best)),
        "ended by": report.record.ended_by,
    }
    return {name: text for name, text in found.items() if text}


def document(report: ReportInput) -> dict[str, object]:
    """Return study.toml as plain values, without the values of environment variables, which may be secret."""
    plain = dict(report.record.spec.document)
    run = plain.get("run")
    if isinstance(run, Mapping) and isinstance(run.get("env"), Mapping):
        plain["run"] = {**run, "env": dict.fromkeys(run["env"], "(not shown)")}
    return plain


def _judge(table: EvaluateTable, command: str) -> str:
    return timed_text(table, command) if table.is_time else table.command


def _version() -> str:
    try:
        return importlib.metadata.version("tunesmith")
    except importlib.metadata.PackageNotFoundError:
        return ""  # a checkout that is not installed


def wall_s(trial: Trial) -> float | None:
    """Return how long the trial ran, in seconds; None while it has not ended."""
    if trial.outcome and trial.outcome.usage.wall_s:
        return trial.outcome.usage.wall_s
    if trial.started_at is not None and trial.ended_at is not None:
        return trial.ended_at - trial.started_at
    return None


def is_valued(trial: Trial, metric: str) -> bool:
    """Return whether the trial completed with a finite value of the metric."""
    value = trial.values.get(metric, float("nan"))
    return trial.state is TrialState.COMPLETE and abs(value) < float("inf")


def _count(trials: Sequence[Trial], state: TrialState) -> int:
    return sum(t.state is state for t in trials)


def _failure_group(kind: str, pairs: Sequence[tuple[Trial, Failure]]) -> FailureGroup:
    by_reason: dict[str, list[tuple[Trial, Failure]]] = {}
    for trial, failure in pairs:
        # "nan at step 12" and "nan at step 40" have one cause.
        by_reason.setdefault(re.sub(r"\d+(\.\d+)?", "#", failure.reason), []).append((trial, failure))
    ranked = sorted(by_reason.values(), key=lambda same: -len(same))
    examples = tuple(
        FailureExample(
            reason=same[0][1].reason,
            trials=tuple(trial.number for trial, _ in same),
            tail=next((failure.tail for _, failure in same if failure.tail), ""),
        )
        for same in ranked[:_EXAMPLES_PER_KIND]
    )
    return FailureGroup(
        kind=kind,
        trials=tuple(trial.number for trial, _ in pairs),
        examples=examples,
        others=sum(len(same) for same in ranked[_EXAMPLES_PER_KIND:]),
    )


def _note(trial: Trial) -> str:
    if trial.failure:
        return f"{trial.failure.kind.value}: {trial.failure.reason}"
    if trial.outcome and trial.outcome.note:
        return trial.outcome.note
    return trial.proposal.fallback_reason or trial.proposal.rationale


def _spending(name: str, used: float, limit: float | None, shown: object) -> Spending | None:
    if not callable(shown) or (not used and limit is None):
        return None
    fraction = min(used / limit, 1.0) if limit else None
    return Spending(name=name, used=shown(used), limit=None if limit is None else shown(limit), fraction=fraction)


def _hours(hours: float) -> str:
    return short_seconds(hours * 3600)


def number_text(value: float | None) -> str:
    """Return a number for a table; – for None."""
    return "–" if value is None else short_number(value)
