"""What a training script needs of Tunesmith, for environments without it: report, params, artifacts, resume_from,
schedules.

This file is `tunesmith/__init__.py` of the package tunesmith-report, and of the folder that trials find on PYTHONPATH.
Where the whole of Tunesmith can be imported too, it takes the place of this module. Needs only the standard library.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from typing import Any

_NAMES = ("artifacts", "params", "report", "resume_from")
_SUBMODULES = ("hf", "lightning", "schedules")


def _whole_package() -> ModuleSpec | None:
    """Return where the whole of Tunesmith is; None if this module is all that there is."""
    own = os.path.realpath(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    before = list(sys.path)
    sys.path[:] = [path for path in before if os.path.realpath(path) != own]
    try:
        for finder in sys.meta_path:
            spec = finder.find_spec("tunesmith", None)
            if spec is not None and spec.loader is not None and spec.origin != __file__:
                return spec
    finally:
        sys.path[:] = before
    return None


def _load() -> None:
    spec = _whole_package()
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["tunesmith"] = module
    spec.loader.exec_module(module)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module("tunesmith.evaluator.reporting"), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"tunesmith.{name}")
    raise AttributeError(f"tunesmith-report has no {name!r}, which needs the whole of Tunesmith in this environment")


if __name__ == "tunesmith":
    _load()
