"""Puts the planner of a study together: sampler, model with its fallbacks, what it is shown, and the arbiter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tunesmith.agent.llm.call_log import LoggedCall
from tunesmith.agent.llm.candidate_pool import CandidatePool, BackgroundRunner
from tunesmith.agent.llm.client.types import LanguageModel
from tunesmith.agent.llm.planner import FIRST_CANDIDATES, LLMPlanner
from tunesmith.agent.llm.prompt_context import make_prompt_context
from tunesmith.agent.llm.tools import lookup_tools
from tunesmith.agent.planner.arbiter import Arbiter, Rules
from tunesmith.agent.planner.cost_estimate import estimate_llm, estimate_text
from tunesmith.agent.sampler.base import Sampler
from tunesmith.agent.sampler.bayes import BayesSampler
from tunesmith.agent.sampler.registry import make_sampler
from tunesmith.prompts.planner_prompts import PromptContext, StudyBrief, starting_messages
from tunesmith.study.config.budget import Budget, Spent
from tunesmith.study.config.command import script_of
from tunesmith.study.config.record import Lesson, LlmCall
from tunesmith.study.config.spec import PlannerTable, StudySpec
from tunesmith.study.trials.seeds import derived_seed
from tunesmith.study.trials.view import StudyView
from tunesmith.study.units import short_number

SCRIPT_BYTES = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tape:
    """Files for questions and answers: `record` keeps them, `replay` answers from them without a network."""

    record: Path | None = None
    replay: Path | None = None


def open_model(planner: PlannerTable, tape: Tape | None = None) -> LanguageModel:
    """Return the model of [planner], with its fallbacks, a recording, or a recorded one in its place.

    Raises:
        SpecError: the user's price list cannot be read.
        ProjectError: the file to replay cannot be read.
    """
    from tunesmith.agent.llm.client.client import LangChainModel
    from tunesmith.agent.llm.client.fallbacks import FallbackModel
    from tunesmith.agent.llm.client.recording import RecordingModel, ReplayModel

    tape = tape or Tape()
    names = [planner.model or "", *planner.fallbacks]
    if tape.replay is not None:
        return ReplayModel(tape.replay, names[0])
    models = [LangChainModel(name, base_url=planner.base_url) for name in names]
    model: LanguageModel = models[0] if len(models) == 1 else FallbackModel(models)
    return RecordingModel(model, tape.record) if tape.record else model


def make_arbiter(  # noqa: PLR0913  # each is another part of a study
    spec: StudySpec,
    sampler: Sampler | None = None,
    *,
    model: LanguageModel | None = None,
    project: Path | None = None,
    runs: BackgroundRunner | None = None,
    budget: Budget | None = None,
    spent: Spent | None = None,
    lessons: Sequence[Lesson] = (),
    curves: Callable[[StudyView], Mapping[int, Sequence[float]]] | None = None,
    left: Callable[[], str] = str,
    rules: Rules | None = None,
    permuted: bool = False,
    wishes: str = "",
) -> tuple[Arbiter, CandidatePool | None]:
    """Return the arbiter of a study and the LLM's side of it, None without a model.

    Args:
        spec: the study.
        sampler: proposes beside the LLM; None for the one that the spec names.
        model: the LLM; None for none.
        project: the folder of the study's files, which the LLM may read; None for a study from Python.
        runs: runs questions beside the training; None to wait for each.
        budget: limits, the LLM's among them.
        spent: what was used before.
        lessons: what was learned before, in this study and in earlier ones of the same script.
        curves: curves of trials, as far as they are known; called beside the training.
        left: the budget that is left, in words.
        rules: how the LLM's part is decided on.
        permuted: show the LLM the results in another order, to tell whether it reads them at all.
        wishes: what a person asked proposals to keep to, in words.
    """
    sampler = sampler or make_sampler(spec.planner.sampler)
    fidelity = spec.fidelity.max if spec.fidelity else None
    if model is None:
        return Arbiter(sampler, fidelity=fidelity), None

    def stand(view: StudyView) -> PromptContext:
        return make_prompt_context(_shuffled(view) if permuted else view, sampler, budget=left(), curves=curves)

    planner = make_planner(spec, model, project=project, lessons=lessons, wishes=wishes)
    advisor = CandidatePool(planner, stand=stand, budget=budget, spent=spent, runs=runs, count=(rules or Rules()).count)
    judge = sampler if isinstance(sampler, BayesSampler) else None
    return Arbiter(sampler, fidelity=fidelity, advisor=advisor, rules=rules, judge=judge), advisor


def make_planner(
    spec: StudySpec,
    model: LanguageModel,
    *,
    project: Path | None = None,
    lessons: Sequence[Lesson] = (),
    wishes: str = "",
) -> LLMPlanner:
    """Return who asks the model about a study; `wishes` is what a person asked proposals to keep to."""
    subject = subject_of(spec, project, lessons)
    if wishes:
        asked = f"The person who runs this study asks: {wishes}."
        subject = replace(subject, description=f"{subject.description} {asked}".strip())
    return LLMPlanner(model, subject, tools=lambda view: lookup_tools(spec, view, project))


def llm_estimate(spec: StudySpec, project: Path, trials: int) -> str:
    """Return what the LLM is expected to take for so many trials, in words.

    Raises:
        SpecError: the user's price list cannot be read.
    """
    from tunesmith.agent.llm.client.prices import price_of, read_prices

    opening = starting_messages(subject_of(spec, project, ()), count=FIRST_CANDIDATES)
    price = price_of(spec.planner.model or "", read_prices(), own_server=spec.planner.base_url is not None)
    return estimate_text(estimate_llm(opening, trials, price))


def _shuffled(view: StudyView) -> StudyView:
    """Return the view with the outcomes of finished trials dealt to one another, the same way for the same view."""
    finished = [t for t in view.trials if t.state.is_finished]
    order = np.random.default_rng(derived_seed(view.seed, "permuted", len(finished))).permutation(len(finished))
    dealt = {
        t.number: replace(t, outcome=finished[i].outcome, state=finished[i].state)
        for t, i in zip(finished, order, strict=True)
    }
    return replace(view, trials=[dealt.get(t.number, t) for t in view.trials])


def kept(told: LoggedCall) -> LlmCall:
    """Return a call as it is kept in the history."""
    return LlmCall(
        purpose=told.purpose,
        prompt_version=told.prompt_version,
        model=told.call.model,
        messages=tuple((m.role, m.text) for m in told.messages),
        answer=told.answer,
        error=told.error,
        input_tokens=told.call.usage.input,
        output_tokens=told.call.usage.output,
        cost_usd=told.call.cost_usd,
        started_at=told.started_at,
        wall_s=told.call.wall_s,
    )


def subject_of(spec: StudySpec, project: Path | None, lessons: Sequence[Lesson]) -> StudyBrief:
    """Return what a model is shown of a study that does not change while it runs."""
    fidelity = spec.fidelity
    return StudyBrief(
        name=spec.study.name,
        space=spec.space,
        objectives=spec.objectives,
        constraints=spec.bounds,
        description=spec.study.description,
        command=spec.run.command if project else "",
        hardware=_hardware() if project else "",
        fidelity=f"{fidelity.name} = {short_number(fidelity.max)}" if fidelity else "",
        script=_script(spec.run.command, project) if project else "",
        insights=tuple(lesson for lesson in lessons if not lesson.study),
        earlier=tuple(lesson for lesson in lessons if lesson.study),
    )


def _script(command: str, project: Path) -> str:
    """Return the source of the script that the command runs; "" when the command names no file of the project."""
    path = project / (script_of(command) or ".")
    return path.read_bytes()[:SCRIPT_BYTES].decode("utf-8", errors="replace") if path.is_file() else ""


def _hardware() -> str:
    import os

    import psutil

    from tunesmith.evaluator.gpus import find_gpus

    gpus = find_gpus().gpus
    memory_gib = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} CPU cores, {memory_gib:.0f} GiB of memory, {len(gpus)} GPU{'s' if len(gpus) != 1 else ''}"
