"""Tells what kind of script it is, since `gamma` means something else in each."""

from __future__ import annotations

import ast
import re

from tunesmith.evaluator.filling.python_source import called
from tunesmith.tools.script_reader.metric_guesses import guess_metrics
from tunesmith.tools.script_reader.metric_words import is_cost
from tunesmith.tools.script_reader.sources import Sources

_RL = (
    "gym",
    "gymnasium",
    "stable_baselines3",
    "stable_baselines",
    "pettingzoo",
    "envpool",
    "dm_control",
    "tianshou",
    "procgen",
    "brax",
    "spinup",
    "rllib",
    "gym_minigrid",
    "minigrid",
    "safety_gymnasium",
    "baselines",
)
_BOOSTING = ("xgboost", "lightgbm", "catboost")
_LEARNING = (
    "torch", "tensorflow", "keras", "jax", "flax", "sklearn", "xgboost", "lightgbm", "catboost", "transformers",
    "lightning", "pytorch_lightning", "fastai", "mxnet", "paddle", "mindspore", "statsmodels",
)  # fmt: skip
_SVM = re.compile(r"^(SVC|SVR|NuSVC|NuSVR|LinearSVC|LinearSVR|OneClassSVM|KernelRidge|SVM)$")
_DECAY = re.compile(r"^(StepLR|MultiStepLR|ExponentialLR|ExponentialDecay|exponential_decay|LambdaLR)$")


def domains_of(sources: Sources) -> frozenset[str]:
    """Return "rl", "boosting", "svm" and "decay", as far as they apply; "program" for one that is measured by time."""
    names = {called(node) for module in sources.modules for node in ast.walk(module.tree) if isinstance(node, ast.Call)}
    found = set()
    if sources.imports(*_RL):
        found.add("rl")
    if sources.imports(*_BOOSTING) or any("Boost" in name for name in names):
        found.add("boosting")
    if any(_SVM.match(name) for name in names):
        found.add("svm")
    if any(_DECAY.match(name) for name in names) and "rl" not in found:
        found.add("decay")
    if not sources.imports(*_RL, *_LEARNING) and (metrics := guess_metrics(sources)) and is_cost(metrics[0].name):
        found.add("program")
    return frozenset(found)
