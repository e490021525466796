"""Builds questions for edits: the version to edit, its results, and what became of earlier edits. Asks nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.agent.code_search.arms import Arm
from tunesmith.agent.code_search.bandit import overused_direction
from tunesmith.agent.code_search.questions.editor import EditQuestion
from tunesmith.agent.code_search.strategies.base import EditRequest
from tunesmith.prompts.edit_prompts import CodeFacts, FailedEdit
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import one_line, render_params
from tunesmith.study.trials.results import default_trial
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number
from tunesmith.study.variant import Variant, VariantState, short_id
from tunesmith.tools.variants.run_command import variant_space


@dataclass(frozen=True, slots=True, kw_only=True)
class EditQuestionBuilder:
    """Builds a question from the state of a study.

    Attributes:
        root: the user's project.
        variants: every version, by id.
        arms: the versions that may be edited; at least one.
        curve: describes the metric of a trial during training, by trial number.
    """

    spec: StudySpec
    root: Variant
    variants: Mapping[str, Variant]
    arms: Sequence[Arm]
    view: StudyView
    curve: Callable[[int], str]

    def new_edit(self, request: EditRequest) -> EditQuestion:
        """Return the question for edits of the version that the strategy chose."""
        arm = next(a for a in self.arms if a.code == request.parent)
        return self._question(self.variants[arm.code] if arm.code else self.root, arm, count=request.count)

    def repair(self, failed_trial: Trial) -> EditQuestion:
        """Return the question for the repair of the edit that a failed trial ran."""
        failed = self.variants[failed_trial.proposal.code]
        parent = self.variants.get(failed.parent or "", self.root)
        arm = next((a for a in self.arms if a.code == parent.id), self.arms[0])
        return self._question(parent, arm, broken=_failed_edit(failed_trial, failed))

    def _question(self, parent: Variant, arm: Arm, *, count: int = 1, broken: FailedEdit | None = None) -> EditQuestion:
        sound = [v for v in self.variants.values() if v.state is VariantState.SOUND]
        names = [name for variant in [parent, *sound] for name in variant_space(variant, self.spec).names]
        return EditQuestion(
            parent=parent,
            root=self.root,
            known=dict(self.variants),
            facts=self._code_facts(parent, arm),
            names=list(dict.fromkeys(names)),
            count=count,
            best={arm.code: dict(arm.best.params) for arm in self.arms if arm.best},
            broken=broken,
        )

    def _code_facts(self, parent: Variant, arm: Arm) -> CodeFacts:
        metric = self.view.objectives[0].metric
        return CodeFacts(
            name=_code_name(parent.id if parent.is_edited else ""),
            files=parent.files,
            metric=metric,
            protected=self.spec.edits.protect if self.spec.edits else (),
            results=self._results(arm, metric),
            params=render_params(arm.best.params) if arm.best else "",
            curve=self.curve(arm.best.number) if arm.best else "",
            earlier_edits=[_edit_line(v, self.arms, metric) for v in self.variants.values() if v.is_edited],
            overused_direction=overused_direction(list(self.variants.values())),
        )

    def _results(self, arm: Arm, metric: str) -> str:
        """Return the best value of the version, of the user's code and of the default, in one line."""
        parts = [f"{_code_name(arm.code)}: best {metric} {_best_value(arm, metric)} in {len(arm.curve)} trials"]
        own = next((a for a in self.arms if not a.code), None)
        if arm.code and own is not None:
            parts.append(f"your starting code: best {_best_value(own, metric)} in {len(own.curve)} trials")
        default = default_trial(self.view.trials, self.view.space)
        if default is not None and metric in default.values:
            parts.append(f"its default: {short_number(default.values[metric])}")
        return "; ".join(parts)


def _failed_edit(trial: Trial, variant: Variant) -> FailedEdit | None:
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


def _code_name(code: str) -> str:
    return short_id(code) if code else "your starting code"


def _best_value(arm: Arm, metric: str) -> str:
    return short_number(arm.best.values[metric]) if arm.best else "none"


def _edit_line(variant: Variant, arms: Sequence[Arm], metric: str) -> str:
    """Return an edit in one line: its name, direction, result and rationale."""
    head = f"{short_id(variant.id)} ({variant.direction or 'other'})"
    arm = next((a for a in arms if a.code == variant.id), None)
    if variant.state is not VariantState.SOUND:
        result = f"{variant.state.value}: {variant.reason}"
    elif arm is None:
        result = "not run yet"
    else:
        result = f"{metric} {_best_value(arm, metric)} in {len(arm.curve)} trials"
    return one_line(f"{head}: {result}. {variant.rationale}", 400)
