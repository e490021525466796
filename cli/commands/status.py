"""`tunesmith status`: the state of a study, and with --why N the story of one trial. It only reads."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunesmith.cli.display.format import show
from tunesmith.cli.display.status_text import LATEST, status_text
from tunesmith.cli.display.trial_json import trial_json, winner_json
from tunesmith.cli.display.trial_story import trial_story
from tunesmith.cli.session.limits import current_limits
from tunesmith.cli.session.locate import OpenStudy, find_trial, open_study
from tunesmith.study.config.budget import ENDING_LIMITS, Budget
from tunesmith.study.formatting import json_number
from tunesmith.study.trials.trial import Trial
from tunesmith.tools.analysis.failing_instances import failing_instances
from tunesmith.tools.analysis.findings.judge_line import OUTAGE_EVENT, judge_outage
from tunesmith.tools.control.inbox import Inbox


def show_status(study: Path, *, history: Path | None, why: int | None, as_json: bool) -> None:
    """Print the state of a study, or the story of trial `why`.

    Raises:
        HistoryError: the history, the study or the trial does not exist.
    """
    opened = open_study(study, history)
    with opened.history:
        if why is None:
            text = json.dumps(_status_json(opened), indent=2) if as_json else status_text(opened)
        else:
            trial = find_trial(opened, why)
            text = json.dumps(_story_json(opened, trial), indent=2) if as_json else trial_story(opened, trial)
    show(text)


def _status_json(opened: OpenStudy) -> dict[str, Any]:
    record, history = opened.record, opened.history
    trial_counts, best = history.trial_counts(record.id), history.winner(record)
    default = history.default(record)
    return {
        "study": record.name,
        "ended_by": record.ended_by,
        "running": Inbox(opened.folder).has_running_loop(),
        "judge_outage": judge_outage(history.events(record.id, OUTAGE_EVENT)),
        "trials": {state.value: count for state, count in trial_counts.states.items()},
        "failures": dict(trial_counts.failures),
        "sources": dict(trial_counts.sources),
        "replicates": trial_counts.replicates,
        "set_aside": trial_counts.set_aside,
        "best": trial_json(best.trial) if best else None,
        **winner_json(best),
        "failing_instances": [asdict(one) for one in failing_instances(history.trials(record.id))],
        "outside_present_space": history.left_out(record),
        "default": trial_json(default) if default else None,
        "spent": {
            "trials": record.spent.trials,
            "hours": record.spent.hours,
            "runs": record.spent.runs,
            "gpu_hours": record.spent.gpu_hours,
            "kwh": record.spent.kwh,
            "llm_calls": record.spent.llm_calls,
            "llm_tokens": record.spent.llm_tokens,
            "llm_usd": record.spent.llm_usd,
            "llm_by_purpose": {
                u.purpose: {"calls": u.calls, "tokens": u.tokens, "usd": u.usd} for u in record.spent.llm_purposes
            },
        },
        "budget": _limits(current_limits(history, record, time.time())),
        "latest": [trial_json(trial) for trial in history.latest(record.id, LATEST)],
    }


def _limits(budget: Budget) -> dict[str, float | None]:
    return {name: getattr(budget, name) for name in ENDING_LIMITS}


def _story_json(opened: OpenStudy, trial: Trial) -> dict[str, Any]:
    curve = opened.history.curve(opened.record.id, trial.number)
    prediction = trial.proposal.prediction
    return {
        **trial_json(trial),
        "considered": list(trial.proposal.considered),
        "prediction": {"mean": prediction.mean, "std": prediction.std} if prediction else None,
        "log_tail": trial.failure.tail if trial.failure else "",
        "curve": [{"metric": o.metric, "step": o.step, "value": json_number(o.value), "at": o.at} for o in curve],
    }
