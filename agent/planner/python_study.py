"""The study that a Python program describes: its document, the planner by name, and whether it may be resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tunesmith.agent.llm.client.types import LanguageModel
from tunesmith.agent.planner.arbiter import LLMRules
from tunesmith.agent.sampler.base import Sampler
from tunesmith.history.read import History
from tunesmith.study.config.load import parse_spec
from tunesmith.study.config.space_tables import relations_document, space_document
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.config.tables.run import PYTHON_FUNCTION
from tunesmith.study.errors import Mistake, SpecError
from tunesmith.study.space.mixtures.rows import Declared
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.space.space_checks import changed_parameters


def rules_and_sampler(
    planner: str | Sampler, model: str | LanguageModel | None
) -> tuple[LLMRules | None, str | Sampler]:
    """Return the rules for the LLM, None for the usual ones, and the sampler that proposes with it.

    Raises:
        SpecError: the planner needs a model and has none.
    """
    if planner not in ("llm", "hybrid"):
        return None, planner
    if model is None:
        raise SpecError(
            [Mistake("model", f'is missing: planner {planner!r} needs one, for example "openai:gpt-5-mini"')],
            where="Tuner",
        )
    return (LLMRules(fraction=1.0, scored=False) if planner == "llm" else None), "bayes"


def require_same_space(path: Path | None, spec: StudySpec) -> None:
    """Refuse to resume a study that has other parameters; ranges may change.

    Raises:
        SpecError: the history has a study of this name with another space.
    """
    history = History.open_if_any(path) if path is not None else None
    if history is None:
        return
    with history:
        earlier = history.find(spec.study.name)
    if earlier is None or earlier.project:  # a project's study is refused as such when it is opened
        return
    changes = "; ".join(changed_parameters(earlier.spec.space.parameters, spec.space.parameters))
    if changes:
        message = f"{path} has a study {spec.study.name!r} of another space ({changes}); give this one another name="
        raise SpecError([Mistake("space", message)], where="Tuner")


def search_space(space: Declared | SearchSpace, derived: Mapping[str, str], forbid: Sequence[str]) -> SearchSpace:
    """Return the space of parameters by name, or a ready one, with these relations."""
    if not isinstance(space, SearchSpace):
        return SearchSpace(space, derived=derived, forbid=forbid)
    return space.related(derived, forbid) if derived or forbid else space


def python_study(
    space: SearchSpace,
    study: Mapping[str, Any],
    planner: Mapping[str, Any],
    learn_from: Sequence[str],
    instances: Mapping[str, Any] | None = None,
) -> StudySpec:
    """Return the study of a program that asks and tells.

    Args:
        space: what is tuned.
        study: the keys of [study].
        planner: the keys of [planner].
        learn_from: the names of earlier studies.
        instances: the keys of [instances]; None without them.

    Raises:
        SpecError: a key has a wrong value.
    """
    listed = {k: [v] if isinstance(v, str) else list(v) for k, v in study.items() if k in ("metric", "direction")}
    document = {
        "study": {**study, **listed},
        "run": {"command": PYTHON_FUNCTION},
        "space": space_document(space),
        **relations_document(space),
        "planner": dict(planner),
        **({"warm_start": {"from": list(learn_from)}} if learn_from else {}),
        **({"instances": instances} if instances is not None else {}),
    }
    return parse_spec(document, where="this tuner")
