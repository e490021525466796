"""Proposals for trials of edited versions: the first one, one that tunes, one that the model asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tunesmith.agent.code_search.arms import Arm, best_arm
from tunesmith.agent.code_search.task_model import pool_trials, variant_shifts
from tunesmith.study.config.command import script_path
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.formatting import render_params
from tunesmith.study.space.condition import Value
from tunesmith.study.space.parameters import imputed_value
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.space.values import config_key
from tunesmith.study.trials.earlier import EarlierStudy
from tunesmith.study.trials.replicates.seeds import tuning_seed
from tunesmith.study.trials.trial import Prediction, Proposal, Source, Trial
from tunesmith.study.trials.view import StudyView
from tunesmith.study.variant import COMBINE, PERSON, Variant, VariantState, root_variant, short_id
from tunesmith.tools.variants.lineage import parent_code
from tunesmith.tools.variants.run_command import variant_space


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRequest:
    """A trial of a version that the model asked for, such as a second try with other settings.

    Attributes:
        code: the version; "" for the user's own code.
        params: values that differ from the version's best configuration.
    """

    code: str
    params: Mapping[str, Value]
    rationale: str = ""
    predicted: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionTrials:
    """Builds proposals from the state of a study.

    Attributes:
        variants: every version, by id.
        arms: the versions that may run.
    """

    spec: StudySpec
    variants: Mapping[str, Variant]
    arms: Sequence[Arm]
    view: StudyView

    def first(self, variant: Variant) -> Proposal:
        """Return the first trial of a version: the configuration that the edit was written for, on its parent's seed.

        It is compared with the parent's best trial. What the edit does not set stays as it was there.
        """
        paired = self._paired(variant)
        space = variant_space(variant, self.spec)
        params = _valid_config(space, paired.params, variant.params)
        changed = {name: value for name, value in params.items() if paired.params.get(name) != value}
        settings = f", with {render_params(changed)}" if changed else ""
        is_joined = variant.direction == COMBINE
        return Proposal(
            params=params,
            source=Source.SAMPLER if is_joined else Source.USER if variant.author == PERSON else Source.LLM,
            seed=paired.proposal.seed,
            rationale=f"{short_id(variant.id)} ({variant.direction}): {variant.rationale}",
            fidelity=paired.proposal.fidelity,
            variant=variant.id,
            prediction=_prediction(variant.predicted),
            considered=(f"first trial of a new version of the code, compared with trial {paired.number}{settings}",),
        )

    def requested(self, request: TrialRequest) -> Proposal | None:
        """Return the trial that the model asked for; None if it ran before or the version cannot run."""
        variant = self.variants.get(request.code)
        space = variant_space(variant, self.spec) if variant is not None else self.spec.space
        arm = next((arm for arm in self.arms if arm.code == request.code), None)
        if arm is None or arm.best is None:
            return None
        params = _valid_config(space, arm.best.params, request.params)
        own = [t for t in self.view.trials if t.proposal.code == request.code]
        if config_key(params) in {config_key(t.params) for t in own}:
            return None
        name = f"{short_id(request.code)}: " if request.code else ""
        return Proposal(
            params=params,
            source=Source.LLM,
            seed=tuning_seed(self.view.seed, self.view.number),
            rationale=f"{name}{request.rationale}",
            fidelity=arm.best.proposal.fidelity,
            variant=request.code or "base",
            prediction=_prediction(request.predicted),
            considered=("the model asked for this trial in its answer about edits",),
        )

    def tuned_view(self, variant: Variant) -> StudyView:
        """Return the study as if every trial had run this version, moved by what its first trial showed."""
        view, objective, space = self.view, self.view.objectives[0], variant_space(variant, self.spec)
        view = replace(view, script=edited_script(variant, self.variants, self.spec.run.command))
        parents = {v.id: parent_code(v, self.variants) for v in self.variants.values()}
        found = variant_shifts(view.trials, objective, parents, self.spec.space)
        shifts = {code: shift for code, shift in found.items() if code == variant.id or self._is_sound(code)}
        if variant.id in shifts:
            trials = pool_trials(view.trials, variant.id, space, objective, shifts)
            return replace(view, space=space, trials=trials, set_aside=())
        # Its first trial has no pair, so its shift is unknown: transfer from the user's code.
        own = [t for t in view.trials if t.proposal.code == variant.id]
        before = EarlierStudy(name="the code before", trials=[t for t in view.trials if not t.proposal.code])
        return replace(view, space=space, trials=own, set_aside=(), earlier=(before, *view.earlier))

    def _paired(self, variant: Variant) -> Trial:
        """Return the best trial of the parent; without one, of the user's code; without one, of all versions."""
        complete = {arm.code: arm for arm in self.arms if arm.best is not None}
        arm = complete.get(parent_code(variant, self.variants)) or complete.get("") or best_arm(self.arms)
        assert arm is not None  # noqa: S101  # a version is only run once a trial is complete
        assert arm.best is not None  # noqa: S101  # arms without one were filtered out
        return arm.best

    def _is_sound(self, code: str) -> bool:
        return not code or (code in self.variants and self.variants[code].state is VariantState.SOUND)


def edited_script(variant: Variant, variants: Mapping[str, Variant], command: str) -> str:
    """Return the script of a version as its trials run it, with the other files that the edits changed."""
    script, root = script_path(command), root_variant(variant, variants)
    changed = [path for path, text in variant.files.items() if root.files.get(path) != text and path != script]
    shown = [path for path in (script, *changed) if path in variant.files]
    texts = [f"# {path}\n{variant.files[path]}" if len(shown) > 1 else variant.files[path] for path in shown]
    return "\n\n".join(texts)


def _valid_config(space: SearchSpace, base: Mapping[str, Value], changes: Mapping[str, Value]) -> dict[str, Value]:
    """Return a configuration with changes; a change that is not valid in the space is left out."""
    kept = {
        name: value
        for name, value in space.own_values(changes).items()
        if name in space.parameters and not space.parameters[name].invalid_reason(value)
    }
    defaults = {name: imputed_value(parameter) for name, parameter in space.parameters.items()}
    merged = space.own_values(defaults | {n: v for n, v in base.items() if n in defaults} | kept)
    params = {name: merged[name] for name in space.active(merged)}
    return params if space.contains(params) else space.clip(params)


def _prediction(predicted: float | None) -> Prediction | None:
    return None if predicted is None else Prediction(mean=predicted, std=0.0)
