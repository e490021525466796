"""Tunesmith tunes training scripts.

The public names load on first use: `import tunesmith` inside a training script imports nothing but the standard
library and takes a few milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_MODULES = {
    "Bool": "tunesmith.study.space.parameters",
    "Choice": "tunesmith.study.space.parameters",
    "Float": "tunesmith.study.space.parameters",
    "Int": "tunesmith.study.space.parameters",
    "SearchSpace": "tunesmith.study.space.space",
    "Shares": "tunesmith.study.space.mixtures.shares",
    "Tuner": "tunesmith.agent.tuner",
    "artifacts": "tunesmith.evaluator.reporting",
    "hf": "tunesmith.hf",
    "lightning": "tunesmith.lightning",
    "minimize": "tunesmith.agent.adapters.python_function",
    "optuna": "tunesmith.optuna",
    "params": "tunesmith.evaluator.reporting",
    "ray": "tunesmith.ray",
    "report": "tunesmith.evaluator.reporting",
    "resume_from": "tunesmith.evaluator.reporting",
    "schedules": "tunesmith.schedules",
    "sklearn": "tunesmith.sklearn",
}

__all__ = [
    "Bool",
    "Choice",
    "Float",
    "Int",
    "SearchSpace",
    "Shares",
    "Tuner",
    "artifacts",
    "hf",
    "lightning",
    "minimize",
    "optuna",
    "params",
    "ray",
    "report",
    "resume_from",
    "schedules",
    "sklearn",
]

if TYPE_CHECKING:
    from tunesmith import hf, lightning, optuna, ray, schedules, sklearn
    from tunesmith.agent.adapters.python_function import minimize
    from tunesmith.agent.tuner import Tuner
    from tunesmith.evaluator.reporting import artifacts, params, report, resume_from
    from tunesmith.study.space.mixtures.shares import Shares
    from tunesmith.study.space.parameters import Bool, Choice, Float, Int
    from tunesmith.study.space.space import SearchSpace


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'tunesmith' has no attribute {name!r}")
    module = importlib.import_module(_MODULES[name])
    return module if _MODULES[name] == f"{__name__}.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
