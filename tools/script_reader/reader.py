"""Reads a training script: its settings, its metrics, and what makes a run shorter. Never imports or runs it."""

from __future__ import annotations

import ast
import math
import re
import warnings
from pathlib import Path
from typing import TypeGuard

from tunesmith.study.errors import ProjectError
from tunesmith.tools.script_reader.findings import ScriptReading, Setting, Style
from tunesmith.tools.script_reader.metrics import guess_metrics
from tunesmith.tools.script_reader.styles import find_settings, has_subcommands

_FIDELITY = re.compile(r"^(num_|n_|max_|total_)?(train_)?(epochs?|steps|iters?|iterations)$|^max_iter$", re.IGNORECASE)
_LARGEST = 10**15
"""Largest default that a range is guessed for; larger ones usually mean "no limit"."""
_SEED = re.compile(r"^(random_)?(seed|state)$", re.IGNORECASE)
_NOT_TUNABLE = re.compile(
    r"path|(^|_)dir|file|folder|output|(^|_)out$|(^|_)log|device|cuda|gpu|verbos|quiet|debug|worker|(^|_)name$|project"
    r"|wandb|tensorboard|resume|checkpoint|ckpt|save|load|port|host|rank|url|version|interval|every|dry_run|profile|(^|_)data$"
    r"|dataset|token$|entity|(^|_)jobs|threads|compile|download|test_size|split|train_size|master_process",
    re.IGNORECASE,
)


def read_script(path: Path) -> ScriptReading:
    """Return the settings and metrics of the script.

    Raises:
        ProjectError: it is missing, is not valid Python, or has nothing to tune.
    """
    tree = _parse(path)
    style, found = find_settings(tree)
    found = [setting for setting in found if _can_be_a_key(setting.name)]
    seed = next((s for s in found if _SEED.match(s.name)), None)
    fidelity = next((s for s in found if _is_fidelity(s)), None)
    rest = [s for s in found if s is not seed and s is not fidelity]
    settings = [s for s in rest if _is_tunable(s)]
    if not settings:
        raise ProjectError(
            f"found nothing to tune in {path}: no argparse, click or typer option, dataclass field or constant is a "
            "number, a switch or a choice; write [space] by hand (docs/study-toml.md)"
        )
    others = [s for s in rest if s not in settings]
    return ScriptReading(
        style=style,
        settings=tuple(settings),
        left_out=tuple(s.name for s in others),
        fidelity=fidelity,
        seed=seed if style not in (Style.CONSTANTS, Style.CONFIG) or (seed and seed.word) else None,
        required=tuple(s for s in others if s.required),
        has_subcommands=has_subcommands(tree),
        metrics=guess_metrics(tree),
    )


def _parse(path: Path) -> ast.Module:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ProjectError(f"{path} does not exist; give the path of the training script") from None
    except IsADirectoryError:
        raise ProjectError(f"{path} is a folder; give the training script in it") from None
    except UnicodeDecodeError:
        raise ProjectError(f"{path} is not a Python script: it is not UTF-8 text") from None
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}") from None
    try:
        with warnings.catch_warnings():
            # Warnings about the script's own code, such as odd escapes, are not about init.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        raise ProjectError(f"{path} is not valid Python: line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ProjectError(f"{path} is not valid Python: {error}") from None


def _is_fidelity(setting: Setting) -> bool:
    value = setting.default
    is_count = not isinstance(value, bool) and _is_usable(value) and value > 1 and value == int(value)
    return bool(_FIDELITY.match(setting.name)) and is_count


def _can_be_a_key(name: str) -> bool:
    # Study files and command templates allow only ASCII names.
    return name.isidentifier() and name.isascii()


def _is_usable(value: object) -> TypeGuard[int | float]:
    """Return whether a range around the number makes sense; an infinite or huge default means "no limit"."""
    return isinstance(value, int | float) and abs(value) <= _LARGEST and math.isfinite(value)


def _is_tunable(setting: Setting) -> bool:
    if _NOT_TUNABLE.search(setting.name) or _SEED.match(setting.name):
        return False
    if setting.choices:
        return len(setting.choices) > 1 and all(isinstance(c, str) or _is_usable(c) for c in setting.choices)
    return setting.kind == "bool" or (setting.kind in ("float", "int") and _is_usable(setting.default))
