"""Reads the YAML, JSON, TOML, INI and .env files that a script names; a trial's copy of them is filled."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tunesmith.evaluator.filling.files import settings_in
from tunesmith.study.space.condition import Value
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Sources
from tunesmith.tools.script_reader.systems.base import Found, found, kind_of

_NAMES = re.compile(r"[\w./{}-]{1,120}\.(?:ya?ml|json|toml|ini|cfg)")
_FOLDERS = ("", "config", "configs", "conf", "cfg", "cfgs", "hparams", "params", "settings")
_NOT_CONFIGURATION = re.compile(
    r"package|tsconfig|pyproject|setup\.cfg|tox|environment|requirements|\.github|docker|data/|vocab|label|class|annot|result|metric|history|log|output|token",
    re.IGNORECASE,
)
MAX_BYTES = 200_000


def read(sources: Sources, named: tuple[str, ...] = (), *, only_named: bool = False) -> Found | None:
    """Return the values of the first file that the command line or the code names and that exists.

    Args:
        sources: the script and its modules.
        named: paths that options have as their defaults.
        only_named: whether files that only the code names do not count.
    """
    others = () if only_named else (*_in_code(sources), *_dotenv(sources))
    for path in dict.fromkeys((*_given(sources), *named, *others)):
        file = next((f for f in (sources.root / path, sources.main.file.parent / path) if f.is_file()), None)
        if file is None or not file.is_relative_to(sources.root) or file.stat().st_size > MAX_BYTES:
            continue
        relative = str(file.relative_to(sources.root))
        try:
            text = file.read_text(encoding="utf-8")
            settings = list(_settings(relative, settings_in(relative, text)))
        except (OSError, ValueError):
            continue
        if settings:
            result = found(relative, iter(settings))
            return None if result is None else Found(system=relative, settings=result.settings, is_command_line=False)
    return None


def candidates(sources: Sources) -> list[str]:
    """Return the configuration files of the project, those in its top folder first."""
    found_files = []
    for folder in _FOLDERS:
        for pattern in ("*.yaml", "*.yml", "*.json", "*.toml"):
            for file in sorted((sources.root / folder).glob(pattern)):
                path = str(file.relative_to(sources.root))
                if not _NOT_CONFIGURATION.search(path):
                    found_files.append(path)
    return found_files


def _given(sources: Sources) -> Iterator[str]:
    for word in sources.given:
        yield from _NAMES.findall(word.partition("=")[2] or word)


def _in_code(sources: Sources) -> Iterator[str]:
    for module in sources.modules:
        for node in ast.walk(module.tree):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if _NAMES.fullmatch(text) and not _NOT_CONFIGURATION.search(text):
                yield text


def _dotenv(sources: Sources) -> Iterator[str]:
    if sources.imports("dotenv", "decouple", "environs", "pydantic_settings"):
        yield ".env"


def _settings(path: str, entries: dict[str, Value]) -> Iterator[Setting]:
    for key, value in entries.items():
        name = re.sub(r"\W", "_", key)
        is_named = not key.rpartition(".")[2].startswith("_")
        if isinstance(value, bool | int | float | str) and is_named and name.isidentifier():
            is_env = Path(path).name.startswith(".env")
            yield Setting(
                name=name.lower() if is_env else name,
                kind=kind_of("", value),
                default=value,
                file=path,
                key=key,
                path=key,
            )
