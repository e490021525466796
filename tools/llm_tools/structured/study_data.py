"""The state of a study as data."""

from __future__ import annotations

import time

from tunesmith.history.read import History
from tunesmith.study.config.space_tables import space_document
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import json_number, json_values, one_line
from tunesmith.study.trials.results import default_trial
from tunesmith.study.trials.trial import TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.trials.winner import incumbent, winner
from tunesmith.tools.control.earlier_commands import read_earlier_commands
from tunesmith.tools.control.inbox import Inbox
from tunesmith.tools.llm_tools.context import StudyReader, ToolContext
from tunesmith.tools.llm_tools.results.study import is_paused
from tunesmith.tools.llm_tools.structured.models import (
    BestData,
    BoundData,
    BudgetData,
    ObjectiveData,
    StudiesData,
    StudyData,
    StudyEntry,
)
from tunesmith.tools.llm_tools.structured.trial_data import MAX_TEXT, trial_data
from tunesmith.tools.llm_tools.studies.finding import study_files
from tunesmith.tools.llm_tools.studies.listing import MAX_LISTED
from tunesmith.tools.variants.run_command import run_line


def study_data(context: ToolContext) -> StudyData:
    """Return the state of the study that a context is about.

    Raises:
        ToolRefused: there is no study.
    """
    facts = context.study
    spec, view, record = facts.spec, facts.view(), facts.record()
    steering = read_earlier_commands(spec, facts.commands()).steering
    own = [t for t in view.trials if not t.is_replicate]
    default = default_trial(view.trials, view.space)
    budget = spec.budget.starting_at(time.time())
    shares = [*budget.limit_usage(record.spent), *budget.llm_limit_usage(record.spent)] if record is not None else []
    return StudyData(
        name=spec.study.name,
        description=one_line(spec.study.description, MAX_TEXT),
        command=spec.run.command,
        state=_state(context, has_run=record is not None),
        ended_by=(record.ended_by or None) if record is not None else None,
        objectives=[ObjectiveData(metric=o.metric, direction=o.direction.value) for o in spec.objectives],
        bounds=[BoundData(metric=c.metric, min=c.min, max=c.max) for c in spec.constraints],
        space=json_values(space_document(spec.space)),
        forbid=list(spec.space.forbid),
        pins=json_values(dict(steering.pins)),
        vetoes=list(steering.vetoes),
        trials={state.value: sum(t.state is state for t in own) for state in TrialState},
        replicates=len(view.trials) - len(own),
        budget=[BudgetData(name=s.name, used=s.used, limit=s.limit) for s in shares],
        best=_best(facts, view, spec),
        default=trial_data(default) if default is not None else None,
    )


def studies_data(context: ToolContext) -> StudiesData:
    """Return the studies of the folder: those with a study file, and those that only the history has."""
    files = {name: path.name for name, path in study_files(context.project).items()} if context.project else {}
    found: dict[str, StudyEntry] = {
        name: StudyEntry(name=name, file=file, is_running=False, trials=0) for name, file in files.items()
    }
    if context.history is None or not context.history.is_file():
        return StudiesData(studies=list(found.values()))
    with History.open(context.history) as history:
        for name in history.listed_names()[:MAX_LISTED]:
            record = history.study(name)
            trials = history.trials(record.id)
            best = incumbent(trials, record.spec)
            found[name] = StudyEntry(
                name=name,
                file=files.get(name),
                is_running=Inbox(context.history.parent / name).has_running_loop(),
                trials=len(trials),
                best=json_number(best.values[record.spec.objectives[0].metric]) if best is not None else None,
            )
    return StudiesData(studies=list(found.values()))


def _state(context: ToolContext, *, has_run: bool) -> str:
    if context.control is not None and context.control.is_running():
        return "paused" if is_paused(context) else "running"
    return "ended" if has_run else "not_run"


def _best(facts: StudyReader, view: StudyView, spec: StudySpec) -> BestData | None:
    best = winner(view.trials, view)
    if best is None:
        return None
    trial = best.trial
    return BestData(
        trial=trial_data(trial),
        value=json_number(best.value),
        expected=json_number(best.expected),
        seeds=best.seeds,
        is_confirmed=best.is_confirmed or best.is_hidden,
        noise=best.noise,
        command=run_line(spec, trial.params, trial.proposal.code, facts.variants(), seed=trial.proposal.seed),
    )
