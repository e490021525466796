"""Sums of what a study used: trials, time, energy, and the LLM by purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.history.queries.stored_trials import Query
from tunesmith.study.config.budget import PurposeUsage, Spent
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.replicates.seeds import FIRST_FRESH
from tunesmith.study.units import JOULES_PER_KWH

_LLM_SUMS = """
    count(*) as calls, total(cost_usd) as usd,
    total(coalesce(input_tokens + output_tokens, (length(messages) + length(answer)) / 3)) as tokens
"""
"""Sums over calls to LLMs. If a server reports no tokens, they are estimated as a third of the characters."""


def saved_runs(query: Query, study_id: int, spec: StudySpec) -> float:
    """Return how many full runs a study saved because trials were stopped early or continued others; at least 0.

    A failure counts as a full run, so that a study whose script always fails ends. 0 under other schedules.
    """
    if spec.schedule_kind == "branches":
        return _saved_steps(query, study_id, spec.fidelity.max if spec.fidelity is not None else 1.0)
    return _saved_time(query, study_id) if spec.schedule_kind == "curves" else 0.0


def _saved_steps(query: Query, study_id: int, full: float) -> float:
    """Count a trial that continued another, or ended before a full run, as the part of its steps that it ran."""
    row = next(
        query(
            """
            select total(1.0 - (own.fidelity - coalesce(before.fidelity, 0.0)) / :full) as saved
            from trials as own left join trials as before
                on before.study_id = own.study_id and before.number = own.parent
            where own.study_id = :study and own.replicate_of is null and own.fidelity is not null
                  and own.state in ('complete', 'stopped')
            """,
            {"study": study_id, "full": full},
        )
    )
    return max(float(row["saved"]), 0.0)


def _saved_time(query: Query, study_id: int) -> float:
    """Count a trial that was stopped or continued another as its duration over the mean of uninterrupted trials."""
    row = next(
        query(
            """
            with full as (
                select avg(wall_s) as wall_s from trials
                where study_id = :study and state = 'complete' and replicate_of is null and parent is null
            )
            select total(max(1.0 - trials.wall_s / full.wall_s, 0.0)) as saved from trials, full
            where study_id = :study and replicate_of is null and trials.wall_s > 0.0 and full.wall_s > 0.0
                  and (state = 'stopped' or (state = 'complete' and parent is not null))
            """,
            {"study": study_id},
        )
    )
    return float(row["saved"])


def spent(query: Query, study: Mapping[str, Any], spec: StudySpec, *, set_aside: int) -> Spent:
    """Return what a study used of its budget; `set_aside` trials count nowhere."""
    study_id = study["id"]
    trials, others = _usage_of_trials(query, study_id), _usage_of_other_runs(query, study_id)
    llm = _usage_of_llm(query, study_id)
    return Spent(
        trials=trials["trials"] - set_aside,
        runs=trials["runs"],
        saved=saved_runs(query, study_id, spec),
        hours=study["active_s"] / 3600,
        gpu_hours=(trials["gpu_s"] + others["gpu_s"]) / 3600,
        kwh=(trials["energy_j"] + others["energy_j"]) / JOULES_PER_KWH,
        llm_usd=llm["usd"],
        llm_tokens=int(llm["tokens"]),
        llm_calls=llm["calls"],
        llm_purposes=_usage_by_purpose(query, study_id) if llm["calls"] else (),
    )


def _usage_of_trials(query: Query, study_id: int) -> Mapping[str, Any]:
    sql = f"""
        select coalesce(sum(replicate_of is null), 0) as trials, total(gpu_s) as gpu_s, total(energy_j) as energy_j,
               coalesce(sum(instance != '' and seed < {FIRST_FRESH}), 0) as runs
        from trials where study_id = ? and state in ('complete', 'stopped', 'failed')
        """  # noqa: S608  # a constant
    return next(query(sql, [study_id]))


def _usage_of_other_runs(query: Query, study_id: int) -> Mapping[str, Any]:
    """Sum up what is part of no trial's outcome: first attempts, judges and tests at the end, larger and timed runs."""
    sql = """
        select total(json_extract(detail, '$.gpu_s')) as gpu_s,
               total(json_extract(detail, '$.energy_j')) as energy_j
        from events where study_id = ? and kind in ('requeued', 'test', 'timed', 'scale', 'hidden_choice')
        """
    return next(query(sql, [study_id]))


def _usage_of_llm(query: Query, study_id: int) -> Mapping[str, Any]:
    """Sum up the calls to LLMs."""
    return next(query(f"select {_LLM_SUMS} from llm_calls where study_id = ?", [study_id]))  # noqa: S608


def _usage_by_purpose(query: Query, study_id: int) -> tuple[PurposeUsage, ...]:
    sql = f"""
        select purpose, {_LLM_SUMS} from llm_calls where study_id = ?
        group by purpose order by usd desc, tokens desc
        """  # noqa: S608  # a constant
    return tuple(
        PurposeUsage(purpose=row["purpose"], calls=row["calls"], tokens=int(row["tokens"]), usd=row["usd"])
        for row in query(sql, [study_id])
    )
