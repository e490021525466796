"""Ask and tell in Python, by the sampler and the history of `tunesmith run` but without a command to run."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunesmith.agent.llm.call_log import to_llm_call
from tunesmith.agent.llm.candidate_pool import CandidatePool
from tunesmith.agent.llm.client.types import LanguageModel
from tunesmith.agent.llm.requests import Request
from tunesmith.agent.planner.arbiter import LLMRules
from tunesmith.agent.planner.factory import make_arbiter
from tunesmith.agent.planner.handed_over import ASKS_PERSON, unknown_parameter
from tunesmith.agent.planner.model import open_model
from tunesmith.agent.planner.python_study import python_study, require_same_space, rules_and_sampler, search_space
from tunesmith.agent.sampler.base import Sampler
from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.agent.scheduler.racing import Race
from tunesmith.agent.scheduler.repeats.hidden_leaders import judged_choice
from tunesmith.history.queries.hidden_choice import without_hidden_values
from tunesmith.history.read import History
from tunesmith.history.write import ObservationBatch, Recorder
from tunesmith.study.config.python_instances import instances_table
from tunesmith.study.config.record import StudyRecord
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.run import DEFAULT_JUDGED
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.formatting import count
from tunesmith.study.names import did_you_mean, nearest_name
from tunesmith.study.space.condition import Value
from tunesmith.study.space.mixtures.rows import Declared
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.hidden import HIDDEN_CHOICE
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.observed.resources import SECONDS, resource_values
from tunesmith.study.trials.replicates.unlisted import is_listed, not_listed_text
from tunesmith.study.trials.results import pareto_front, present_trials
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial, TrialState, Usage
from tunesmith.study.trials.winner import leaderboard, winner
from tunesmith.study.units import short_number
from tunesmith.tools.control.study_reader import study_view
from tunesmith.tools.interop.optuna.figures import StudyFigures

TAIL_CHARS = 4000
"""Number of last characters of a failed trial's log that the history keeps."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenTrial:
    """A trial to run: `Tuner.ask` returns it, `Tuner.tell` and `Tuner.fail` take it.

    Attributes:
        instance: what it runs on, of the tuner's `instances`; None for a tuner without them.
    """

    number: int
    params: Mapping[str, Any]
    source: str
    rationale: str
    seed: int
    instance: Value | Mapping[str, Value] = None


@dataclass(frozen=True, slots=True)
class BestTrial:
    """The best trial so far, as `tunesmith status` names it.

    Attributes:
        value: its value of the first metric.
        expected: the expected value over seeds; `value` itself where only one seed is known.
        hidden: its value on the data that `Tuner.choose` judged by; None before that, or once there are more trials.
    """

    params: Mapping[str, Any]
    value: float
    number: int
    expected: float
    hidden: float | None = None


class Tuner(StudyFigures):
    """Proposes configurations of a search space and learns from their results.

    The first trial is the default configuration when any parameter declares a default.

    Args:
        space: parameters by name, or a SearchSpace. A trial has the shares of a mixture as a table:
            `trial.params["mix"]["code"]`.
        metric: the metric to improve, or up to three.
        direction: "minimize" or "maximize", or one for each metric.
        planner: "bayes", "random", "sobol", "grid", "optuna-tpe", "optuna-gp", "nevergrad", "cma-es", "smac",
            "turbo", or an object with the `suggest`
            method of `tunesmith.agent.sampler.base.Sampler`. "hybrid" is bayes together with an LLM. "llm" is an LLM
            without the sampler; its candidates are only checked to be in the space and new.
        seed: with the history it determines every proposal except what an LLM answers.
        model: an LLM such as "openai:gpt-5-mini", which proposes together with the sampler; None for none.
        base_url: the address of a server with the OpenAI protocol.
        description: what is tuned, in a sentence.
        history: a file for the trials; a tuner on the same file resumes the study. None keeps them in memory.
        name: the study's name in that file.
        learn_from: names of earlier studies in that file to learn from, weighted by how well their rankings agree.
        trials: how many trials are planned; the LLM learns how many are left. None for no plan.
        rules: how the LLM takes part; None for what `planner` says.
        derived: formulas of values that follow from the parameters, by name, such as
            {"width": "ceil(depth * aspect / head) * head"}; the sampler's models and conditions use them.
        forbid: formulas that no configuration may fulfil, such as ["heads > width / 16"].
        instances: folds, data sets, workloads, seeds or shapes: values, or tables with the same keys. A trial runs on
            one of them, `ask` returns good configurations again on others, and `best` is the best over all.
        aggregate: what counts of a configuration's values on the instances: "mean", "p95" or "worst".
        permute_feedback: show the LLM the results in a random order, to test whether it uses them.

    Raises:
        SpecError: the space, a metric or a name is not valid; the message names the key and the fix.
        HistoryError: another process is writing to the file, or it is not a history.
        ProjectError: the planner needs a package that is not installed.
    """

    def __init__(  # noqa: PLR0913  # a public signature; all arguments but one are keywords
        self,
        space: Declared | SearchSpace,
        *,
        metric: str | Sequence[str] = "value",
        direction: str | Sequence[str] = "minimize",
        planner: str | Sampler = "bayes",
        seed: int = 0,
        model: str | LanguageModel | None = None,
        base_url: str | None = None,
        description: str = "",
        history: str | Path | None = None,
        name: str = "tuner",
        learn_from: Sequence[str] = (),
        trials: int | None = None,
        rules: LLMRules | None = None,
        derived: Mapping[str, str] | None = None,
        forbid: str | Sequence[str] = (),
        instances: Iterable[Value | Mapping[str, Value]] | None = None,
        aggregate: str = "mean",
        permute_feedback: bool = False,
    ) -> None:
        planned_rules, sampler = rules_and_sampler(planner, model)
        full_space = search_space(space, derived or {}, [forbid] if isinstance(forbid, str) else forbid)
        named: dict[str, Any] = {"sampler": sampler} if isinstance(sampler, str) else {}
        if isinstance(model, str):
            named |= {"model": model, **({"base_url": base_url} if base_url else {})}
        study = {"name": name, "metric": metric, "direction": direction, "seed": seed, "description": description}
        over = instances_table(instances, aggregate)
        self._spec = python_study(full_space, study, named, learn_from, over)
        self._race = Race(self._spec)
        self._planned = trials
        path = Path(history) if history is not None else None
        require_same_space(path, self._spec)
        self._recorder = Recorder(path, self._spec, project="", now=time.time())
        self._arbiter, self._candidate_pool = make_arbiter(
            self._spec,
            make_sampler(sampler) if isinstance(sampler, str) else sampler,
            model=open_model(self._spec.planner) if isinstance(model, str) else model,
            budget=self._spec.budget.starting_at(time.time()),
            spent=self._recorder.record.spent,
            lessons=self._recorder.lessons_known(),
            left=self._left_in_words,
            rules=rules or planned_rules,
            permuted=permute_feedback,
        )
        self._requests: list[Request] = []
        self._open: dict[int, Trial] = {}
        unfinished = self._recorder.history.unfinished(self._recorder.study_id)
        self._requeued = [self._requeue(trial) for trial in unfinished if self._is_of_now(trial)]

    @property
    def trials(self) -> list[Trial]:
        """Every trial so far, ordered by number."""
        return self._recorder.history.trials(self._recorder.study_id)

    @property
    def pareto_front(self) -> list[Trial]:
        """The trials that no other beats in every metric; with one metric only the best."""
        if len(self._spec.objectives) == 1:
            return leaderboard(self.trials, self._spec)[:1]
        trials = present_trials(self.trials, self._spec.space)
        return pareto_front(trials, self._spec.objectives, self._spec.metric_constraints)

    @property
    def best(self) -> BestTrial | None:
        """The best complete trial; None if there is none."""
        found = winner(self.trials, self._spec)
        if found is None:
            return None
        params, hidden = self._spec.space.nested(found.trial.params), found.expected if found.is_hidden else None
        return BestTrial(params, found.value, found.trial.number, found.expected, hidden)

    @property
    def requests(self) -> tuple[Request, ...]:
        """What the LLM asked for about the study, such as a wider range or a new parameter, the oldest first.

        Nothing changes by itself: `request.text` says what to change and `request.why` the reason, and a tuner with
        another space does it. Each request is also a warning of the logger `tunesmith.agent.tuner`.
        """
        return tuple(self._requests)

    def ask(self) -> OpenTrial:
        """Return the next trial. Several may be open at once and finish in any order.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        trial = self._requeued.pop(0) if self._requeued else self._propose()
        # After the proposal: an LLM's answer may take longer than the trial.
        running = self._recorder.record_start(trial, 0, time.time())
        self._open[trial.number] = running
        proposal = running.proposal
        on = self._spec.instances.value_of(proposal.instance) if self._spec.instances is not None else None
        params = self._spec.space.nested(proposal.params)
        return OpenTrial(running.number, params, proposal.source.value, proposal.rationale, proposal.seed, on)

    def tell(self, trial: OpenTrial, value: float | Mapping[str, float], *, step: float | None = None) -> None:
        """Finish a trial with its value; with `step`, add a point to its curve and leave it open.

        The objective `run/seconds` is the time since `ask` unless it is given; give other measured resources yourself.

        Args:
            trial: what `ask` returned.
            value: the metric's value, or values by metric name; the trial fails if an objective is not finite.
            step: the position on the curve, such as the epoch.

        Raises:
            SpecError: the trial is not open, or an objective is missing.
        """
        running = self._running(trial)
        values = self._by_name(value)
        if step is not None:
            now = time.time()
            seen = [Observation(metric, float(step), number, now) for metric, number in values.items()]
            self._recorder.record_observations([ObservationBatch(trial=running, observations=seen)])
            return
        usage = _usage(running, values)
        values = {**resource_values(self._spec.resources, usage, None), **values}
        missing = [o.metric for o in self._spec.objectives if o.metric not in values]
        if missing:
            given = next((name for name in values if nearest_name(name, missing)), "")
            known = f"; {given} is given instead" if given else ""
            known = "; the tuner measures run/seconds only" if missing[0] in self._spec.resources else known
            raise SpecError(
                [Mistake(missing[0], f"is missing in the values of trial {trial.number}{known}")], where="tell"
            )
        bad = [o.metric for o in self._spec.objectives if not math.isfinite(values[o.metric])]
        if bad:
            failure = Failure(kind=FailureKind.NAN, reason=f"{bad[0]} is {values[bad[0]]}")
            self._finish(running, Outcome(state=TrialState.FAILED, values=values, failure=failure))
        else:
            self._finish(running, Outcome(state=TrialState.COMPLETE, values=values))

    def fail(self, trial: OpenTrial, kind: str = "crash", reason: str = "", *, tail: str = "") -> None:
        """Finish a trial as failed.

        Args:
            trial: what `ask` returned.
            kind: oom, nan, timeout, crash, no_metric, killed, tampered or lost.
            reason: why it failed, in one line.
            tail: the end of its log.

        Raises:
            SpecError: the trial is not open, or the kind is unknown.
        """
        running = self._running(trial)
        kinds = [k.value for k in FailureKind]
        if kind not in kinds:
            raise SpecError([Mistake("kind", f"{kind!r} is unknown{did_you_mean(kind, kinds)}")], where="fail")
        failure = Failure(kind=FailureKind(kind), reason=reason or kind, tail=tail[-TAIL_CHARS:])
        self._finish(running, Outcome(state=TrialState.FAILED, failure=failure))

    def choose(self, judge: Callable[[BestTrial], float], *, top: int = DEFAULT_JUDGED) -> BestTrial | None:
        """Choose among the leading trials by data that the search never saw, once, at the end; return what is chosen.

        Until the next trial, `best` is that one. A second call judges only leaders that no earlier one judged, and its
        value is optimistic: the data were looked at before.

        Args:
            judge: returns the first metric's value of a trial on the hidden data; a leader whose value is not finite
                cannot be chosen. What it raises is passed on, and nothing is recorded then.
            top: number of leading trials that are judged, besides the default.

        Raises:
            SpecError: a trial is open, or `top` is below 1.
        """
        if self._open or top < 1:
            message = f"is {top}; give at least 1" if top < 1 else "are open; tell or fail them first"
            raise SpecError([Mistake("top" if top < 1 else "trials", message)], where="choose")
        events = self._recorder.history.events(self._recorder.study_id, HIDDEN_CHOICE)
        found = judged_choice(
            self._spec, self.trials, events, judge=lambda trial: judge(_candidate(trial, self._spec)), top=top
        )
        if found is not None:
            trial, detail = found
            self._recorder.record_event(HIDDEN_CHOICE, time.time(), trial=trial, detail=detail)
        return self.best

    def __repr__(self) -> str:
        spec, best = self._spec, self.best
        aims = ", ".join(f"{o.direction.value} {o.metric}" for o in spec.objectives)
        found = f", best {short_number(best.value)} in trial {best.number}" if best is not None else ""
        return f"<Tuner {spec.study.name}: {aims}, {count(len(self.trials), 'trial')}{found}>"

    def close(self) -> None:
        """Close the history; the next tuner on the same file returns the open trials again."""
        self._recorder.close()

    def __enter__(self) -> Tuner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _shown(self) -> tuple[History, StudyRecord]:
        return self._recorder.history, self._recorder.record

    def _propose(self) -> Trial:
        trials = self.trials
        again = self._race.next_run(trials)
        if again is not None:
            return self._recorder.record_proposal(again, time.time())
        view = study_view(self._spec, without_hidden_values(trials), earlier=self._recorder.earlier)
        proposal = self._arbiter.choose(replace(view, runs_left=self._runs_left(trials)))
        now = time.time()
        if self._candidate_pool is not None:
            self._take_up(self._candidate_pool, now)
        return self._recorder.record_proposal(self._race.placed(proposal, trials), now)

    def _take_up(self, pool: CandidatePool, now: float) -> None:
        """Record the LLM's calls and lessons; pass its requests and failures on to the caller."""
        self._recorder.record_llm_calls([to_llm_call(call) for call in pool.drain_calls()])
        lessons = pool.drain_lessons()
        if lessons:
            self._recorder.record_lessons(lessons, now)
        notes = pool.drain_notes()
        for request in pool.drain_requests():
            objection = unknown_parameter(request, self._spec.space)
            pool.answer_request(request, objection or ASKS_PERSON)
            if not objection:
                self._requests.append(request)
                notes.append(f"the LLM asks: {request.sentence}; nothing changes until you do it")
        for note in notes:
            self._recorder.record_event("llm", now, detail={"note": note})
            _LOG.warning("%s", note)

    def _runs_left(self, trials: Sequence[Trial]) -> float:
        """Return how many of the planned trials are left; inf where none are planned."""
        if self._planned is None:
            return math.inf
        return max(self._planned - sum(not t.is_replicate for t in trials), 0)

    def _left_in_words(self) -> str:
        if self._planned is None:
            return ""
        return f"trials {self._runs_left(self.trials):.0f} of {self._planned}"

    def _is_of_now(self, trial: Trial) -> bool:
        """Return whether an open trial can still run; one whose instance is not listed any more is closed."""
        instances = self._spec.instance_set
        if is_listed(trial, instances):
            return True
        outcome = Outcome(state=TrialState.STOPPED, note=f"not run: {not_listed_text(trial, instances)}")
        self._recorder.record_outcome(trial, outcome, time.time())
        return False

    def _requeue(self, trial: Trial) -> Trial:
        if trial.state is TrialState.WAITING:
            return trial
        reason = "it was asked for, but it has no result"
        return self._recorder.record_requeue(trial, time.time(), reason=reason, attempt=trial.attempt + 1)

    def _running(self, trial: OpenTrial) -> Trial:
        if trial.number not in self._open:
            message = "is not open: it is finished already, or comes from another tuner; call ask() for a new one"
            raise SpecError([Mistake(f"trial {trial.number}", message)], where="the call")
        return self._open[trial.number]

    def _by_name(self, value: float | Mapping[str, float]) -> dict[str, float]:
        if value is None or (isinstance(value, Mapping) and None in value.values()):
            raise SpecError([Mistake("value", "is None; give a number, or call fail(trial)")], where="tell")
        if isinstance(value, Mapping):
            return {name: float(number) for name, number in value.items()}
        reported = [o.metric for o in self._spec.objectives if o.metric not in self._spec.resources]
        return {(reported or self._spec.study.metric)[0]: float(value)}

    def _finish(self, running: Trial, outcome: Outcome) -> None:
        timed = replace(outcome, usage=_usage(running, outcome.values))
        self._recorder.record_outcome(running, timed, time.time())
        del self._open[running.number]


def _candidate(trial: Trial, spec: StudySpec) -> BestTrial:
    value = trial.values[spec.objectives[0].metric]
    return BestTrial(spec.space.nested(trial.params), value, trial.number, value)


def _usage(running: Trial, values: Mapping[str, float]) -> Usage:
    """Return what an open trial used until now: the seconds that the caller gives, else those since `ask`."""
    now, given_s = time.time(), values.get(SECONDS, math.nan)
    return Usage(wall_s=given_s if math.isfinite(given_s) else max(now - (running.started_at or now), 0.0))
