"""Tells how long a script trains: which setting is the budget, and which ones must follow it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from tunesmith.tools.script_reader.meanings.names import spelled
from tunesmith.tools.script_reader.reading import Setting

_BUDGETS = (
    re.compile(
        r"^(num_?|n_?|max_?|total_?|nb_?|no_of_)?(train(ing)?_?)?(epochs?|epoc)(_(num|number|count|total|to_train))?$"
    ),
    re.compile(r"^(total|max|num|n)_?(time_?steps|env_steps|frames|episodes)$|^(train_)?timesteps$|^episodes$"),
    re.compile(
        r"^(num_?|n_?|max_?|total_?|nb_?)?(train(ing)?_?)?(steps|iters?|iterations?|updates|batches)$|^nsteps$|^niters?$"
    ),
    re.compile(r"^(num_|n_)?(kimg|nimg)s?$|^total_kimg$|^duration$"),
)
"""Names of budgets, the surest first: epochs before steps."""
_HELP = re.compile(
    r"^\W{0,20}(the )?(max(imum)? |total )*(number|num|#|no\.?|nr) (of )?"
    r"(\w+ ){0,2}?(epochs?|iterations?|training steps)\b|"
    r"^\W{0,20}(total|max|upper)?\W{0,20}epochs?( limit)?\b|^\W{0,20}how many epochs"
)
_NOT = re.compile(
    r"warm|decay|eval|log|save|print|accum|test|val|start|burn|grad|cool|critic|inner|per_|update_epochs|ppo|"
    r"sample|diffusion|noise|early|patience|checkpoint|stop|anneal|learning"
)
_SCHEDULE = re.compile(
    r"(lr_?)?decay_?(iters?|steps|epochs?)$|^t_?max$|^total_?(steps|iters?|epochs?)$|"
    r"sched(uler)?_?(steps|epochs?|iters?)$|^(lr_)?anneal_?(steps|epochs?|iters?)$"
)


def budget(settings: Sequence[Setting], domains: frozenset[str] = frozenset()) -> Setting | None:
    """Return the setting that says how long a script trains."""
    usable = [setting for setting in settings if _is_count(setting) and not _NOT.search(spelled(_last(setting)))]
    for index, pattern in enumerate(_BUDGETS):
        for setting in usable:
            is_rollout = "rl" in domains and re.search(r"^(num_?|n_?)steps$", spelled(_last(setting)))
            if pattern.search(spelled(_last(setting))) and not is_rollout:
                return setting
        if index == 0 and (by_help := next((s for s in usable if _HELP.search(s.help.lower())), None)):
            return by_help
    return None


def is_budget(setting: Setting, domains: frozenset[str] = frozenset()) -> bool:
    """Return whether a setting limits how long the script trains, with any default."""
    name = spelled(_last(setting))
    if _NOT.search(name) or ("rl" in domains and re.search(r"^(num_?|n_?)steps$", name)):
        return False
    by_help = setting.kind in ("int", "float", "") and _HELP.search(setting.help.lower())
    return bool(by_help) or any(pattern.search(name) for pattern in _BUDGETS)


def followers(settings: Iterable[Setting], fidelity: Setting | None) -> list[Setting]:
    """Return the settings that have the fidelity's value because a schedule must be as long as the run."""
    if fidelity is None:
        return []
    return [
        setting
        for setting in settings
        if setting is not fidelity and _SCHEDULE.search(spelled(_last(setting))) and setting.default == fidelity.default
    ]


def _last(setting: Setting) -> str:
    return setting.path.rpartition(".")[2] or setting.name


def _is_count(setting: Setting) -> bool:
    value = setting.default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return value > 1 and value == int(value)
