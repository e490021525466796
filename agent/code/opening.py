"""Puts the code side of a study together: its versions, the gate's rules, who makes edits."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from tunesmith.agent.advisor import Advisor, Runs
from tunesmith.agent.code.editor import Editor
from tunesmith.agent.code.search import CodeSearch
from tunesmith.agent.models.calls import AsksModels
from tunesmith.agent.planning import subject_of
from tunesmith.study.spec import StudySpec
from tunesmith.study.variant import Variant
from tunesmith.tools.variants.gate import Rules


def open_code(  # noqa: PLR0913  # each is another part of a study
    spec: StudySpec,
    root: Variant,
    known: Sequence[Variant],
    *,
    project: Path,
    model: AsksModels | None,
    advisor: Advisor | None,
    runs: Runs | None,
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
    rules = rules_of(spec, project)
    editor = Editor(model, subject_of(spec, project, ()), rules) if model is not None else None
    may_ask = advisor.why_not if advisor is not None else _nobody
    return CodeSearch(spec, root, known, rules=rules, editor=editor, runs=runs, may_ask=may_ask, curve=curve)


def rules_of(spec: StudySpec, project: Path) -> Rules:
    """Return what the gate knows of a study."""
    python = _python_of(spec.run.command)

    def importable(module: str) -> bool:
        return (project / f"{module}.py").is_file() or (project / module).is_dir() or _finds(python, module)

    return Rules(
        editable=spec.edits.files if spec.edits else (),
        protected=spec.edits.protect if spec.edits else (),
        command=spec.run.command,
        space=spec.space,
        fidelity=spec.fidelity.name if spec.fidelity else "",
        metrics=spec.metrics,
        has_judge=spec.evaluate is not None,
        importable=importable,
    )


def _nobody(view: object) -> str:  # noqa: ARG001
    return "there is no model"


def _python_of(command: str) -> str:
    """Return the Python that the study's command starts, ours when it does not say."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    named = next((word for word in words if Path(word).name.startswith("python")), "")
    return shutil.which(named) or sys.executable


@cache
def _finds(python: str, module: str) -> bool:
    """Tell whether a Python finds a module; importing it is left to the sandbox."""
    look = "import importlib.util as u, sys; sys.exit(u.find_spec(sys.argv[1]) is None)"
    try:
        done = subprocess.run([python, "-I", "-c", look, module], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return True  # the run itself will tell
    return done.returncode == 0
