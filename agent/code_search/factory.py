"""Builds the code search of a study: its versions, the rules for edits, and the editor that asks the LLM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunesmith.agent.code_search.questions.editor import Editor
from tunesmith.agent.code_search.questions.evidence import RunRecords
from tunesmith.agent.code_search.search import CodeSearch
from tunesmith.agent.llm.background import BackgroundRunner
from tunesmith.agent.llm.candidate_pool import CandidatePool
from tunesmith.agent.llm.client.types import LanguageModel
from tunesmith.agent.planner.study_brief import make_study_brief
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.optional_packages import require
from tunesmith.study.variant import Variant
from tunesmith.tools.variants.rules import gate_rules


def make_code_search(  # noqa: PLR0913  # each is another part of a study
    spec: StudySpec,
    root: Variant,
    known: Sequence[Variant],
    *,
    project: Path,
    model: LanguageModel | None,
    candidate_pool: CandidatePool | None,
    runner: BackgroundRunner | None,
    records: RunRecords | None = None,
) -> CodeSearch:
    """Return the code search of a study that has [edits].

    Args:
        spec: the study.
        root: the user's project as it is now.
        known: every version in the history.
        project: the folder of study.toml.
        model: the LLM; None for edits by people only.
        candidate_pool: keeps the LLM's budget; None without a model.
        runner: asks questions in the background; None to wait for each answer.
        records: what the study's runs left behind, for questions.

    Raises:
        ProjectError: pyflakes is not installed.
    """
    require("pyflakes", purpose="[edits]", extra="edits")
    rules = gate_rules(spec, project)
    editor = Editor(model, make_study_brief(spec, project, ()), rules) if model is not None else None
    unavailable_reason = candidate_pool.unavailable_reason if candidate_pool is not None else _no_model
    return CodeSearch(
        spec,
        root,
        known,
        rules=rules,
        editor=editor,
        runner=runner,
        unavailable_reason=unavailable_reason,
        records=records,
    )


def _no_model() -> str:
    return "the study has no model"
