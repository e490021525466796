"""What the gate knows of a study: its editable files, its command, and what the training's Python can import."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tunesmith.study.config.spec import StudySpec
from tunesmith.study.edit_paths import looks_like, matches_pattern, new_path_problem, path_problem
from tunesmith.study.space.space import SearchSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """What the gate knows of the study.

    Attributes:
        editable: patterns of the files that may be edited.
        space: the study's parameters.
        protected: patterns of files that may not be edited, even where `editable` matches.
        command: the study's command.
        fidelity: the name of the parameter that makes trials shorter; "" for none.
        metrics: the metrics that trials must report.
        has_judge: whether a separate command measures the metrics, [evaluate].
        may_train_longer: whether an edit may change how long a trial trains, [edits].time.
        texts: the files of text parameters, which a program fills and reads as they are.
        importable: whether the training's Python finds a module.
        shadows: whether a new module of that name would hide one that Python or the project has.
        exists: whether the project has a file or folder of that path, or the path leads through a link.
    """

    editable: Sequence[str]
    space: SearchSpace
    protected: Sequence[str] = ()
    command: str = ""
    fidelity: str = ""
    metrics: Sequence[str] = ()
    has_judge: bool = False
    may_train_longer: bool = False
    texts: Sequence[str] = ()
    importable: Callable[[str], bool] = lambda module: True  # noqa: ARG005
    shadows: Callable[[str], bool] = lambda module: False  # noqa: ARG005
    exists: Callable[[str], bool] = lambda path: False  # noqa: ARG005

    def is_protected(self, path: str) -> bool:
        """Return whether the study protects a file of the project, or one whose name is too similar."""
        return is_protected(path, self.protected)

    def is_editable(self, path: str) -> bool:
        """Return whether a file of the project may be edited; `path` is relative to the project."""
        if path_problem(path):
            return False
        return any(matches_pattern(path, pattern) for pattern in self.editable) and not self.is_protected(path)

    def new_file_problem(self, path: str, files: Iterable[str]) -> str:
        """Return why an edit may not create a file next to the editable `files`; "" if it may."""
        if problem := new_path_problem(path, [*files, *self.protected]):
            return problem
        if self.exists(path):
            return "the project has such a file, or the path leads through a link; choose another name"
        module, _, rest = path.removesuffix(".py").partition("/")
        is_module = (path.endswith(".py") and not rest) or rest == "__init__"
        if is_module and (module in sys.stdlib_module_names or self.shadows(module)):
            return f"it would be imported in place of the module {module}; choose another name"
        return ""


def gate_rules(spec: StudySpec, project: Path) -> GateRules:
    """Return what the gate knows of a study whose files are in `project`."""
    python = _python_of(spec.run.command)

    def importable(module: str) -> bool:
        return (project / f"{module}.py").is_file() or (project / module).is_dir() or _finds(python, module)

    return GateRules(
        editable=spec.edits.files if spec.edits else (),
        protected=spec.edits.protect if spec.edits else (),
        command=spec.run.command,
        space=spec.space,
        fidelity=spec.fidelity.name if spec.fidelity else "",
        metrics=spec.reported_metrics,
        has_judge=spec.evaluate is not None,
        may_train_longer=spec.edits is not None and spec.edits.time == "free",
        texts=[file for text in spec.texts for file in text.files],
        importable=importable,
        shadows=importable,
        exists=lambda path: _is_taken(project, path),
    )


def is_protected(path: str, protected: Iterable[str]) -> bool:
    """Return whether a pattern of [edits].protect matches a path, or one whose name is too similar."""
    similar = looks_like(path)
    return any(matches_pattern(path, p) or matches_pattern(similar, looks_like(p)) for p in protected)


def _is_taken(project: Path, path: str) -> bool:
    """Return whether the path exists in the project, or one of its folders is a link or a file."""
    folders = [project / folder for folder in list(Path(path).parents)[:-1]]
    return os.path.lexists(project / path) or any(f.is_symlink() or f.is_file() for f in folders)


def _python_of(command: str) -> str:
    """Return the Python that the study's command starts; this process's own where the command names none."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    named = next((word for word in words if Path(word).name.startswith("python")), "")
    return shutil.which(named) or sys.executable


@cache
def _finds(python: str, module: str) -> bool:
    """Return whether a Python finds a module. The module is not imported: only the sandbox runs edited code."""
    look = "import importlib.util as u, sys; sys.exit(u.find_spec(sys.argv[1]) is None)"
    try:
        done = subprocess.run([python, "-I", "-c", look, module], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        # Not known. The run itself fails with ModuleNotFoundError where the module is missing.
        return True
    return done.returncode == 0
