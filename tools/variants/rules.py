"""What the gate is told of a study, the training's Python among it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tunesmith.study.config.spec import StudySpec
from tunesmith.tools.variants.gate import GateRules


def gate_rules(spec: StudySpec, project: Path) -> GateRules:
    """Return what the gate knows of a study."""
    python = _python_of(spec.run.command)

    def importable(module: str) -> bool:
        return (project / f"{module}.py").is_file() or (project / module).is_dir() or _finds(python, module)

    return GateRules(
        editable=spec.edits.files if spec.edits else (),
        protected=spec.edits.protect if spec.edits else (),
        command=spec.run.command,
        space=spec.space,
        fidelity=spec.fidelity.name if spec.fidelity else "",
        metrics=spec.metrics,
        has_judge=spec.evaluate is not None,
        importable=importable,
    )


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
