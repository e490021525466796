"""Reads the configuration that Hydra composes from YAML files: keys as `optim.lr=...`, groups as choices."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tunesmith.evaluator.filling.files import settings_in
from tunesmith.study.space.condition import Value
from tunesmith.tools.script_reader.literals import dotted, keyword, literal_or
from tunesmith.tools.script_reader.meanings.names import is_known_choice
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Sources
from tunesmith.tools.script_reader.systems.base import Found, calls, found, kind_of

MAX_CHOICES = 12
"""Number of files in a group beyond which it is not tuned."""
MAX_FILES = 60
_SKIPPED_GROUPS = ("hydra", "hparams_search", "experiment", "debug", "local", "paths", "logger", "callbacks", "extras")


def read(sources: Sources) -> Found | None:
    """Return the settings of the configuration that `hydra.main` names."""
    main = _main_call(sources)
    if main is None:
        return None
    folder = (
        sources.main.file.parent / str(literal_or(keyword(main, "config_path"), sources.main.names, None) or ".")
    ).resolve()
    name = str(literal_or(keyword(main, "config_name"), sources.main.names, None) or "config").removesuffix(".yaml")
    if folder.suffix in (".yaml", ".yml"):
        folder, name = folder.parent, folder.stem  # as before Hydra 1.0
    primary = _file(folder, name)
    if primary is None:
        return None
    composition = _Composition(folder, sources.given)
    composition.add(primary, "")
    return found("Hydra", composition.settings())


def _main_call(sources: Sources) -> ast.Call | None:
    decorated = (
        d for node in ast.walk(sources.main.tree) if isinstance(node, ast.FunctionDef) for d in node.decorator_list
    )
    names = ("hydra.main", "hydra_main", "hydra_runner")
    return next(
        (c for c in (*decorated, *calls(sources.main.tree)) if isinstance(c, ast.Call) and dotted(c.func) in names),
        None,
    )


class _Composition:
    """What Hydra makes of the files: values by key, the groups with their options, and which options have a key.

    Args:
        folder: of the configuration.
        given: words of the command line, such as `optimizer=sgd`.
    """

    def __init__(self, folder: Path, given: tuple[str, ...]) -> None:
        self._folder = folder
        self._given = dict(word.lstrip("+").split("=", 1) for word in given if "=" in word and not word.startswith("-"))
        self._values: dict[str, Value] = {}
        self._groups: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._files = 0

    def add(self, file: Path, package: str) -> None:
        """Add a file's values below a package, after the files that its defaults list names."""
        text = file.read_text(encoding="utf-8", errors="replace")
        package = _package(text, package)
        entries = settings_in(str(file), text)
        self._files += 1
        last = package.rpartition(".")[2]
        if package and any(key.startswith(f"{last}.") for key in entries):
            package = package.rpartition(".")[0]  # before Hydra 1.1, a group's file names its package itself
        for group, option in _defaults(entries):
            self._add_group(file, group, option, package)
        for key, value in entries.items():
            if not key.startswith("defaults.") and not key.rpartition(".")[2].startswith("_"):
                self._values[f"{package}.{key}" if package else key] = value

    def _add_group(self, file: Path, group: str, option: str, package: str) -> None:
        inner, _, into = group.removeprefix("override ").removeprefix("optional ").strip().partition("@")
        inner = inner.strip("/")
        base = self._folder if group.startswith("/") or (self._folder / inner).is_dir() else file.parent
        option = self._given.get(inner, option).removesuffix(".yaml")
        chosen = _file(base / inner, option) if inner else _file(file.parent, option)
        if chosen is None or self._files > MAX_FILES or inner.startswith(("hydra/", "override hydra")):
            return
        if inner and not inner.startswith(_SKIPPED_GROUPS):
            options = tuple(sorted(p.stem for p in chosen.parent.glob("*.y*ml")))
            self._groups[inner] = option, options
        place = into.replace("_here_", "").replace("_global_", "") if into else inner.replace("/", ".")
        self.add(chosen, f"{package}.{place}".strip(".") if not inner.startswith("/") else place)

    def settings(self) -> Iterator[Setting]:
        """Yield the groups with several options, then the keys."""
        tuned = {}
        for group, (option, options) in self._groups.items():
            name = group.replace("/", "_")
            if 1 < len(options) <= MAX_CHOICES and group not in self._given:
                setting = Setting(
                    name=name,
                    kind="str",
                    word=f"{group}={{{name}}}",
                    default=option,
                    choices=options,
                    path=group.replace("/", "."),
                )
                tuned[group] = setting
                yield setting
        for key, value in self._values.items():
            if isinstance(value, str | int | float | bool) or value is None:
                yield self._with_condition(_key_setting(key, value), key, tuned)

    def _with_condition(self, setting: Setting, key: str, groups: Mapping[str, Setting]) -> Setting:
        """Return the setting with the options of its group that have it."""
        for group, choice in groups.items():
            place = group.replace("/", ".") + "."
            if key.startswith(place) and is_known_choice(choice):
                inner = key.removeprefix(place)
                having = [o for o in choice.choices if inner in _keys(self._folder / group, str(o))]
                if having and len(having) < len(choice.choices):
                    return replace(
                        setting,
                        when=f"{choice.name} in {having!r}" if len(having) > 1 else f"{choice.name} == {having[0]!r}",
                    )
        return setting


def _key_setting(key: str, value: Value) -> Setting:
    name = key.replace(".", "_").replace("-", "_")
    kind = kind_of("", value)
    word = f"{key}={{{name}}}" if kind != "bool" else f"{key}={{{name}?true:false}}"
    # A key in a list cannot be overridden by itself.
    is_element = any(part.isdigit() for part in key.split("."))
    is_missing = value == "???"
    return Setting(
        name=name, kind="" if is_element or is_missing else kind, word=word, default=None if is_missing else value,
        path=key, required=is_missing and "." not in key,
    )  # fmt: skip


def _defaults(entries: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    """Yield group and option of each entry of the defaults list; the group is "" for a file of the same folder."""
    for key, value in entries.items():
        if not key.startswith("defaults."):
            continue
        group = key.split(".", 2)[2] if key.count(".") > 1 else ""
        if isinstance(value, str) and value not in ("_self_", "null") and not group.startswith("override hydra"):
            yield group, value


def _package(text: str, otherwise: str) -> str:
    """Return the package that a file's first comment names, such as `# @package _global_`."""
    for line in text.splitlines()[:3]:
        if "@package" in line:
            name = line.split("@package", 1)[1].strip()
            return "" if name == "_global_" else otherwise if name == "_group_" else name
    return otherwise


def _file(folder: Path, name: str) -> Path | None:
    return next((f for f in (folder / f"{name}.yaml", folder / f"{name}.yml") if f.is_file()), None)


def _keys(folder: Path, option: str) -> Mapping[str, Value]:
    file = _file(folder, option)
    return settings_in(str(file), file.read_text(encoding="utf-8", errors="replace")) if file is not None else {}
