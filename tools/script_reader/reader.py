"""Reads a training script: its settings, its metrics, and what makes a run shorter. Never imports or runs it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from tunesmith.study.config.tables.run import GIVEN_PLACEHOLDERS
from tunesmith.study.errors import ProjectError
from tunesmith.tools.script_reader.given_words import with_given
from tunesmith.tools.script_reader.meanings.budgets import is_budget
from tunesmith.tools.script_reader.meanings.domains import domains_of
from tunesmith.tools.script_reader.meanings.instances import instances_of
from tunesmith.tools.script_reader.meanings.relations import with_divisible_width
from tunesmith.tools.script_reader.meanings.roles import Roles, sort_out
from tunesmith.tools.script_reader.meanings.usage import known_conditions, with_uses
from tunesmith.tools.script_reader.metric_guesses import guess_metrics
from tunesmith.tools.script_reader.notebooks import RUNNER, runner_text
from tunesmith.tools.script_reader.outside import shared_folders
from tunesmith.tools.script_reader.reading import LeftAlone, ScriptReading, Setting
from tunesmith.tools.script_reader.sources import Sources, load_sources
from tunesmith.tools.script_reader.systems import config_files, environment, python_values
from tunesmith.tools.script_reader.systems.base import Found
from tunesmith.tools.script_reader.systems.registry import COMMAND_LINES

_CONFIG_OPTION = re.compile(
    r"^(config|cfg|conf|(config|cfg|conf)_?(file|path|name)|hyp|hparams(_file)?|params(_file)?|yaml|yaml_file|settings)$"
)
_OUTPUT = re.compile(
    r"^(out(put)?_?(dir|path|folder)|outdir|work_?dir|save_?(dir|path|folder)|log_?dir|results?_?dir|model_?dir|ckpt_?dir)$"
)
ENOUGH = 2
"""Number of tuned settings, a learning rate among them, from which the code is not searched for constants as well."""
MANY = 6
"""Number of tuned settings from which it is not, whichever they are."""
MAX_TUNED = 24
"""Number of parameters beyond which further ones that are only in the code are left alone."""


def read_script(path: Path, given: Sequence[str] = (), root: Path | None = None) -> ScriptReading:
    """Return the settings and metrics of the script.

    Args:
        path: of the script or notebook.
        given: further words of its command, as a person starts it.
        root: the folder that it is started from; found out if left out.

    Raises:
        ProjectError: it is missing, is not valid Python, or has nothing to tune.
    """
    sources = load_sources(path, tuple(given), root)
    parts = _find(sources)
    domains = domains_of(sources)
    trees = [module.tree for module in sources.modules]
    settings = with_uses(_named_shortly([s for part in parts for s in part.settings]), trees)
    settings, given_words, numbers = with_given(settings, sources.given)
    settings = _with_outputs(settings)
    instances = instances_of(settings, trees)
    settings = [s for s in settings if instances is None or s is not instances.setting]
    roles = sort_out(settings, domains)
    roles = sort_out(known_conditions(settings, [t.setting.name for t in roles.tuned]), domains)
    roles = _not_too_many(replace(roles, tuned=with_divisible_width(roles.tuned, settings)))
    if not roles.tuned:
        raise ProjectError(_nothing(path, parts, roles))
    config = _config_setting(settings, sources)
    fixed = {s.name for s in settings if s.word and "{" not in s.word.replace("{artifacts}", "")}
    config_words, config_notes = _config_option(sources, settings, parts)
    helpers = {RUNNER: runner_text()} if sources.is_notebook else {}
    return ScriptReading(
        system=" and ".join(part.system for part in parts if part.settings),
        command=_command(sources, parts, (*given_words, *_kept(numbers, roles), *config_words, *_fixed(settings))),
        tuned=roles.tuned,
        left_alone=tuple(left for left in roles.left_alone if left.name not in fixed),
        fidelity=roles.fidelity,
        follows=roles.follows,
        seeds=roles.seeds,
        instance=instances.setting if instances is not None else None,
        instances=instances.values if instances is not None else (),
        required=tuple(s for s in roles.required if s.name not in fixed and not (s is config and config_words)),
        metrics=guess_metrics(sources, domains),
        shared=shared_folders(sources, settings),
        # Otherwise an installed package would be used, not the trial's copy of it.
        environment={"PYTHONPATH": "."} if "/" in sources.script else {},
        helpers=helpers,
        notes=(*(note for part in parts for note in part.notes), *config_notes, *_endless(settings, roles, domains)),
        root=sources.root,
        script=sources.script,
        domains=domains,
    )


def _find(sources: Sources) -> list[Found]:
    """Return the command line's settings, then those of files, the environment and the code."""
    options = next((f for system in COMMAND_LINES if not sources.is_notebook and (f := system(sources))), None)
    parts = [options] if options is not None else []
    named = tuple(str(s.default) for s in options.settings if _names_config(s) and s.default) if options else ()
    is_rich = options is not None and _is_rich(options.settings)
    if options is not None and options.system == "configurator":
        parts += [f for f in (python_values.read(sources, is_only_source=False),) if f]
    elif options is None or options.system not in ("Hydra", "Lightning CLI"):
        if options is not None and (default := _only_config(sources, options.settings)):
            named = (*named, default)
        parts += [f for f in (config_files.read(sources, named, only_named=is_rich),) if f]
        parts += [f for f in (environment.read(sources),) if f]
        is_rich = is_rich or _is_rich([s for part in parts for s in part.settings])
        parts += [f for f in (python_values.read(sources, is_only_source=not is_rich),) if f]
    return _without_doubles(parts)


def _is_rich(settings: Sequence[Setting]) -> bool:
    """Return whether the settings are those that matter: several, and a learning rate where anything has one."""
    tuned = [t.setting for t in sort_out(settings).tuned]
    return len(tuned) >= MANY or (
        len(tuned) >= ENOUGH and any(re.search(r"lr|rate|eta", s.name.lower()) for s in tuned)
    )


def _without_doubles(parts: list[Found]) -> list[Found]:
    """Return the parts without settings of the code that are options under the same name."""
    seen: set[str] = set()
    kept = []
    for part in parts:
        own = [s for s in part.settings if part.is_command_line or _last(s) not in seen]
        seen |= {_last(s) for s in own}
        if own:
            kept.append(replace(part, settings=tuple(own)))
    return kept


def _last(setting: Setting) -> str:
    return (setting.path or setting.name).rpartition(".")[2].lower()


def _named_shortly(settings: Sequence[Setting]) -> list[Setting]:
    """Return the settings under the shortest ends of their dotted names that are unique."""
    paths = [re.sub(r"\W+", ".", s.path).strip(".").split(".") if "." in s.path else [s.name] for s in settings]
    # The index in a list is not a name.
    lengths = [2 if path[-1].isdigit() and len(path) > 1 else 1 for path in paths]
    while True:
        names = ["_".join(path[-length:]) for path, length in zip(paths, lengths, strict=True)]
        counts = Counter(names)
        longer = [
            min(length + 1, len(path)) if counts[name] > 1 else length
            for name, path, length in zip(names, paths, lengths, strict=True)
        ]
        if longer == lengths:
            break
        lengths = longer
    taken: set[str] = set()
    return [_renamed(s, name, taken) for s, name in zip(settings, names, strict=True)]


def _renamed(setting: Setting, name: str, taken: set[str]) -> Setting:
    # Study files and commands allow ASCII identifiers, and some names mean something in a command.
    name = re.sub(r"\W", "_", name)
    name = f"p{name}" if name[:1].isdigit() else name
    name = setting.name if not name.isidentifier() or not name.isascii() else name
    while name in taken or (name in GIVEN_PLACEHOLDERS and setting.name != "seed"):
        name += "_2"
    taken.add(name)
    word = setting.word.replace(f"{{{setting.name}}}", f"{{{name}}}").replace(f"{{{setting.name}?", f"{{{name}?")
    return replace(setting, name=name, word=word, path=setting.path or setting.name)


def _only_config(sources: Sources, settings: Sequence[Setting]) -> str:
    """Return the configuration file for an option that names one and has no default; "" if there is no such option."""
    option = _config_setting(settings, sources)
    files = config_files.candidates(sources) if option is not None else []
    given = any(PurePath(word).suffix in (".yaml", ".yml", ".json", ".toml") for word in sources.given)
    return files[0] if files and not given else ""


def _config_setting(settings: Sequence[Setting], sources: Sources) -> Setting | None:
    """Return the option that names a configuration file and has none as its default, or one that does not exist."""
    options = (s for s in settings if _names_config(s) and s.word)
    return next((s for s in options if not s.default or not (sources.root / str(s.default)).exists()), None)


def _names_config(setting: Setting) -> bool:
    """Return whether an option names a configuration file."""
    return bool(_CONFIG_OPTION.match(setting.name.lower())) and setting.kind in ("", "str") and not setting.choices


def _config_option(
    sources: Sources, settings: Sequence[Setting], parts: Sequence[Found]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words that name the configuration file, and what to say about the choice."""
    option = _config_setting(settings, sources)
    chosen = _only_config(sources, settings)
    if option is None or not chosen or not any(part.system == chosen for part in parts):
        return (), ()
    others = [file for file in config_files.candidates(sources) if file != chosen]
    note = (f"{chosen} was taken as the configuration; others: {', '.join(others[:5])}",) if others else ()
    return tuple(option.word.replace(f"{{{option.name}}}", chosen).split()), note


def _command(sources: Sources, parts: Sequence[Found], given: tuple[str, ...]) -> tuple[str, ...]:
    script = (RUNNER, sources.script) if sources.is_notebook else (sources.script,)
    words = next((part.words for part in parts if part.is_command_line), ())
    return ("python", *script, *words, *given)


def _endless(settings: Sequence[Setting], roles: Roles, domains: frozenset[str]) -> Iterator[str]:
    """Say which option would limit a run that has no limit."""
    if roles.fidelity is None:
        for setting in settings:
            if (
                setting.word
                and is_budget(setting, domains)
                and not (isinstance(setting.default, int) and setting.default > 0)
            ):
                flag = setting.place
                yield f"{flag} has no limit as its default; give one: tunesmith init SCRIPT -- {flag} 1000"
                return


def _not_too_many(roles: Roles) -> Roles:
    """Return the roles with the first of the values that stand in the code, where there are very many."""
    options = sum(not tuned.setting.is_literal for tuned in roles.tuned)
    surplus = [tuned for tuned in roles.tuned if tuned.setting.is_literal][max(0, MAX_TUNED - options) :]
    if not surplus:
        return roles
    left = tuple(LeftAlone(name=t.setting.name, why="one of very many values in the code") for t in surplus)
    return replace(roles, tuned=tuple(t for t in roles.tuned if t not in surplus), left_alone=roles.left_alone + left)


def _kept(numbers: Mapping[str, str], roles: Roles) -> Iterator[str]:
    """Yield the words that give a number to a setting which the study does not vary."""
    varied = {s.name for s in (*(t.setting for t in roles.tuned), *roles.follows, *roles.seeds)}
    varied |= {roles.fidelity.name} if roles.fidelity is not None else set()
    for name, word in numbers.items():
        if name not in varied:
            yield from word.split()


def _fixed(settings: Sequence[Setting]) -> Iterator[str]:
    """Yield the words of options that are required, and whose value is known: where a trial's files go."""
    for setting in settings:
        if setting.word and "{" not in setting.word.replace("{artifacts}", ""):
            yield from setting.word.split()


def _with_outputs(settings: Sequence[Setting]) -> list[Setting]:
    """Return the settings with the folder for artifacts where the script requires a folder for its results."""
    return [
        replace(s, word=s.word.replace(f"{{{s.name}}}", "{artifacts}"), required=False)
        if s.required and s.default is None and _OUTPUT.match(s.name.lower())
        else s
        for s in settings
    ]


def _nothing(path: Path, parts: Sequence[Found], roles: Roles) -> str:
    if not parts:
        return (
            f"found nothing to tune in {path}: no option, configuration file, constant or argument of a known call is "
            "a number, a switch or a choice; write [space] by hand (docs/study-toml.md)"
        )
    reasons = [f"{left.name} ({left.why})" for left in roles.left_alone[:8]]
    more = f" and {len(roles.left_alone) - 8} more" if len(roles.left_alone) > 8 else ""  # noqa: PLR2004  # as above
    what = f"{', '.join(reasons) or 'only budgets and seeds'}{more}"
    by_hand = "write [space] by hand (docs/study-toml.md)"
    return f"found nothing to tune in {path}: {parts[0].system} has {what}; {by_hand}"


def left_alone_by_reason(left: Sequence[LeftAlone]) -> dict[str, list[str]]:
    """Return the names of settings that are left alone, by reason."""
    grouped: dict[str, list[str]] = {}
    for item in left:
        grouped.setdefault(item.why, []).append(item.name)
    return grouped
