"""Reads the command that starts a server: which of its options are tuned, and which combinations do not start."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.study.errors import ProjectError
from tunesmith.study.space.condition import Value
from tunesmith.tools.script_reader.reading import LeftAlone, Setting, Tuned
from tunesmith.tools.script_reader.servers.knowledge import (
    OWN,
    Machine,
    ServerKnowledge,
    ServerOption,
    ServerRule,
    dashed,
    find_server,
    load,
)
from tunesmith.tools.script_reader.sources import load_sources
from tunesmith.tools.script_reader.systems.registry import COMMAND_LINES

PORT_WORD = "{port}"
UNKNOWN_OPTION = "its name does not say that it changes the speed; add it to [space] if it does"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReading:
    """What a study of a server is written from.

    Attributes:
        server: its name, such as "vLLM".
        command: the words before the options that are tuned, with the placeholder of the port.
        tuned: the options to tune.
        left_alone: the others that were looked at, each with the reason.
        rules: combinations that do not start, among the names of the space and the constants.
        constants: numbers that the rules use besides parameters.
        ready: the path that answers once the server is ready.
        model: the model's name or path; "" if the command names none.
        served_name: the name under which it serves the model; "" for the model's own.
        needs_gpu: whether it is meant for GPUs.
        root: the folder that the server is started from.
        notes: what a person should look at.
    """

    server: str
    command: tuple[str, ...]
    tuned: tuple[Tuned, ...]
    left_alone: tuple[LeftAlone, ...] = ()
    rules: tuple[ServerRule, ...] = ()
    constants: Mapping[str, float] | None = None
    ready: str = "/health"
    model: str = ""
    served_name: str = ""
    needs_gpu: bool = False
    root: Path = Path()
    notes: tuple[str, ...] = ()

    @property
    def template(self) -> str:
        """The command of [serve]."""
        return " ".join([*self.command, *(tuned.setting.word for tuned in self.tuned)])


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of a command, with the values of its options by their dashed spelling."""

    rest: tuple[str, ...]
    values: Mapping[str, str]


def read_server(command: str, machine: Machine, *, tokens_per_request: int = 0) -> ServerReading:
    """Return the options of a server to tune.

    Args:
        command: the line that starts it, as a person writes it.
        machine: its cores and GPUs.
        tokens_per_request: tokens that a request of the benchmark has, for rules; 0 if unknown.

    Raises:
        ProjectError: the line cannot be split, nothing is known about this server, or nothing can be tuned.
    """
    try:
        words = shlex.split(command)
    except ValueError:
        raise ProjectError(f"the command has a quote that is not closed: {command}") from None
    if not words:
        raise ProjectError('name the command that starts the server, as in tunesmith init --serve "vllm serve MODEL"')
    known = find_server(command)
    reading = _known(known, words, machine, tokens_per_request) if known else _own(words, machine)
    if not reading.tuned:
        raise ProjectError(
            f"{shlex.join(words)} has no option that is known to change the speed of a server; write [space] and "
            "[serve] yourself, docs/serving.md says how"
        )
    return reading


def _known(known: ServerKnowledge, words: Sequence[str], machine: Machine, tokens_per_request: int) -> ServerReading:
    tunable = {spelling: option for option in known.options for spelling in option.spellings}
    split = _split(words, tunable, known.port)
    constants = _constants(known, words, split, tokens_per_request)
    options = _Options.read(known, machine, split, constants)
    kept, notes = [*split.rest, *options.kept], []
    if known.always and not _option_value(words, known.always[0]):
        kept += known.always
        notes = [f"{' '.join(known.always)} was added: {known.always_why}"]
    untouched = [LeftAlone(name=word, why=group.why) for group in known.untouched for word in group.options]
    names = {t.setting.name for t in options.tuned}
    rules = tuple(r for r in known.rules if r.names <= names | constants.keys() and r.names & names)
    used = frozenset(name for rule in rules for name in rule.names)
    return ServerReading(
        server=known.name,
        command=(*map(_quoted, kept), known.port, PORT_WORD),
        tuned=options.tuned,
        left_alone=(*options.left_alone, *untouched),
        rules=rules,
        constants={name: value for name, value in constants.items() if name in used},
        ready=known.ready,
        model=model_of(known, words),
        served_name=_option_value(words, "--served-model-name"),
        needs_gpu=known.needs_gpu,
        root=Path.cwd(),
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class _Options:
    """The options of a known server: those to tune, those that are not with the reason, and words of the latter."""

    tuned: tuple[Tuned, ...]
    left_alone: tuple[LeftAlone, ...]
    kept: tuple[str, ...]

    @classmethod
    def read(cls, known: ServerKnowledge, machine: Machine, split: _Words, constants: Mapping[str, float]) -> _Options:
        """Sort the options by whether this machine and the command leave a choice."""
        tuned: list[Tuned] = []
        left: list[LeftAlone] = []
        kept: list[str] = []
        for option in known.options:
            given = next((split.values[s] for s in option.spellings if s in split.values), None)
            parameter = option.parameter(machine, _value(option, given, split))
            if option.requires and option.requires not in constants:
                needed = known.constants[option.requires][0]
                left.append(LeftAlone(name=option.option, why=f"needs {needed} in the command, which its rule uses"))
            elif parameter is None:
                left.append(LeftAlone(name=option.option, why="this machine or the command leaves nothing to choose"))
            else:
                setting = Setting(name=option.name, kind=option.type, word=option.word, default=parameter.default)
                tuned.append(Tuned(setting=setting, parameter=parameter, why=option.why))
                continue
            kept += _as_given(option, split)
        return cls(tuple(tuned), tuple(left), tuple(kept))


def _split(words: Sequence[str], tunable: Mapping[str, ServerOption], port: str) -> _Words:
    """Take the options that are tuned, and the port, out of a command."""
    rest: list[str] = []
    values: dict[str, str] = {}
    queue = list(words)
    while queue:
        word = queue.pop(0)
        name, has_value, value = word.partition("=")
        option = tunable.get(dashed(name)) if name.startswith("-") else None
        if option is None and dashed(name) != port:
            rest.append(word)
            continue
        takes_value = option is None or option.type != "bool"
        if takes_value and not has_value and queue:
            value = queue.pop(0)
        values[dashed(name)] = value
    return _Words(tuple(rest), values)


def _value(option: ServerOption, given: str | None, split: _Words) -> Value:
    """Return what the command gives an option; None for nothing."""
    if option.type == "bool":
        return None if given is None else dashed(option.off) not in split.values
    if given is None:
        return None
    if option.type == "choice":
        return given
    try:
        number = float(given)
    except ValueError:
        return None
    return int(number) if option.type == "int" and number.is_integer() else number


def _as_given(option: ServerOption, split: _Words) -> list[str]:
    given = next((s for s in option.spellings if s in split.values), "")
    return [word for word in (given, split.values.get(given, "")) if word]


def _constants(known: ServerKnowledge, words: Sequence[str], split: _Words, tokens: int) -> dict[str, float]:
    """Return the numbers that rules may use: of the command, of the model's own files, and of the benchmark."""
    model = _model_config(model_of(known, words))
    found: dict[str, float] = {}
    for name, options in known.constants.items():
        text = next((t for option in options if (t := _option_value(split.rest, option))), "")
        if re.fullmatch(r"\d+", text):
            found[name] = int(text)
    defaults = {"max_model_len": "max_position_embeddings", "heads": "num_attention_heads"}
    for name, key in defaults.items():
        value = model.get(key)
        if name not in found and isinstance(value, int) and value > 0:
            found[name] = value
    return {**found, "tokens_per_request": tokens} if tokens else found


def _option_value(words: Sequence[str], option: str) -> str:
    for index, word in enumerate(words):
        name, has_value, value = word.partition("=")
        if dashed(name) == dashed(option):
            return value if has_value else words[index + 1] if index + 1 < len(words) else ""
    return ""


def model_of(known: ServerKnowledge, words: Sequence[str]) -> str:
    """Return the model that a command names; "" if it names none."""
    for option in known.model:
        if value := _option_value(words, option):
            return value
    if known.model_after and known.model_after in words:
        after = words[list(words).index(known.model_after) + 1 :]
        return next((word for word in after[:1] if not word.startswith("-")), "")
    return ""


def _model_config(model: str) -> Mapping[str, object]:
    """Return the model's own config.json, in a folder or in the cache of the hub; {} where it cannot be read."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    cache = hub / f"models--{model.replace('/', '--')}" / "snapshots"
    for file in [Path(model) / "config.json", *sorted(cache.glob("*/config.json"))] if model else []:
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(config, dict):
            inner = config.get("text_config")
            return {**config, **inner} if isinstance(inner, dict) else config
    return {}


def _own(words: Sequence[str], machine: Machine) -> ServerReading:
    """Return the options of a Python script by their names."""
    script = next((index for index, word in enumerate(words) if word.endswith(".py")), None)
    if script is None:
        raise ProjectError(
            f"{words[0]} is not a server that is known here (vLLM, SGLang, llama.cpp, llama-cpp-python), and the "
            "command has no Python script to read; write [serve] yourself, docs/serving.md says how"
        )
    own = load(OWN)
    sources = load_sources(Path(words[script]), (), None)
    found = next((f for system in COMMAND_LINES if (f := system(sources))), None)
    settings = found.settings if found is not None else ()
    by_flag = {f"--{dashed('--' + s.name)[2:]}": s for s in settings}
    options = {flag: option for flag, s in by_flag.items() if (option := _option_for(own, s)) is not None}
    split = _split(words, options, own.port)
    tuned, left = [], []
    for flag, setting in by_flag.items():
        option = options.get(flag)
        default = _value(option, split.values.get(flag), split) if option is not None else None
        parameter = option.parameter(machine, setting.default if default is None else default) if option else None
        if option is None or parameter is None:
            left.append(LeftAlone(name=flag, why=UNKNOWN_OPTION))
        else:
            own_default = replace(setting, default=parameter.default)
            tuned.append(Tuned(setting=own_default, parameter=parameter, why=option.why))
    has_port = own.port in by_flag
    return ServerReading(
        server=own.name,
        command=(*map(_quoted, split.rest), *([own.port, PORT_WORD] if has_port else [])),
        tuned=tuple(tuned),
        left_alone=tuple(item for item in left if item.name != own.port),
        ready=own.ready,
        root=sources.root,
        notes=() if has_port else ("the script has no option --port: add {port} to the command of [serve]",),
    )


def _option_for(own: ServerKnowledge, setting: Setting) -> ServerOption | None:
    if isinstance(setting.default, bool) or not isinstance(setting.default, int | float):
        return None
    name = setting.name.lower().replace("-", "_")
    option = next((o for o in own.options if re.search(o.names, name)), None)
    return replace(option, name=setting.name, option=f"--{setting.name}") if option else None


def _quoted(word: str) -> str:
    return word if word == PORT_WORD else shlex.quote(word)
