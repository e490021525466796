"""Builds questions for edits: the version to edit, how it ran, and what became of earlier edits. Asks nothing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from tunesmith.agent.code_search.arms import Arm
from tunesmith.agent.code_search.bandit import overused_direction
from tunesmith.agent.code_search.questions.earlier_edits import edit_lines
from tunesmith.agent.code_search.questions.editor import EditQuestion
from tunesmith.agent.code_search.questions.evidence import (
    RunRecords,
    edit_tools,
    environment_text,
    loading_text,
    profile_text,
)
from tunesmith.agent.code_search.strategies.base import EditRequest, SearchState
from tunesmith.agent.code_search.training_time import limit_text
from tunesmith.prompts.edit_prompts import CodeFacts, FailedEdit
from tunesmith.prompts.example_facts import ExampleFacts, example_facts
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import count, render_params
from tunesmith.study.trials.results import default_trial
from tunesmith.study.trials.trial import Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number
from tunesmith.study.variant import Variant, VariantState, short_id
from tunesmith.tools.variants.constants import FILL, code_constants, is_filled
from tunesmith.tools.variants.run_command import variant_space

_MAX_CONSTANTS = 12
"""Number of constants that one question names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditQuestionBuilder:
    """Builds a question from the state of a study.

    Attributes:
        root: the user's project.
        state: the versions and their trials; at least one version may be edited.
        view: every trial.
        records: what the runs left behind.
    """

    spec: StudySpec
    root: Variant
    state: SearchState
    view: StudyView
    records: RunRecords

    def new_edit(self, request: EditRequest) -> EditQuestion:
        """Return the question for edits of the version that the strategy chose."""
        arm = self.state.by_code[request.parent]
        return self._question(self.state.variants[arm.code] if arm.code else self.root, arm, count=request.count)

    def repair(self, failed_trial: Trial) -> EditQuestion:
        """Return the question for the repair of the edit that a failed trial ran."""
        failed = self.state.variants[failed_trial.proposal.code]
        parent = self.state.variants.get(failed.parent or "", self.root)
        arm = self.state.by_code.get(parent.id if parent.is_edited else "", self.state.arms[0])
        return self._question(parent, arm, broken=_failed_edit(failed_trial, failed))

    def _question(self, parent: Variant, arm: Arm, *, count: int = 1, broken: FailedEdit | None = None) -> EditQuestion:
        variants = list(self.state.variants.values())
        sound = [v for v in variants if v.state is VariantState.SOUND]
        names = [name for variant in [parent, *sound] for name in variant_space(variant, self.spec).names]
        return EditQuestion(
            parent=parent,
            root=self.root,
            known=dict(self.state.variants),
            facts=self._code_facts(parent, arm),
            names=list(dict.fromkeys(names)),
            count=count,
            best={a.code: dict(a.best.params) for a in self.state.arms if a.best},
            broken=broken,
            tools=edit_tools(self.spec, self.view, variants, self.records),
            may_fit=self._may_fit,
        )

    def _code_facts(self, parent: Variant, arm: Arm) -> CodeFacts:
        protect = self.spec.edits.protect if self.spec.edits else ()
        best = arm.best
        profile = self.records.profile(best.number) if best else None
        return CodeFacts(
            name=_code_name(parent.id if parent.is_edited else ""),
            files=parent.files,
            metric=self.state.objective.metric,
            protected=protect,
            readable=self.records.protected_files(protect),
            environment=environment_text(self.spec),
            results=self._results(arm),
            params=render_params(best.params) if best else "",
            pace=self.records.pace_text(best) if best else "",
            series=self.records.series_text(best.number) if best else (),
            profile=profile_text(profile),
            loading=loading_text(profile),
            log=self.records.log_end(best.number) if best else "",
            noise=short_number(self.state.seed_noise, 2) if self.state.seed_noise else "",
            limit=self._limit(),
            trials_left=count(int(self.state.trials_left), "trial") if self.spec.budget.trials is not None else "",
            earlier_edits=edit_lines(self.state),
            constants=self._constants(),
            filled=[f"{name} ({table[FILL]})" for name, table in parent.declared.items() if is_filled(table)],
            may_fit=self._may_fit,
            overused_direction="" if self._is_text(parent) else overused_direction(list(self.state.variants.values())),
            is_text=self._is_text(parent),
            examples=self._examples(arm),
        )

    def _limit(self) -> str:
        """Return how long an edit may train; "" where the study leaves that free or measures time itself."""
        is_timed = self.spec.evaluate is not None and self.spec.evaluate.is_time
        if is_timed or self.spec.edits is None or self.spec.edits.time == "free":
            return ""
        return limit_text([t for t in self.state.trials if not t.proposal.code])

    def _is_text(self, parent: Variant) -> bool:
        """Return whether only text parameters may be edited, no code."""
        files = {file for text in self.spec.texts for file in text.files}
        return bool(files) and set(parent.files) <= files

    def _examples(self, arm: Arm) -> ExampleFacts | None:
        """Return how the best trial of a version did on single examples; None without scores."""
        if not self.spec.texts or arm.best is None:
            return None
        found = [text for text in self.records.examples(arm.best.number).values() if text.score is not None]
        best = {code: scores for code, scores in self.state.examples.items() if code != arm.code}
        return example_facts(found, best) if found else None

    @property
    def _may_fit(self) -> bool:
        return self.spec.edits is not None and self.spec.edits.constants == "model"

    def _constants(self) -> list[str]:
        """Return the numbers of tried edits that could be parameters, the latest edit first."""
        known, names = self.state.variants, self.spec.space.names
        ran = [known[arm.code] for arm in self.state.arms if arm.best is not None and arm.code in known]
        lines = (f"{short_id(v.id)}: {c.text}" for v in reversed(ran) for c in code_constants(v, known, names))
        return list(islice(lines, _MAX_CONSTANTS))  # no more versions are parsed than the question shows

    def _results(self, arm: Arm) -> str:
        """Return the best value of the version, of the user's code and of the default, in one line."""
        metric = self.state.objective.metric
        parts = [f"{_code_name(arm.code)}: best {metric} {_best_value(arm, metric)} in {_trials(arm)}"]
        own = self.state.by_code.get("")
        if arm.code and own is not None:
            parts.append(f"your starting code: best {_best_value(own, metric)} in {_trials(own)}")
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


def _trials(arm: Arm) -> str:
    return f"{len(arm.curve)} trial{'s' if len(arm.curve) != 1 else ''}"
