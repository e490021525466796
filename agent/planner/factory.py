"""Assembles the planner of a study: the sampler, the LLM with its prompts and tools, and the arbiter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from tunesmith.agent.llm.background import BackgroundRunner
from tunesmith.agent.llm.candidate_pool import CandidatePool
from tunesmith.agent.llm.client.types import LanguageModel, LookupTool
from tunesmith.agent.llm.planner import LLMPlanner
from tunesmith.agent.llm.prompt_context import make_prompt_context
from tunesmith.agent.planner.arbiter import Arbiter, LLMRules
from tunesmith.agent.planner.judging.llm_calibration import track_record
from tunesmith.agent.planner.study_brief import make_study_brief
from tunesmith.agent.sampler.base import Sampler
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.prompts.candidate_fates import CandidateFate
from tunesmith.prompts.planner_prompts import Part, PromptContext
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.config.changes import Steering
from tunesmith.study.config.record import Lesson
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.trials.observed.observation import Observation
from tunesmith.study.trials.replicates.seeds import derived_seed
from tunesmith.study.trials.view import StudyView


def make_arbiter(  # noqa: PLR0913  # each is another part of a study
    spec: StudySpec,
    sampler: Sampler | None = None,
    *,
    model: LanguageModel | None = None,
    project: Path | None = None,
    runner: BackgroundRunner | None = None,
    budget: Budget | None = None,
    spent: Spent | None = None,
    lessons: Sequence[Lesson] = (),
    curves: Callable[[StudyView], Mapping[int, Sequence[float]]] | None = None,
    series: Callable[[int], Sequence[Observation]] | None = None,
    left: Callable[[], str] = str,
    slots: int = 1,
    rules: LLMRules | None = None,
    permuted: bool = False,
    steering: Steering | None = None,
) -> tuple[Arbiter, CandidatePool | None]:
    """Return the arbiter of a study and the pool of the LLM's candidates, None without a model.

    Args:
        spec: the study.
        sampler: proposes next to the LLM; None for the sampler of the spec.
        model: the LLM; None for none.
        project: the folder of the study's files, which the LLM may read; None for a study from Python.
        runner: asks the LLM in the background; None to wait for each answer.
        budget: the limits of the study and of the LLM.
        spent: what earlier runs of the study used.
        lessons: what was learned before, in this study and in earlier ones of the same script.
        curves: returns curves by trial number, as far as they are known; called in the background.
        series: returns what a trial reported while it ran, by its number; called in the background.
        left: returns the remaining budget in words.
        slots: number of trials that run at once.
        rules: how the LLM takes part.
        permuted: show the LLM the results in a random order, to test whether it uses them.
        steering: the pins and vetoes that proposals must respect.
    """
    sampler = sampler or make_sampler(spec.planner.sampler)
    fidelity = spec.fidelity.max if spec.fidelity else None
    if model is None:
        return Arbiter(sampler, fidelity=fidelity), None

    def context(view: StudyView, fates: Sequence[CandidateFate]) -> PromptContext:
        shown = _permuted(view) if permuted else view
        made = make_prompt_context(shown, sampler, budget=left(), slots=slots, curves=curves)
        return replace(made, fates=fates, track_record=track_record(shown.trials, shown.objectives[0]).text)

    rules = rules or LLMRules()
    # Series in their true order would undo the permutation.
    shown_series = None if permuted else series
    planner = make_planner(
        spec, model, project=project, lessons=lessons, steering=steering, series=shown_series, rules=rules
    )
    pool = CandidatePool(
        planner,
        context=context,
        budget=budget,
        spent=spent,
        runner=runner,
        count=rules.count,
        rethinks=rules.rethinks,
        slots=slots,
    )
    scorer = sampler if isinstance(sampler, BayesSampler) else None
    return Arbiter(sampler, fidelity=fidelity, candidate_pool=pool, rules=rules, scorer=scorer), pool


def make_planner(
    spec: StudySpec,
    model: LanguageModel,
    *,
    project: Path | None = None,
    lessons: Sequence[Lesson] = (),
    steering: Steering | None = None,
    series: Callable[[int], Sequence[Observation]] | None = None,
    rules: LLMRules | None = None,
) -> LLMPlanner:
    """Return the planner that asks the model about a study; the arguments are those of `make_arbiter`."""
    from tunesmith.agent.llm.tools import lookup_tools  # 0.1 s, which a study without an LLM saves

    def tools(view: StudyView) -> list[LookupTool]:
        return lookup_tools(spec, view, project, series)

    part = part_of(rules or LLMRules(), narrows=project is not None)
    brief = replace(make_study_brief(spec, project, lessons), part=part)
    if not steering:
        return LLMPlanner(model, brief, tools=tools)
    sentence = f"The person who runs this study asks: {steering.words}."
    brief = replace(brief, description=f"{brief.description} {sentence}".strip())
    return LLMPlanner(model, brief, tools=tools, objection=steering.objection)


def part_of(rules: LLMRules, *, narrows: bool) -> Part:
    """Return what a prompt says of the model's part; `narrows`: whether its requests may become commands."""
    own: Literal["own", "predicted"] = "predicted" if rules.by_prediction else "own"
    return Part(
        beside_sampler=rules.scored or rules.fraction != 1.0,
        order="judged" if rules.scored else own,
        is_earned=rules.fraction is None,
        narrows=narrows,
    )


def _permuted(view: StudyView) -> StudyView:
    """Return the view with the outcomes of finished trials permuted; equal views are permuted equally."""
    finished = [t for t in view.trials if t.state.is_finished]
    order = np.random.default_rng(derived_seed(view.seed, "permuted", len(finished))).permutation(len(finished))
    permuted = {
        t.number: replace(t, outcome=finished[i].outcome, state=finished[i].state)
        for t, i in zip(finished, order, strict=True)
    }
    return replace(view, trials=[permuted.get(t.number, t) for t in view.trials])
