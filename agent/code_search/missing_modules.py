"""Tells an edit that is broken from an environment in which no edit can run. Pure functions."""

from __future__ import annotations

import re

from tunesmith.study.trials.trial import Trial
from tunesmith.study.variant import Variant, short_id
from tunesmith.tools.variants.gate import imported_modules

_NO_MODULE = re.compile(r"No module named '([\w.]+)'")


def why_no_edit_can_run(trial: Trial, root: Variant) -> str:
    """Return why no edit can run, and what to do, after a trial of one that missed a module of the user's own code.

    The user's own code ran, so the module is there outside of the sandbox, and no edit can bring it back. Returns ""
    where the edit itself may be broken.
    """
    found = _NO_MODULE.search(trial.failure.reason) if trial.failure is not None else None
    if found is None:
        return ""
    module = found[1].partition(".")[0]
    is_own_file = any(path in (f"{module}.py", f"{module}/__init__.py") for path in root.files)
    if is_own_file or not any(module in imported_modules(text) for text in root.files.values()):
        return ""
    return (
        f"{short_id(trial.proposal.code)} does not find {module}, which your own code imports: edited code runs in the "
        "sandbox, which does not show it. No more edits are asked for in this run; name the python of the training's "
        "environment in [run].command, or put the module's folder in [run].data, then run again"
    )
