"""Converts study types to rows and back. Knows columns and JSON; runs no query.

JSON has no nan and no infinity, so both are stored as texts there. In a REAL column nan is NULL.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from tunesmith.history.redact import redact
from tunesmith.study.config.record import LlmCall
from tunesmith.study.formatting import json_number_or_text
from tunesmith.study.space.condition import Value
from tunesmith.study.trials.trial import (
    Failure,
    FailureKind,
    Outcome,
    Prediction,
    Proposal,
    Source,
    Trial,
    TrialState,
    Usage,
)
from tunesmith.study.variant import Variant, VariantState

Row = Mapping[str, Any]


def waiting_trial_row(study_id: int, number: int, proposal: Proposal, now: float) -> dict[str, Any]:
    """Return the row of `trials` for a new trial that waits to run."""
    return {
        "study_id": study_id,
        "number": number,
        "state": TrialState.WAITING.value,
        "source": proposal.source.value,
        "variant": proposal.variant,
        "params": json.dumps(dict(proposal.params)),
        "seed": proposal.seed,
        "fidelity": proposal.fidelity,
        "replicate_of": proposal.replicate_of,
        "parent": proposal.parent,
        "instance": proposal.instance,
        "created_at": now,
    }


def proposal_row(trial_id: int, proposal: Proposal) -> dict[str, Any]:
    """Return the row of `proposals`: why the trial was proposed."""
    prediction = proposal.prediction
    return {
        "trial_id": trial_id,
        "rationale": redact(proposal.rationale),
        "predicted_mean": _real(prediction.mean) if prediction else None,
        "predicted_std": _real(prediction.std) if prediction else None,
        "fallback_reason": redact(proposal.fallback_reason),
        "considered": redact(json.dumps(proposal.considered)),
        "rival_mean": _real(proposal.rival.mean) if proposal.rival else None,
        "rival_std": _real(proposal.rival.std) if proposal.rival else None,
        "judged_mean": _real(proposal.judged.mean) if proposal.judged else None,
        "judged_std": _real(proposal.judged.std) if proposal.judged else None,
    }


def llm_call_row(study_id: int, call: LlmCall, trial_id: int | None) -> dict[str, Any]:
    """Return the row of `llm_calls` for a call, without secrets; `trial_id` is the row of its trial."""
    return {
        "study_id": study_id,
        "trial_id": trial_id,
        "purpose": call.purpose,
        "prompt_version": call.prompt_version,
        "model": call.model,
        "messages": redact(json.dumps(call.messages)),
        "answer": redact(call.answer),
        "error": redact(call.error),
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
        "cost_usd": call.cost_usd,
        "started_at": call.started_at,
        "wall_s": call.wall_s,
    }


def llm_call_from_row(row: Row) -> LlmCall:
    """Return the call of a row of `llm_calls`, joined with the number of its trial as `trial`."""
    messages = tuple((str(role), str(text)) for role, text in json.loads(row["messages"]))
    fields = {name: row[name] for name in LlmCall.__slots__ if name != "messages"}
    return LlmCall(messages=messages, **fields)


def variant_row(study_id: int, variant: Variant) -> dict[str, Any]:
    """Return the row of `variants` for a version of the code. Its files are not redacted: they must run again."""
    return {
        "study_id": study_id,
        "id": variant.id,
        "parent": variant.parent,
        "files": json.dumps(dict(variant.files)),
        "diff": variant.diff,
        "author": variant.author,
        "rationale": redact(variant.rationale),
        "direction": variant.direction,
        "declared": json.dumps({name: dict(table) for name, table in variant.declared.items()}),
        "state": variant.state.value,
        "reason": redact(variant.reason),
        "warnings": redact(json.dumps(variant.warnings)),
        "joined": variant.joined,
        "params": json.dumps(dict(variant.params)),
        "predicted": variant.predicted,
        "created_at": variant.created_at,
    }


def variant_from_row(row: Row) -> Variant:
    """Return the version of the code in a row of `variants`."""
    decoded = {name: json.loads(row[name]) for name in ("files", "declared", "params")}
    names = ("id", "parent", "diff", "author", "rationale", "direction", "reason", "joined", "predicted")
    plain = {name: row[name] for name in names}
    state, warnings = VariantState(row["state"]), tuple(json.loads(row["warnings"]))
    return Variant(**decoded, **plain, state=state, warnings=warnings, created_at=row["created_at"])


def outcome_row(outcome: Outcome, first_metric: str, now: float) -> dict[str, Any]:
    """Return the columns of `trials` that change when a trial ends."""
    failure, usage = outcome.failure, outcome.usage
    return {
        "state": outcome.state.value,
        "ended_at": now,
        "value": _real(outcome.values.get(first_metric, math.nan)),
        "metrics": json.dumps({redact(name): json_number_or_text(value) for name, value in outcome.values.items()}),
        "failure_kind": failure.kind.value if failure else None,
        "failure_reason": redact(failure.reason) if failure else None,
        "failure_tail": redact(failure.tail) if failure else None,
        "note": redact(outcome.note),
        "wall_s": usage.wall_s,
        "cpu_s": usage.cpu_s,
        "gpu_s": usage.gpu_s,
        "peak_rss_gib": usage.peak_rss_gib,
        "gpu_mem_gib": usage.gpu_mem_gib,
        "gpu_busy": usage.gpu_busy,
        "energy_j": usage.energy_j,
    }


def trial_from_row(row: Row) -> Trial:
    """Return the trial in a row of `trials` joined with `proposals`."""
    state = TrialState(row["state"])
    return Trial(
        number=row["number"],
        proposal=_proposal_from_row(row),
        state=state,
        attempt=row["attempt"],
        slot=row["slot"],
        outcome=_outcome_from_row(row, state) if state.is_finished else None,
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
    )


def _real(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _proposal_from_row(row: Row) -> Proposal:
    params: dict[str, Value] = json.loads(row["params"])
    return Proposal(
        params=params,
        source=Source(row["source"]),
        seed=row["seed"],
        rationale=row["rationale"],
        fidelity=row["fidelity"],
        variant=row["variant"],
        prediction=_prediction_from(row["predicted_mean"], row["predicted_std"]),
        fallback_reason=row["fallback_reason"],
        replicate_of=row["replicate_of"],
        parent=row["parent"],
        instance=row["instance"],
        considered=() if row["considered"] == "[]" else tuple(json.loads(row["considered"])),
        rival=_prediction_from(row["rival_mean"], row["rival_std"]),
        judged=_prediction_from(row["judged_mean"], row["judged_std"]),
    )


def _prediction_from(mean: float | None, std: float | None) -> Prediction | None:
    return None if mean is None or std is None else Prediction(mean=mean, std=std)


def _outcome_from_row(row: Row, state: TrialState) -> Outcome:
    values = json.loads(row["metrics"] or "{}")
    failure = None
    if row["failure_kind"]:
        kind = FailureKind(row["failure_kind"])
        failure = Failure(kind=kind, reason=row["failure_reason"], tail=row["failure_tail"])
    return Outcome(
        state=state,
        values={name: float(value) for name, value in values.items()},
        failure=failure,
        note=row["note"],
        usage=Usage(**{name: row[name] for name in Usage.__slots__}),
    )
