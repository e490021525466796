"""`tunesmith run --json`: one JSON object per event, a line each, for other programs."""

from __future__ import annotations

import json
import math
from typing import IO, Any

from tunesmith.agent.loop.events import Ended, Finished, News, Note, Observed, Opened, Started
from tunesmith.study.trials.trial import Trial


class JsonLines:
    """Writes news to a stream as it comes; nan and infinity become null."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def tell(self, news: News) -> None:
        """Write one line."""
        self._stream.write(json.dumps(event(news)) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing to put back."""


def event(news: News) -> dict[str, Any]:
    """Return a piece of news as JSON values."""
    match news:
        case Opened(record=record):
            return {
                "event": "opened",
                "study": record.name,
                "slots": news.slots,
                "gpus": list(news.gpus),
                "finished": news.finished,
                "requeued": news.requeued,
                "llm_estimate": news.estimate,
            }
        case Started(trial=trial):
            return {"event": "started", **trial_json(trial)}
        case Observed(trial=trial, latest=latest, step=step):
            values = {name: number(value) for name, value in latest.items()}
            return {"event": "observed", "trial": trial.number, "step": step, "values": values}
        case Finished(trial=trial, best=best, improved=improved):
            return {
                "event": "finished",
                **trial_json(trial),
                "improved": improved,
                "best": best.number if best else None,
            }
        case Note(text=text):
            return {"event": "note", "text": text}
        case Ended(by=by, best=best):
            return {"event": "ended", "by": by, "best": trial_json(best) if best else None}


def trial_json(trial: Trial) -> dict[str, Any]:
    """Return what is known of a trial as JSON values; times are seconds since the epoch."""
    outcome, failure = trial.outcome, trial.failure
    usage = outcome.usage if outcome else None
    return {
        "trial": trial.number,
        "state": trial.state.value,
        "source": trial.proposal.source.value,
        "rationale": trial.proposal.rationale,
        "fallback_reason": trial.proposal.fallback_reason,
        "replicate_of": trial.proposal.replicate_of,
        "params": dict(trial.params),
        "fidelity": trial.proposal.fidelity,
        "seed": trial.proposal.seed,
        "attempt": trial.attempt,
        "values": {name: number(value) for name, value in trial.values.items()},
        "failure": {"kind": failure.kind.value, "reason": failure.reason} if failure else None,
        "note": outcome.note if outcome else "",
        "wall_s": usage.wall_s if usage else None,
        "cpu_s": usage.cpu_s if usage else None,
        "gpu_s": usage.gpu_s if usage else None,
        "peak_rss_gib": usage.peak_rss_gib if usage else None,
        "gpu_mem_gib": usage.gpu_mem_gib if usage else None,
        "gpu_busy": usage.gpu_busy if usage else None,
        "energy_j": usage.energy_j if usage else None,
        "started_at": trial.started_at,
        "ended_at": trial.ended_at,
    }


def number(value: float) -> float | None:
    """Return a number that JSON can hold."""
    return value if math.isfinite(value) else None
