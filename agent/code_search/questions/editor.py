"""Asks a language model for edits of the code and builds versions from the answer. It runs nothing.

An answer of which nothing can run is sent back with the reasons, up to two times: edits that do not apply, are refused
by the rules, or duplicate a known version.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tunesmith.agent.code_search.questions.answer import EditAnswer, Idea, WantedTrial, edit_format
from tunesmith.agent.code_search.version_trials import TrialRequest
from tunesmith.agent.llm.call_log import LoggedCall, ask_and_log
from tunesmith.agent.llm.client.failures.errors import AnswerUnusable, ModelDown
from tunesmith.agent.llm.client.types import LanguageModel, LookupTool
from tunesmith.prompts.edit_prompts import CodeFacts, FailedEdit, edit_retry_message, editing_messages
from tunesmith.prompts.message import Message
from tunesmith.prompts.planner_prompts import StudyBrief
from tunesmith.study.errors import ToolRefused
from tunesmith.study.space.condition import Value
from tunesmith.study.variant import EditRefused, Variant, VariantState
from tunesmith.tools.variants.build import make_variant
from tunesmith.tools.variants.rules import GateRules
from tunesmith.tools.variants.user_edit import chosen_constants, find_known_variant

MAX_QUESTIONS = 3
"""Questions per edit: the first one, and two more that name the problems of the previous answer."""

_NAMES_OF_ROOT = frozenset({"your starting code", "starting code", "the starting code", "root", "base"})

_MAX_ANSWER_CHARS = 12_000
"""Longest part of an answer that is shown again with its problems."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditQuestion:
    """A request for edits.

    Attributes:
        parent: the version that is shown.
        root: the user's own code.
        known: every version of the study, by id.
        facts: what the prompt shows.
        names: the parameters of trials with any of the versions.
        count: the number of ideas that may run.
        best: the best configuration of each version, by id; "" for the user's own code.
        broken: a failed edit to repair; None for a new edit.
        tools: functions that the model may call before it answers.
        may_fit: whether the model may make numbers in the code parameters.
    """

    parent: Variant
    root: Variant
    known: Mapping[str, Variant]
    facts: CodeFacts
    names: Sequence[str]
    count: int = 1
    best: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    broken: FailedEdit | None = None
    tools: Sequence[LookupTool] = ()
    may_fit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EditResult:
    """Result of a request for edits.

    Attributes:
        variants: versions in the order in which they were built, refused ones included.
        joins: pairs of known versions to join.
        trials: trials of known versions.
        constants: known versions, each with the names of its numbers that become parameters.
        error: why the model gave nothing, in one line; "" when it gave something.
        permanent: the error lasts until a person changes something.
    """

    variants: tuple[Variant, ...] = ()
    joins: tuple[tuple[str, str], ...] = ()
    trials: tuple[TrialRequest, ...] = ()
    constants: tuple[tuple[str, tuple[str, ...]], ...] = ()
    calls: tuple[LoggedCall, ...] = ()
    error: str = ""
    permanent: bool = False


@dataclass(slots=True)
class _Built:
    """What was made of the answers to one question so far."""

    variants: list[Variant] = field(default_factory=list)
    joins: list[tuple[str, str]] = field(default_factory=list)
    trials: list[TrialRequest] = field(default_factory=list)
    constants: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    @property
    def is_usable(self) -> bool:
        """Whether something can run."""
        has_more = bool(self.joins or self.trials or self.constants)
        return has_more or any(v.state is VariantState.SOUND for v in self.variants)

    def result(self, calls: Sequence[LoggedCall], *, error: str = "", permanent: bool = False) -> EditResult:
        return EditResult(
            variants=tuple(self.variants),
            joins=tuple(self.joins),
            trials=tuple(self.trials),
            constants=tuple(self.constants),
            calls=tuple(calls),
            error=error,
            permanent=permanent,
        )


class Editor:
    """Asks one model about the code of one study.

    Args:
        model: the model.
        brief: the facts that do not change during a study.
        rules: what edits may change.
        clock: returns seconds since the epoch.
    """

    def __init__(
        self, model: LanguageModel, brief: StudyBrief, rules: GateRules, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._model = model
        self._brief = brief
        self._rules = rules
        self._clock = clock

    def edit(self, question: EditQuestion) -> EditResult:
        """Ask for edits, at most MAX_QUESTIONS times. Failures of the model are part of the result."""
        calls: list[LoggedCall] = []
        built = _Built()
        messages = editing_messages(self._brief, question.facts, count=question.count, broken=question.broken)
        form = edit_format(question.names, may_fit=question.may_fit)
        for turn in range(MAX_QUESTIONS):
            is_last_retry = turn == MAX_QUESTIONS - 2
            try:
                answer = ask_and_log(
                    self._model, question.facts.template, messages, form, calls, tools=question.tools, clock=self._clock
                )
            except ModelDown as down:
                return built.result(calls, error=down.reason, permanent=down.permanent)
            except AnswerUnusable as unusable:
                messages = [*messages, edit_retry_message(unusable.reason, last=is_last_retry)]
                continue
            problems = self._build(answer, question, built)
            if built.is_usable:
                return built.result(calls)
            previous = Message("assistant", calls[-1].answer[:_MAX_ANSWER_CHARS])
            messages = [*messages, previous, edit_retry_message("\n".join(problems), last=is_last_retry)]
        error = "" if built.variants else f"{self._model.name} gave no edit that applies, asked {MAX_QUESTIONS} times"
        return built.result(calls, error=error)

    def _build(self, answer: EditAnswer, question: EditQuestion, built: _Built) -> list[str]:
        """Add what an answer asks for to `built`; return a problem for each part that may not run."""
        problems = []
        for number, idea in enumerate(answer.ideas[: question.count], start=1):
            name = f"idea {number}: " if len(answer.ideas) > 1 else ""
            if problem := self._build_idea(idea, question, built):
                problems.append(f"{name}{problem}")
        for first, second in answer.joins:
            try:
                pair = (_named(first, question).id, _named(second, question).id)
            except ToolRefused as refused:
                problems.append(f"join: {refused}")
            else:
                built.joins.append(pair)
        for wanted in answer.trials:
            try:
                built.trials.append(_request(wanted, question))
            except ToolRefused as refused:
                problems.append(f"trial: {refused}")
        for version, names in answer.constants if question.may_fit else ():
            try:
                built.constants.append(self._fitted(version, names, question))
            except ToolRefused as refused:
                problems.append(f"constants: {refused}")
        return problems

    def _fitted(self, version: str, names: Sequence[str], question: EditQuestion) -> tuple[str, tuple[str, ...]]:
        variant = _named(version, question)
        chosen = chosen_constants(variant, question.known, self._rules.space.names, names)
        return variant.id, tuple(constant.name for constant in chosen)

    def _build_idea(self, idea: Idea, question: EditQuestion, built: _Built) -> str:
        """Build a version from an idea; return why it may not run, "" when it may."""
        if idea.proposal.direction == question.facts.overused_direction:
            return f"the last edits all had the direction {question.facts.overused_direction}; choose another direction"
        known = {**question.known, **{v.id: v for v in built.variants if v.state is not VariantState.REFUSED}}
        try:
            parent = _named(idea.parent, question)
            variant = make_variant(idea.proposal, parent, known, self._rules)
        except (EditRefused, ToolRefused) as refused:
            return str(refused)
        except Exception as error:  # noqa: BLE001  # an edit that nobody foresaw is refused; what it cost stays logged
            return f"the edit cannot be built ({type(error).__name__}); name other files or simpler changes"
        best = question.best.get(parent.id if parent.is_edited else "", {})
        params = {name: value for name, value in idea.params.items() if name not in best or best[name] != value}
        built.variants.append(replace(variant, params=params, predicted=idea.predicted, created_at=self._clock()))
        return variant.reason if variant.state is not VariantState.SOUND else ""


def _named(name: str, question: EditQuestion) -> Variant:
    """Return the version that the model named; the one shown where it named none.

    Raises:
        ToolRefused: no version has this name.
    """
    shown = question.facts.name
    if name.strip().lower() in ("", "null", "none", shown.lower()):
        return question.parent
    if name.strip().lower() in _NAMES_OF_ROOT:
        return question.root
    return find_known_variant(name, question.known)


def _request(wanted: WantedTrial, question: EditQuestion) -> TrialRequest:
    """Return the trial that the model asked for.

    Raises:
        ToolRefused: the version cannot run, or no value differs from its best configuration.
    """
    variant = _named(wanted.version, question)
    code = variant.id if variant.is_edited else ""
    if variant.state is not VariantState.SOUND:
        raise ToolRefused(f"{wanted.version} does not run, {variant.state.value}: {variant.reason}")
    best = question.best.get(code)
    if best is None:
        raise ToolRefused(f"{wanted.version} has no complete trial yet; wait for its first one")
    if all(best.get(name) == value for name, value in wanted.params.items()):
        raise ToolRefused("give params that differ from the best configuration of that version")
    return TrialRequest(code=code, params=wanted.params, rationale=wanted.rationale, predicted=wanted.predicted)
