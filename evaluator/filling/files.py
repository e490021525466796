"""Reads settings from a file of any known format, and writes a trial's values into its text.

Knows no study: keys and values in, text out. Formats: Python, notebooks, YAML, JSON, TOML, INI and .env.
"""

from __future__ import annotations

import configparser
import io
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import PurePath
from typing import Any

import tomli_w

from tunesmith.evaluator.filling import notebook, python_source, yaml_document
from tunesmith.study.names import did_you_mean
from tunesmith.study.space.condition import Value

FORMATS = (".py", ".ipynb", ".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".env")
_ENV_LINE = re.compile(
    r"^([^\S\n]*(?:export[^\S\n]+)?)([A-Za-z_]\w*)([^\S\n]*=[^\S\n]*)([^#\n]*?)([^\S\n]{0,200}(?:#.*)?)$", re.MULTILINE
)


def fill_text(path: str, text: str, values: Mapping[str, Value]) -> str:
    """Return a file's text with other values.

    Args:
        path: of the file; its ending says what format it has.
        text: what it holds.
        values: by dotted key, such as `optim.lr`.

    Raises:
        ValueError: it has no such key, is not valid, or has a format that cannot be filled; the text says so as the
            rest of a sentence that begins with the path.
    """
    if not values:
        return text
    try:
        return _filler(path)(text, values)
    except KeyError as error:
        key = str(error.args[0])
        known = [name for name in settings_in(path, text) if "#" not in name]
        raise ValueError(f"has no {key!r}{did_you_mean(key, known)}") from None


def settings_in(path: str, text: str) -> dict[str, Value]:
    """Return the values in a file by key; nothing of a file that is not valid.

    Raises:
        ValueError: it has a format that cannot be read.
    """
    suffix = _format(path)
    try:
        match suffix:
            case ".py" | ".ipynb":
                source = notebook.code(text) if suffix == ".ipynb" else text
                return {place.address: None for place in python_source.places(python_source.parse(source))}
            case ".yaml" | ".yml":
                return yaml_document.entries(text)
            case ".env":
                return {match[2]: _scalar(match[4]) for match in _ENV_LINE.finditer(text)}
            case ".ini" | ".cfg":
                return {f"{s}.{k}": _scalar(v) for s, pairs in _ini(text).items() for k, v in pairs.items()}
        loaded = json.loads(text) if suffix == ".json" else tomllib.loads(text)
        return dict(_flat(loaded))
    except (SyntaxError, ValueError, RecursionError, MemoryError, configparser.Error):
        return {}


def _filler(path: str) -> Callable[[str, Mapping[str, Value]], str]:
    suffix = _format(path)
    match suffix:
        case ".py":
            return python_source.fill
        case ".ipynb":
            return notebook.fill
        case ".yaml" | ".yml":
            return yaml_document.fill
        case ".json":
            return _fill_json
        case ".toml":
            return _fill_toml
        case ".env":
            return _fill_env
    return _fill_ini


def _format(path: str) -> str:
    name = PurePath(path).name
    suffix = ".env" if name == ".env" or name.startswith(".env.") else PurePath(path).suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"cannot be filled; known are {', '.join(FORMATS)}")
    return suffix


def _fill_json(text: str, values: Mapping[str, Value]) -> str:
    loaded = json.loads(text)
    _set_all(loaded, values)
    return json.dumps(loaded, indent=2, ensure_ascii=False) + "\n"


def _fill_toml(text: str, values: Mapping[str, Value]) -> str:
    loaded = tomllib.loads(text)
    _set_all(loaded, values)
    return tomli_w.dumps(loaded)


def _fill_ini(text: str, values: Mapping[str, Value]) -> str:
    parser = _ini(text)
    for key, value in values.items():
        section, _, option = key.partition(".")
        if not parser.has_option(section, option):
            raise KeyError(key)
        parser.set(section, option, str(value))
    written = io.StringIO()
    parser.write(written)
    return written.getvalue()


def _fill_env(text: str, values: Mapping[str, Value]) -> str:
    known = {match[2] for match in _ENV_LINE.finditer(text)}
    if missing := next((key for key in values if key not in known), None):
        raise KeyError(missing)

    def written(match: re.Match[str]) -> str:
        return f"{match[1]}{match[2]}{match[3]}{values[match[2]]}{match[5]}" if match[2] in values else match[0]

    return _ENV_LINE.sub(written, text)


def _ini(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # keys keep their capitals
    parser.read_string(text)
    return parser


def _set_all(loaded: Any, values: Mapping[str, Value]) -> None:
    for key, value in values.items():
        owner: Any = loaded
        *parents, last = key.split(".")
        for part in parents:
            owner = _child(owner, part, key)
        _child(owner, last, key)
        owner[int(last) if isinstance(owner, list) else last] = value


def _child(owner: Any, part: str, key: str) -> Any:
    if isinstance(owner, MutableMapping) and part in owner:
        return owner[part]
    if isinstance(owner, list) and part.isdigit() and int(part) < len(owner):
        return owner[int(part)]
    raise KeyError(key)


def _flat(entry: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Value]]:
    if depth > yaml_document.MAX_DEPTH:
        return
    pairs = entry.items() if isinstance(entry, dict) else enumerate(entry) if isinstance(entry, list) else ()
    for key, value in pairs:
        name = f"{prefix}{key}"
        if isinstance(value, dict | list):
            yield from _flat(value, f"{name}.", depth + 1)
        elif isinstance(value, bool | int | float | str) or value is None:
            yield name, value


def _scalar(text: str) -> Value:
    text = text.strip().strip("\"'")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)
