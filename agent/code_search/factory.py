"""Puts the code side of a study together: its versions, the gate's rules, who makes edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tunesmith.agent.code_search.editor import Editor
from tunesmith.agent.code_search.search import CodeSearch
from tunesmith.agent.llm.candidate_pool import BackgroundRunner, CandidatePool
from tunesmith.agent.llm.client.types import LanguageModel
from tunesmith.agent.planner.factory import subject_of
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.variant import Variant
from tunesmith.tools.variants.rules import gate_rules


def make_code_search(  # noqa: PLR0913  # each is another part of a study
    spec: StudySpec,
    root: Variant,
    known: Sequence[Variant],
    *,
    project: Path,
    model: LanguageModel | None,
    advisor: CandidatePool | None,
    runs: BackgroundRunner | None,
    curve: Callable[[int], str] = lambda number: "",  # noqa: ARG005
) -> CodeSearch:
    """Return the code side of a study that has [edits].

    Args:
        spec: the study.
        root: the user's project as it stands.
        known: every version that the history holds.
        project: the folder of study.toml.
        model: the LLM; None for none, then only people make edits.
        advisor: the LLM's other side, which keeps its budget.
        runs: runs questions beside the training; None to wait for each.
        curve: the metric of a trial while it trained, in words.
    """
    rules = gate_rules(spec, project)
    editor = Editor(model, subject_of(spec, project, ()), rules) if model is not None else None
    may_ask = advisor.why_not if advisor is not None else _nobody
    return CodeSearch(spec, root, known, rules=rules, editor=editor, runs=runs, may_ask=may_ask, curve=curve)


def _nobody() -> str:
    return "there is no model"
