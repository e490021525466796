"""Reads a training script: its settings, what it prints, what makes it shorter. Never imports or runs it."""

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
_SEED = re.compile(r"^(random_)?(seed|state)$", re.IGNORECASE)
_NO_HYPERPARAMETER = re.compile(
    r"path|(^|_)dir|file|folder|output|(^|_)out$|(^|_)log|device|cuda|gpu|verbos|quiet|debug|worker|(^|_)name$|project"
    r"|wandb|tensorboard|resume|checkpoint|ckpt|save|load|port|host|rank|url|version|interval|every|dry_run|profile|(^|_)data$"
    r"|dataset|token$|entity|(^|_)jobs|threads|compile|download|test_size|split|train_size|master_process",
    re.IGNORECASE,
)


def read_script(path: Path) -> ScriptReading:
    """Return what is found in the script.

    Raises:
        ProjectError: it is missing, is no Python, or has nothing that could be tuned.
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
            f"nothing to tune was found in {path}: looked for argparse, click and typer options, dataclass fields and "
            "constants with a number, a switch or choices; write [space] by hand (docs/study-toml.md)"
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
        raise ProjectError(f"there is no script at {path}; give the path of the Python file that trains") from None
    except IsADirectoryError:
        raise ProjectError(f"{path} is a folder; give the Python file in it that trains") from None
    except UnicodeDecodeError:
        raise ProjectError(f"{path} is no Python script: it is not UTF-8 text") from None
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}") from None
    try:
        with warnings.catch_warnings():
            # Odd escapes in somebody's script are not our user's concern here.
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        raise ProjectError(f"{path} is no Python that can be read: line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ProjectError(f"{path} is no Python that can be read: {error}") from None


def _is_fidelity(setting: Setting) -> bool:
    value = setting.default
    is_count = not isinstance(value, bool) and _is_usable(value) and value > 1 and value == int(value)
    return bool(_FIDELITY.match(setting.name)) and is_count


def _can_be_a_key(name: str) -> bool:
    # The study file and the command template both take ASCII names only.
    return name.isidentifier() and name.isascii()


def _is_usable(value: object) -> TypeGuard[int | float]:
    """Tell whether a range can be drawn around the number: an infinite or astronomic default means "no limit"."""
    return isinstance(value, int | float) and abs(value) <= _LARGEST and math.isfinite(value)


def _is_tunable(setting: Setting) -> bool:
    if _NO_HYPERPARAMETER.search(setting.name) or _SEED.match(setting.name):
        return False
    if setting.choices:
        return len(setting.choices) > 1 and all(isinstance(c, str) or _is_usable(c) for c in setting.choices)
    return setting.kind == "bool" or (setting.kind in ("float", "int") and _is_usable(setting.default))
