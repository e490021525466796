"""Ask and tell for Python users: the same sampler and the same history as a study, without a command to run."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.agent.llm.client.types import LanguageModel
from tunesmith.agent.planner.arbiter import Rules
from tunesmith.agent.planner.factory import kept, make_arbiter, open_model
from tunesmith.agent.sampler.base import Sampler
from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.history.write import ObservationBatch, Recorder
from tunesmith.study.config.load import parse_spec, space_document
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import Mistake, SpaceExhausted, SpecError
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import Parameter
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.observation import Observation
from tunesmith.study.trials.results import incumbent
from tunesmith.study.trials.trial import Failure, FailureKind, Outcome, Trial, TrialState, Usage
from tunesmith.study.trials.view import StudyView

TAIL_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Asked:
    """A trial to run: what `Tuner.ask` returns and `tell` takes."""

    number: int
    params: Mapping[str, Value]
    source: str
    rationale: str
    seed: int


@dataclass(frozen=True, slots=True)
class Best:
    """The best trial so far; `value` is its first metric."""

    params: Mapping[str, Value]
    value: float
    number: int


class Tuner:
    """Proposes configurations of a search space and learns from what it is told.

    The first trial is the default configuration when any parameter declares a default.

    Args:
        space: parameters by name, or a SearchSpace.
        metric: the metric to improve, or up to three.
        direction: "minimize" or "maximize", or one for each metric.
        planner: who proposes: bayes, random, optuna-tpe, optuna-gp, or a sampler of your own (see `sources.Sampler`).
            "hybrid" is bayes together with a model, "llm" a model alone, unchecked but for the space and duplicates.
        seed: with the history it determines every proposal, but for what a model says.
        model: an LLM such as "openai:gpt-5-mini" that proposes beside the sampler; None for none.
        base_url: the address of a server that speaks the OpenAI protocol.
        description: what is tuned, in a sentence.
        history: a file to keep the trials in; a tuner on the same file goes on where the last one ended. None: memory.
        name: the study's name in that file.
        learn_from: names of earlier studies in that file that are to be learned from, as far as their ranking agrees.
        rules: how the model's part is decided on; None for what `planner` says.
        permute_feedback: show the model results in the wrong order, to tell whether it reads them at all.

    Raises:
        SpecError: the space, a metric or a name is wrong; the message names the key and the fix.
        HistoryError: the file is held by another process or is no history.
        ProjectError: the planner needs a package that is not installed.
    """

    def __init__(  # noqa: PLR0913  # the public signature, all but one by keyword
        self,
        space: Mapping[str, Parameter] | SearchSpace,
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
        rules: Rules | None = None,
        permute_feedback: bool = False,
    ) -> None:
        planned, sampler = _planned(planner, model)
        full_space = space if isinstance(space, SearchSpace) else SearchSpace(space)
        named: dict[str, Any] = {"sampler": sampler} if isinstance(sampler, str) else {}
        if isinstance(model, str):
            named |= {"model": model, **({"base_url": base_url} if base_url else {})}
        study = {"name": name, "metric": metric, "direction": direction, "seed": seed, "description": description}
        self._spec = _spec(full_space, study, named, learn_from)
        path = Path(history) if history is not None else None
        self._recorder = Recorder(path, self._spec, project="", now=time.time())
        self._arbiter, self._advisor = make_arbiter(
            self._spec,
            make_sampler(sampler) if isinstance(sampler, str) else sampler,
            model=open_model(self._spec.planner) if isinstance(model, str) else model,
            budget=self._spec.budget.starting_at(time.time()),
            spent=self._recorder.record.spent,
            lessons=self._recorder.lessons_known(),
            rules=rules or planned,
            permuted=permute_feedback,
        )
        self._open: dict[int, Trial] = {}
        self._again = [self._requeued(trial) for trial in self._recorder.history.unfinished(self._recorder.study_id)]

    @property
    def trials(self) -> list[Trial]:
        """Every trial so far, by number."""
        return self._recorder.history.trials(self._recorder.study_id)

    @property
    def best(self) -> Best | None:
        """The best complete trial, None while there is none."""
        trial = incumbent(self.trials, self._spec.objectives)
        if trial is None:
            return None
        return Best(trial.params, trial.values[self._spec.objectives[0].metric], trial.number)

    def ask(self) -> Asked:
        """Return the next trial. Several may be open at once: each is told on its own.

        Raises:
            SpaceExhausted: the space is finite and every configuration was tried.
        """
        now = time.time()
        trial = self._again.pop(0) if self._again else self._proposed(now)
        running = self._recorder.record_start(trial, 0, now)
        self._open[trial.number] = running
        proposal = running.proposal
        return Asked(running.number, proposal.params, proposal.source.value, proposal.rationale, proposal.seed)

    def tell(self, trial: Asked, value: float | Mapping[str, float], *, step: float | None = None) -> None:
        """Finish a trial with its value; with `step`, add to its curve instead and leave it open.

        Args:
            trial: what `ask` returned.
            value: the metric's value, or values by metric name; an objective that is nan or infinite fails the trial.
            step: where on the curve the values lie, such as the epoch.

        Raises:
            SpecError: the trial is not open, or an objective is missing.
        """
        running = self._running(trial)
        values = self._named(value)
        if step is not None:
            now = time.time()
            seen = [Observation(metric, float(step), number, now) for metric, number in values.items()]
            self._recorder.record_observations([ObservationBatch(trial=running, observations=seen)])
            return
        missing = [o.metric for o in self._spec.objectives if o.metric not in values]
        if missing:
            known = did_you_mean(next(iter(values), ""), missing)
            raise SpecError(
                [Mistake(missing[0], f"is missing in what trial {trial.number} was told{known}")], where="tell"
            )
        bad = [o.metric for o in self._spec.objectives if not math.isfinite(values[o.metric])]
        if bad:
            failure = Failure(kind=FailureKind.NAN, reason=f"{bad[0]} is {values[bad[0]]}")
            self._finish(running, Outcome(state=TrialState.FAILED, values=values, failure=failure))
        else:
            self._finish(running, Outcome(state=TrialState.COMPLETE, values=values))

    def fail(self, trial: Asked, kind: str = "crash", reason: str = "", *, tail: str = "") -> None:
        """Finish a trial that failed.

        Args:
            trial: what `ask` returned.
            kind: oom, nan, timeout, crash, no_metric, killed, tampered or lost.
            reason: one line for people.
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

    def close(self) -> None:
        """Close the history; trials still open are asked again by the next tuner on the same file."""
        self._recorder.close()

    def __enter__(self) -> Tuner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _proposed(self, now: float) -> Trial:
        trials = self.trials
        view = StudyView(
            space=self._spec.space,
            objectives=self._spec.objectives,
            trials=trials,
            number=len(trials),
            seed=self._spec.study.seed,
            earlier=self._recorder.earlier,
        )
        proposal = self._arbiter.choose(view)
        if self._advisor is not None:
            self._recorder.record_llm_calls([kept(told) for told in self._advisor.calls()])
            lessons = self._advisor.lessons()
            if lessons:
                self._recorder.record_lessons(lessons, now)
        return self._recorder.record_proposal(proposal, now)

    def _requeued(self, trial: Trial) -> Trial:
        if trial.state is TrialState.WAITING:
            return trial
        reason = "it was asked, but never told"
        return self._recorder.record_requeue(trial, time.time(), reason=reason, attempt=trial.attempt + 1)

    def _running(self, trial: Asked) -> Trial:
        if trial.number not in self._open:
            message = "is not open: it was told before, or comes from another tuner; ask for a new one"
            raise SpecError([Mistake(f"trial {trial.number}", message)], where="the call")
        return self._open[trial.number]

    def _named(self, value: float | Mapping[str, float]) -> dict[str, float]:
        if isinstance(value, Mapping):
            return {name: float(number) for name, number in value.items()}
        return {self._spec.objectives[0].metric: float(value)}

    def _finish(self, running: Trial, outcome: Outcome) -> None:
        now = time.time()
        timed = Outcome(
            state=outcome.state,
            values=outcome.values,
            failure=outcome.failure,
            usage=Usage(wall_s=max(now - (running.started_at or now), 0.0)),
        )
        self._recorder.record_outcome(running, timed, now)
        del self._open[running.number]


def _planned(planner: str | Sampler, model: str | LanguageModel | None) -> tuple[Rules | None, str | Sampler]:
    """Return the rules for the LLM's part, and the sampler beside it."""
    if planner not in ("llm", "hybrid"):
        return None, planner
    if model is None:
        raise SpecError(
            [Mistake("model", f'planner {planner!r} needs one, for example "openai:gpt-5-mini"')], where="Tuner"
        )
    return (Rules(share=1.0, judged=False) if planner == "llm" else None), "bayes"


def minimize(
    objective: Callable[[dict[str, Value]], float],
    space: Mapping[str, Parameter] | SearchSpace,
    *,
    trials: int = 50,
    **options: Any,
) -> Best:
    """Minimize a Python function over a space; an exception in it fails that trial, not the search.

    Args:
        objective: takes the parameters that are active, returns the value.
        space: parameters by name, or a SearchSpace.
        trials: how many calls at most; fewer when a finite space is exhausted.
        **options: as for `Tuner`, `planner` and `seed` for example.

    Raises:
        SpecError: an option is wrong, or every single call failed; the message then holds the last reason.
    """
    with Tuner(space, **options) as tuner:
        for _ in range(trials):
            try:
                trial = tuner.ask()
            except SpaceExhausted:
                break
            _evaluate(tuner, trial, objective)
        best = tuner.best
        if best is None:
            failures = [t.failure.reason for t in tuner.trials if t.failure]
            reason = failures[-1] if failures else "no trial ran"
            raise SpecError(
                [Mistake("objective", f"not one trial completed; the last one failed: {reason}")], where="minimize"
            )
        return best


def _evaluate(tuner: Tuner, trial: Asked, objective: Callable[[dict[str, Value]], float]) -> None:
    try:
        value = objective(dict(trial.params))
    except MemoryError as error:
        tuner.fail(trial, "oom", f"MemoryError: {error}", tail=traceback.format_exc())
    except Exception as error:  # noqa: BLE001  # a user's function may raise anything; it fails that trial alone
        tuner.fail(trial, "crash", f"{type(error).__name__}: {error}", tail=traceback.format_exc())
    else:
        tuner.tell(trial, value)


def _spec(
    space: SearchSpace, study: Mapping[str, Any], planner: Mapping[str, Any], learn_from: Sequence[str]
) -> StudySpec:
    listed = {k: [v] if isinstance(v, str) else list(v) for k, v in study.items() if k in ("metric", "direction")}
    document = {
        "study": {**study, **listed},
        "run": {"command": "(a Python function)"},
        "space": space_document(space),
        "planner": dict(planner),
        **({"warm_start": {"from": list(learn_from)}} if learn_from else {}),
    }
    return parse_spec(document, where="this tuner")
