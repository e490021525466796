"""The code side of one study: which version a trial runs, when another edit is asked for, and what came of each.

Versions stand in the history; what is under way is asked again after a restart. Decides and asks; records nothing:
the loop takes what is new from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from statistics import stdev
from typing import Protocol

from tunesmith.agent.code_search.bandit import (
    TUNING_TRIALS_PER_PARAMETER,
    Arm,
    active_arms,
    build_arms,
    choose_parent,
    overused_direction,
    pairs_to_combine,
    should_edit,
)
from tunesmith.agent.code_search.editor import EditQuestion, EditResult
from tunesmith.agent.code_search.task_model import pool_trials, variant_shifts
from tunesmith.agent.llm.call_log import LoggedCall
from tunesmith.agent.llm.candidate_pool import ANSWER_WAIT_S, BackgroundRunner
from tunesmith.agent.planner.arbiter import Arbiter
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.surrogate_model import SamplerSettings
from tunesmith.prompts.edit_prompts import CodeFacts, FailedEdit
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.formatting import one_line, render_params
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import resting
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.results import default_trial
from tunesmith.study.trials.seeds import tuning_seed
from tunesmith.study.trials.trial import FailureKind, Prediction, Proposal, Source, Trial, TrialState
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number
from tunesmith.study.variant import COMBINE, PERSON, Variant, VariantState, short_id
from tunesmith.tools.variants.build import cross_variants
from tunesmith.tools.variants.rules import GateRules
from tunesmith.tools.variants.run_command import variant_command, variant_space
from tunesmith.tools.variants.user_edit import EditContext

MAX_PAUSE_TRIALS = 8
"""After an answer without an edit that can run, so many trials pass at most before the next question."""


class EditSource(Protocol):
    """Whoever makes edits; `Editor` is one."""

    def edit(self, question: EditQuestion) -> EditResult:
        """Return what the question brought."""


@dataclass(frozen=True, slots=True)
class VariantOutcome:
    """What became of a version."""

    variant: Variant
    state: VariantState
    reason: str


class CodeSearch:
    """The versions of one study's code.

    Args:
        spec: the study.
        root: the user's project as it stands.
        known: every version that the history holds, in the order of making.
        rules: what the gate knows.
        editor: asks for edits; None without a model.
        runs: runs questions beside the training; None to wait for each.
        may_ask: why the model is not to be asked now, "" when it may be.
        curve: the metric of a trial while it trained, as a few numbers in words.
    """

    def __init__(  # noqa: PLR0913  # each is another part of a study
        self,
        spec: StudySpec,
        root: Variant,
        known: Sequence[Variant],
        *,
        rules: GateRules,
        editor: EditSource | None = None,
        runs: BackgroundRunner | None = None,
        may_ask: Callable[[], str] = str,
        curve: Callable[[int], str] = lambda number: "",  # noqa: ARG005
    ) -> None:
        self._spec = spec
        self._root = root
        self._variants = {variant.id: variant for variant in [*known, root]}
        self._rules = rules
        self._editor = editor
        self._runs = runs
        self._may_ask = may_ask
        self._curve = curve
        self._asking: Future[EditResult] | None = None
        self._with: dict[str, EditResult] = {}
        self._made: list[Variant] = []
        self._told: list[LoggedCall] = []
        self._notes: list[str] = []
        self._to_repair: list[Trial] = []
        self._strikes, self._rest_until = 0, 0
        self._off = ""

    # -- what the loop asks -------------------------------------------------------------------------------------

    def own_view(self, view: StudyView) -> StudyView:
        """Return the view with the trials of the user's own code alone."""
        return replace(view, trials=[t for t in view.trials if not t.proposal.code])

    def next(self, view: StudyView) -> Proposal | None:
        """Return the next trial of an edited version; None when the user's own code is to be tuned."""
        self.prepare(view)
        objective = view.objectives[0]
        arms = build_arms(view.trials, objective, view.constraints)
        waiting = self._waiting(view.trials)
        due = should_edit(
            view.trials,
            objective,
            view.constraints,
            tuned_first=self._tuned_first(),
            seed=view.seed,
            number=view.number,
        )
        if waiting and (due or waiting[0].author == PERSON) and any(arm.best for arm in arms):
            return self._first_trial(waiting[0], arms, view)
        rising = active_arms([arm for arm in arms if self._runs_on(arm)], self._left(view))
        if not rising or not rising[0].code:
            return None
        return self._tuned(self._variants[rising[0].code], view)

    def prepare(self, view: StudyView) -> None:
        """Take in an answer, and ask for another edit when none waits. Returns at once in the background."""
        self._collect(view)
        if self._asking is not None or self._waiting(view.trials) or self._left(view) < 2:  # noqa: PLR2004
            return
        found = build_arms(view.trials, view.objectives[0], view.constraints)
        arms = [arm for arm in found if arm.best is not None and self._runs_on(arm)]
        if not arms or self._crossed(arms):
            return
        rests = view.number < self._rest_until and not self._to_repair
        if self._editor is None or self._off or rests or self._may_ask():
            return
        question = self._question(arms, view)
        if self._runs is None:
            self._take(self._editor.edit(question), view)
        else:
            self._asking = self._runs.submit(self._editor.edit, question)

    def finish(self, view: StudyView) -> None:
        """Wait a moment for an answer under way, so that what it cost is on record."""
        if self._asking is not None:
            wait_for([self._asking], timeout=ANSWER_WAIT_S)
            self._collect(view)

    def take_over(self, spec: StudySpec, rules: GateRules) -> None:
        """Go on with a study that was changed."""
        self._spec, self._rules = spec, rules

    def edit_context(self) -> EditContext:
        """Return what a person's edit is made with."""
        return EditContext(self._root, dict(self._variants), self._rules)

    def known(self) -> dict[str, Variant]:
        """Return every version, by id."""
        return dict(self._variants)

    def add(self, variant: Variant, params: dict[str, Value] | None = None) -> None:
        """Take in a version that a person asked for; it is recorded with the others."""
        self._variants[variant.id] = variant
        self._with[variant.id] = EditResult(params=params or {})
        self._made.append(variant)

    def made(self) -> list[Variant]:
        """Return the versions that were made since this was last asked, for the record."""
        made, self._made = self._made, []
        return made

    def calls(self) -> list[LoggedCall]:
        """Return the calls that ended since this was last asked, for the record and the bill."""
        told, self._told = self._told, []
        return told

    def notes(self) -> list[str]:
        """Return what a person should know since this was last asked."""
        notes, self._notes = self._notes, []
        return notes

    def space_of(self, code: str) -> SearchSpace:
        """Return the parameters of trials with an edited version."""
        return variant_space(self._variants[code], self._spec)

    def files_of(self, code: str) -> tuple[dict[str, str], str]:
        """Return the texts that differ from the user's project, by path, and the command of an edited version."""
        variant = self._variants[code]
        changed = {path: text for path, text in variant.files.items() if self._root.files.get(path) != text}
        return changed, variant_command(variant, self._spec.run.command)

    def fate(self, trial: Trial, trials: Sequence[Trial], twin: Trial | None) -> VariantOutcome | None:
        """Return what a trial says of the version that it ran; None when that stands.

        Args:
            trial: it ended just now.
            trials: all of the study's; a version of which one completed is not broken.
            twin: an earlier trial of other code with the same configuration and seed that reported the same numbers.
        """
        variant = self._variants.get(trial.proposal.code)
        if variant is None or variant.state is not VariantState.SOUND:
            return None
        works = any(t.proposal.code == variant.id and t.state is TrialState.COMPLETE for t in trials)
        if trial.failure is not None and trial.failure.kind is not FailureKind.LOST and not works:
            if variant.author == "llm":
                self._to_repair.append(trial)
            return self._ended(variant, VariantState.BROKEN, f"{trial.failure.kind.value}: {trial.failure.reason}")
        if twin is not None:
            same = short_id(twin.proposal.code) or "your code"
            reason = f"it computes the same as {same}, to the last digit (trials {twin.number} and {trial.number})"
            return self._ended(variant, VariantState.DUPLICATE, reason)
        return None

    # -- trials -------------------------------------------------------------------------------------------------

    def _first_trial(self, variant: Variant, arms: Sequence[Arm], view: StudyView) -> Proposal:
        """Run a new version as its parent ran best, on the same seed: what differs is the edit alone."""
        best = self._model_trial(variant, arms)
        asked = self._with.get(variant.id, EditResult())
        space = self.space_of(variant.id)
        merged = {name: resting(p) for name, p in space.parameters.items()} | dict(best.params) | dict(asked.params)
        params = {name: merged[name] for name in space.active(merged)}
        if not space.contains(params):
            params = {name: value for name, value in best.params.items() if name in space.parameters}
        is_crossed = variant.direction == COMBINE
        return Proposal(
            params=params,
            source=Source.SAMPLER if is_crossed else Source.USER if variant.author == PERSON else Source.LLM,
            seed=best.proposal.seed if params == dict(best.params) else tuning_seed(view.seed, view.number),
            rationale=f"{short_id(variant.id)} ({variant.direction}): {variant.rationale}",
            fidelity=best.proposal.fidelity,
            variant=variant.id,
            prediction=None if asked.predicted is None else Prediction(mean=asked.predicted, std=0.0),
            considered=(f"a new version of the code, run as trial {best.number} was, so that they can be compared",),
        )

    def _model_trial(self, variant: Variant, arms: Sequence[Arm]) -> Trial:
        """Return the best trial of what a version was made of, or else of the user's code, or else of all."""
        named = {arm.code: arm for arm in arms if arm.best is not None}
        arm = named.get(variant.parent or "") or named.get("") or min(named.values(), key=lambda a: a.value)
        assert arm.best is not None  # noqa: S101  # selected by it
        return arm.best

    def _tuned(self, variant: Variant, view: StudyView) -> Proposal | None:
        """Propose a configuration of a version from all that is known of configurations, with whatever code."""
        objective, space = view.objectives[0], self.space_of(variant.id)
        shifts = {
            c: s for c, s in variant_shifts(view.trials, objective).items() if c == variant.id or self._is_sound(c)
        }
        if variant.id in shifts:
            tuned = replace(view, space=space, trials=pool_trials(view.trials, variant.id, space, objective, shifts))
        else:
            # Its first trial had to be run otherwise than its parent's: the others teach as an earlier study would.
            own = [t for t in view.trials if t.proposal.code == variant.id]
            before = EarlierStudy(name="the code before", trials=[t for t in view.trials if not t.proposal.code])
            tuned = replace(view, space=space, trials=own, earlier=(before, *view.earlier))
        fidelity = self._spec.fidelity.max if self._spec.fidelity else None
        try:
            proposal = Arbiter(BayesSampler(SamplerSettings(n_initial=1)), fidelity=fidelity).choose(tuned)
        except SpaceExhausted:
            return None
        return replace(proposal, variant=variant.id, rationale=f"{short_id(variant.id)}: {proposal.rationale}")

    def _is_sound(self, code: str) -> bool:
        return not code or (code in self._variants and self._variants[code].state is VariantState.SOUND)

    # -- edits --------------------------------------------------------------------------------------------------

    def _waiting(self, trials: Sequence[Trial]) -> list[Variant]:
        """Return the sound versions that no trial has run."""
        ran = {t.proposal.code for t in trials}
        sound = [v for v in self._variants.values() if v.is_edited and v.state is VariantState.SOUND]
        waiting = [v for v in sound if v.id not in ran and self._stands_on_root(v)]
        # What a person asked for goes first.
        return sorted(waiting, key=lambda v: v.author != PERSON)

    def _stands_on_root(self, variant: Variant) -> bool:
        """Tell whether it was made of the project as it stands, which a person may have changed since."""
        while variant.parent is not None:
            if variant.parent == self._root.id:
                return True
            if variant.parent not in self._variants:
                return False
            variant = self._variants[variant.parent]
        return False

    def _runs_on(self, arm: Arm) -> bool:
        """Tell whether a version may get further trials."""
        variant = self._variants.get(arm.code)
        return not arm.code or (
            variant is not None and variant.state is VariantState.SOUND and self._stands_on_root(variant)
        )

    def _crossed(self, arms: Sequence[Arm]) -> bool:
        """Join the best pair of winners that was not joined yet; return whether there was one."""
        for first, second in pairs_to_combine(arms, self._variants):
            name = f"{first.id}+{second.id}"
            if name in self._with:
                continue
            self._with[name] = EditResult()
            variant = cross_variants(first, second, self._variants, self._rules)
            if variant is not None and variant.state is VariantState.SOUND:
                self.add(replace(variant, created_at=max(first.created_at, second.created_at)))
                return True
        return False

    def _question(self, arms: Sequence[Arm], view: StudyView) -> EditQuestion:
        broken = self._to_repair.pop(0) if self._to_repair else None
        if broken is not None:
            failed = self._variants[broken.proposal.code]
            parent = self._variants.get(failed.parent or "", self._root)
            arm = next((a for a in arms if a.code == parent.id), None) or next(a for a in arms)
        else:
            failed = None
            arm = choose_parent(arms, self._variants, _noise(view), seed=view.seed, number=view.number)
            parent = self._variants[arm.code] if arm.code else self._root
        return EditQuestion(
            parent=parent,
            known=dict(self._variants),
            facts=self._facts(parent, arm, arms, view),
            space=variant_space(parent, self._spec),
            broken=_breakage(broken, failed) if broken and failed else None,
        )

    def _facts(self, parent: Variant, arm: Arm, arms: Sequence[Arm], view: StudyView) -> CodeFacts:
        metric = view.objectives[0].metric
        default = default_trial(view.trials)
        told = [f"{_name(arm.code)}: best {metric} {_value(arm, metric)} in {len(arm.curve)} trials"]
        own = next((a for a in arms if not a.code), None)
        if arm.code and own is not None:
            told.append(f"your starting code: best {_value(own, metric)} in {len(own.curve)} trials")
        if default is not None and metric in default.values:
            told.append(f"its default: {short_number(default.values[metric])}")
        return CodeFacts(
            name=_name(parent.id if parent.is_edited else ""),
            files=parent.files,
            metric=metric,
            protected=self._spec.edits.protect if self._spec.edits else (),
            standing="; ".join(told),
            params=render_params(arm.best.params) if arm.best else "",
            curve=self._curve(arm.best.number) if arm.best else "",
            tree=[_line_of(v, arms, metric) for v in self._variants.values() if v.is_edited],
            tired=overused_direction(list(self._variants.values())),
        )

    def _collect(self, view: StudyView) -> None:
        if self._asking is not None and self._asking.done():
            asking, self._asking = self._asking, None
            self._take(_result(asking), view)

    def _take(self, answer: EditResult, view: StudyView) -> None:
        self._told += answer.calls
        self._made += answer.made
        self._variants.update({v.id: v for v in answer.made if v.id not in self._variants})
        sound = [v for v in answer.made if v.state is VariantState.SOUND]
        if sound:
            self._strikes = 0
            self._with[sound[-1].id] = answer
            return
        self._strikes += 1
        self._rest_until = view.number + min(2**self._strikes, MAX_PAUSE_TRIALS)
        if answer.trouble:
            self._off = answer.trouble if answer.lasting else ""
            self._notes.append(f"no edit of the code: {answer.trouble}")

    def _ended(self, variant: Variant, state: VariantState, reason: str) -> VariantOutcome:
        self._variants[variant.id] = replace(variant, state=state, reason=reason)
        return VariantOutcome(variant, state, reason)

    def _tuned_first(self) -> float:
        """Return how many trials of tuning come first: some for each parameter, at most half of the budget."""
        wanted, trials = TUNING_TRIALS_PER_PARAMETER * len(self._spec.space), self._spec.budget.trials
        return wanted if trials is None else min(wanted, trials / 2)

    def _left(self, view: StudyView) -> int:
        """Return how many trials of tuning are left; as many as there were where trials are not limited."""
        own = sum(not t.is_replicate for t in view.trials)
        return self._spec.budget.trials - own if self._spec.budget.trials is not None else max(own, 8)


def _result(asking: Future[EditResult]) -> EditResult:
    """Return the answer; whatever went wrong in asking is trouble, and no end of the study."""
    try:
        return asking.result()
    except Exception as error:  # noqa: BLE001  # see above
        return EditResult(trouble=f"asking for an edit failed: {type(error).__name__}: {error}")


def _noise(view: StudyView) -> float:
    """Return how much repetitions of the default differ, one standard deviation; 0 when there are too few."""
    default, metric = default_trial(view.trials), view.objectives[0].metric
    if default is None:
        return 0.0
    same = [t for t in view.trials if t is default or t.proposal.replicate_of == default.number]
    values = [t.values[metric] for t in same if t.state is TrialState.COMPLETE and metric in t.values]
    return stdev(values) if len(values) > 1 else 0.0


def _breakage(trial: Trial, variant: Variant) -> FailedEdit | None:
    failure = trial.failure
    if failure is None:
        return None
    return FailedEdit(
        name=short_id(variant.id),
        rationale=variant.rationale,
        diff=variant.diff,
        kind=failure.kind.value,
        reason=failure.reason,
        tail=failure.tail,
    )


def _name(code: str) -> str:
    return short_id(code) if code else "your starting code"


def _value(arm: Arm, metric: str) -> str:
    return short_number(arm.best.values[metric]) if arm.best else "none"


def _line_of(variant: Variant, arms: Sequence[Arm], metric: str) -> str:
    """Return an edit in a line: what it is, and what came of it."""
    head = f"{short_id(variant.id)} ({variant.direction or 'other'})"
    arm = next((a for a in arms if a.code == variant.id), None)
    if variant.state is not VariantState.SOUND:
        result = f"{variant.state.value}: {variant.reason}"
    elif arm is None:
        result = "not run yet"
    else:
        result = f"{metric} {_value(arm, metric)} in {len(arm.curve)} trials"
    return one_line(f"{head}: {result}. {variant.rationale}", 400)
