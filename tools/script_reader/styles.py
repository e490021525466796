"""Finds the settings of a script, with one function per style of command line. Reads syntax trees only."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from tunesmith.tools.script_reader.findings import Setting, Style
from tunesmith.tools.script_reader.literals import constants, dotted, keyword, literal_or

Names = Mapping[str, Any]
_PARSERS_OF_DATACLASSES = ("transformers", "simple_parsing", "tyro", "draccus", "jsonargparse", "pyrallis")


def find_settings(tree: ast.Module) -> tuple[Style, list[Setting]]:
    """Return the first style that has any setting, and its settings, each name once."""
    names = constants(tree)
    readers = (
        (Style.ARGPARSE, argparse_settings),
        (Style.CLICK, click_settings),
        (Style.TYPER, typer_settings),
        (Style.DATACLASS, dataclass_settings),
        (Style.CONFIG, config_settings),
        (Style.CONSTANTS, constant_settings),
    )
    for style, reader in readers:
        found = {setting.name: setting for setting in reader(tree, names)}
        if found:
            return style, list(found.values())
    return Style.CONSTANTS, []


def has_subcommands(tree: ast.Module) -> bool:
    """Return whether the command line begins with a subcommand (subparsers of argparse, groups of click)."""
    if any(dotted(call.func).endswith(".add_subparsers") for call in _calls(tree)):
        return True
    decorators = (d.func if isinstance(d, ast.Call) else d for f in _functions(tree) for d in f.decorator_list)
    return any(dotted(decorator) in ("click.group", "group") for decorator in decorators)


def argparse_settings(tree: ast.Module, names: Names) -> Iterator[Setting]:
    """Yield each `add_argument` of any parser or group."""
    for call in _calls(tree):
        if dotted(call.func).rpartition(".")[2] == "add_argument" and keyword(call, "nargs") is None:
            flags = [str(flag) for arg in call.args if isinstance(flag := literal_or(arg, names, None), str)]
            if flags and _takes_one_value(keyword(call, "action"), names):
                yield _argparse_setting(call, flags, names)


def _takes_one_value(action: ast.expr | None, names: Names) -> bool:
    """Return whether the option is a switch or takes one value, unlike count, append, store_const and version."""
    spelled = str(literal_or(action, names, dotted(action).rpartition(".")[2]))
    return action is None or spelled in ("store", "store_true", "store_false", "BooleanOptionalAction")


def _argparse_setting(call: ast.Call, flags: list[str], names: Names) -> Setting:
    longest = next((flag for flag in flags if flag.startswith("--")), flags[0])
    name = str(literal_or(keyword(call, "dest"), names, longest.lstrip("-").replace("-", "_")))
    action = keyword(call, "action")
    spelled = str(literal_or(action, names, dotted(action).rpartition(".")[2]))
    default = literal_or(keyword(call, "default"), names, None)
    help_text = str(literal_or(keyword(call, "help"), names, ""))
    is_required = literal_or(keyword(call, "required"), names, False) is True or not longest.startswith("-")
    if spelled == "store_true":
        word = f"{{{name}?{longest}}}"
        return Setting(name=name, kind="bool", word=word, default=bool(default), help=help_text)
    if spelled == "store_false":
        word = f"{{{name}?:{longest}}}"
        return Setting(name=name, kind="bool", word=word, default=True, help=help_text)
    if spelled == "BooleanOptionalAction":
        word = f"{{{name}?{longest}:--no-{longest[2:]}}}"
        return Setting(name=name, kind="bool", word=word, default=_scalar(default), help=help_text)
    choices = _choices(literal_or(keyword(call, "choices"), names, ()))
    converter = dotted(keyword(call, "type"))
    # bool("false") is True: such an option cannot be switched off, so it cannot be tuned.
    kind = "" if converter == "bool" else _kind(converter, default)
    return Setting(
        name=name, kind=kind, word=_argparse_word(longest, name, kind, default), default=_scalar(default),
        choices=choices, help=help_text, required=is_required,
    )  # fmt: skip


def _argparse_word(flag: str, name: str, kind: str, default: Any) -> str:
    if not flag.startswith("-"):
        return f"{{{name}}}"
    # After a space, argparse reads -1e-05 as another option.
    may_be_negative = kind == "float" and _number(default) is not None and default <= 0 and flag.startswith("--")
    return f"{flag}{'=' if may_be_negative else ' '}{{{name}}}"


def click_settings(tree: ast.Module, names: Names) -> Iterator[Setting]:
    """Yield each `click.option` that decorates a function."""
    for function in _functions(tree):
        for call in function.decorator_list:
            if isinstance(call, ast.Call) and dotted(call.func).rpartition(".")[2] == "option":
                flags = [str(f) for arg in call.args if isinstance(f := literal_or(arg, names, None), str)]
                if flags:
                    yield _click_setting(call, flags, names)


def _click_setting(call: ast.Call, flags: list[str], names: Names) -> Setting:
    longest = next((flag for flag in flags if flag.startswith("--")), flags[0])
    own = next((flag for flag in flags if not flag.startswith("-")), "")
    on, _, off = longest.partition("/")
    name = own or on.lstrip("-").replace("-", "_")
    default = literal_or(keyword(call, "default"), names, None)
    help_text = str(literal_or(keyword(call, "help"), names, ""))
    if off or literal_or(keyword(call, "is_flag"), names, False) is True:
        word = f"{{{name}?{on}{f':{off.strip()}' if off else ''}}}"
        return Setting(name=name, kind="bool", word=word, default=bool(default), help=help_text)
    kind, choices, low, high = _click_type(keyword(call, "type"), names, default)
    return Setting(
        name=name, kind=kind, word=f"{on} {{{name}}}", default=_scalar(default), choices=choices,
        help=help_text, low=low, high=high, required=literal_or(keyword(call, "required"), names, False) is True,
    )  # fmt: skip


def _click_type(
    node: ast.expr | None, names: Names, default: Any
) -> tuple[str, tuple[Any, ...], float | None, float | None]:
    if not isinstance(node, ast.Call):
        return _kind(dotted(node), default), (), None, None
    last = dotted(node.func).rpartition(".")[2]
    values = [literal_or(argument, names, None) for argument in node.args]
    if last == "Choice":
        return "str", _choices(values[0] if values else ()), None, None
    low = literal_or(keyword(node, "min"), names, values[0] if values else None)
    high = literal_or(keyword(node, "max"), names, values[1] if len(values) > 1 else None)
    kind = {"FloatRange": "float", "IntRange": "int"}.get(last, "")
    return kind, (), _number(low), _number(high)


def typer_settings(tree: ast.Module, names: Names) -> Iterator[Setting]:
    """Yield the parameters of functions that are typer commands."""
    if not _imports(tree, ("typer",)):
        return
    run = {dotted(c.args[0]) for c in _calls(tree) if dotted(c.func) == "typer.run" and c.args}
    for function in _functions(tree):
        decorated = any(
            dotted(d.func if isinstance(d, ast.Call) else d).endswith((".command", ".callback"))
            for d in function.decorator_list
        )
        if decorated or function.name in run:
            yield from _typer_function(function, names)


def _typer_function(function: ast.FunctionDef, names: Names) -> Iterator[Setting]:
    arguments = [*function.args.posonlyargs, *function.args.args]
    padded: list[ast.expr | None] = [None] * (len(arguments) - len(function.args.defaults))
    pairs = [*zip(arguments, [*padded, *function.args.defaults], strict=True)]
    pairs += zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    for argument, default in pairs:
        annotation, option = argument.annotation, default
        if isinstance(annotation, ast.Subscript) and dotted(annotation.value).endswith("Annotated"):
            parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
            annotation = parts[0] if parts else None
            marks = [p for p in parts[1:] if isinstance(p, ast.Call)]
            yield _typer_setting(argument.arg, annotation, default, marks[0] if marks else None, names)
        elif isinstance(option, ast.Call):
            first = option.args[0] if option.args else keyword(option, "default")
            yield _typer_setting(argument.arg, annotation, first, option, names)
        else:
            yield _typer_setting(argument.arg, annotation, default, None, names)


def _typer_setting(
    name: str, annotation: ast.expr | None, default: ast.expr | None, mark: ast.Call | None, names: Names
) -> Setting:
    value = literal_or(default, names, None)
    given = [literal_or(arg, names, None) for arg in (mark.args if mark else [])]
    flags = sorted((f for f in given if isinstance(f, str) and f.startswith("-")), key=lambda f: f[:2] != "--")
    flag = flags[0] if flags else f"--{name.replace('_', '-')}"
    is_positional = default is None and (mark is None or dotted(mark.func).endswith("Argument"))
    help_text = str(literal_or(keyword(mark, "help") if mark else None, names, ""))
    kind = _kind(dotted(annotation), value)
    if kind == "bool":
        on, _, off = flag.partition("/")
        # Typer adds --no-x only where the script names no option itself.
        off = off or ("" if flags else f"--no-{on[2:]}")
        word = f"{{{name}?{on}{f':{off}' if off else ''}}}"
        return Setting(name=name, kind=kind, word=word, default=bool(value), help=help_text)
    low, high = (literal_or(keyword(mark, side) if mark else None, names, None) for side in ("min", "max"))
    word = f"{{{name}}}" if is_positional else f"{flag} {{{name}}}"
    return Setting(
        name=name, kind=kind, word=word, default=_scalar(value), help=help_text, low=_number(low), high=_number(high),
        required=is_positional,
    )  # fmt: skip


def dataclass_settings(tree: ast.Module, names: Names) -> Iterator[Setting]:
    """Yield the fields of dataclasses if the script imports a package that turns them into options."""
    if not _imports(tree, _PARSERS_OF_DATACLASSES):
        return
    dashes = _imports(tree, ("tyro",))
    for setting in _fields(tree, names):
        option = f"--{setting.name.replace('_', '-') if dashes else setting.name}"
        word = f"{option} {{{setting.name}}}"
        if setting.kind == "bool" and dashes:
            word = f"{{{setting.name}?{option}:--no-{option[2:]}}}"
        yield _worded(setting, word)


def config_settings(tree: ast.Module, names: Names) -> Iterator[Setting]:
    """Yield the fields of dataclasses that no package turns into options."""
    yield from _fields(tree, names)


def constant_settings(tree: ast.Module, names: Names) -> Iterator[Setting]:
    """Yield the constants of the module: those in capitals, or all numbers if there are none in capitals."""
    loud = {name: value for name, value in names.items() if name.isupper() and not name.startswith("_")}
    # nanoGPT's configurator reads --name=value for every global.
    configurator = "configurator" in ast.unparse(tree) and any(dotted(c.func) == "exec" for c in _calls(tree))
    quiet = {n: v for n, v in names.items() if isinstance(v, int | float) and not n.startswith("_")}
    for name, value in (quiet if configurator else loud or quiet).items():
        scalar = _scalar(value)
        if scalar is not None:
            word = f"--{name}={{{name}}}" if configurator else ""
            yield Setting(name=name, kind=_kind("", scalar), word=word, default=scalar)


def _fields(tree: ast.Module, names: Names) -> Iterator[Setting]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef) or not any(_is_dataclass(d) for d in node.decorator_list):
            continue
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
                yield _field(statement.target.id, statement.annotation, statement.value, names)


def _field(name: str, annotation: ast.expr, value: ast.expr, names: Names) -> Setting:
    default, help_text, choices = value, "", ()
    if isinstance(value, ast.Call):
        default = keyword(value, "default") or value
        metadata = keyword(value, "metadata")
        if isinstance(metadata, ast.Dict):
            pairs = zip(metadata.keys, metadata.values, strict=True)
            entries = {key.value: entry for key, entry in pairs if isinstance(key, ast.Constant)}
            help_text = str(literal_or(entries.get("help"), names, ""))
    if isinstance(annotation, ast.Subscript) and dotted(annotation.value).endswith("Literal"):
        inner = annotation.slice
        choices = _choices(
            [literal_or(e, names, None) for e in (inner.elts if isinstance(inner, ast.Tuple) else [inner])]
        )
    number = _scalar(literal_or(default, names, None))
    kind = _kind(dotted(annotation), number)
    return Setting(name=name, kind=kind, word="", default=number, choices=choices, help=help_text)


def _worded(setting: Setting, word: str) -> Setting:
    return Setting(
        name=setting.name, kind=setting.kind, word=word, default=setting.default,
        choices=setting.choices, help=setting.help,
    )  # fmt: skip


def _is_dataclass(node: ast.expr) -> bool:
    return dotted(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2] == "dataclass"


def _kind(annotation: str, default: Any) -> str:
    last = annotation.rpartition(".")[2]
    if last in ("float", "int", "bool", "str"):
        # type=int with default=1e-3 means a float.
        return "float" if last == "int" and isinstance(default, float) else last
    return type(default).__name__ if isinstance(default, bool | int | float | str) else ""


def _scalar(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _choices(values: Any) -> tuple[Any, ...]:
    if not isinstance(values, list | tuple) or any(_scalar(value) is None for value in values):
        return ()
    return tuple(dict.fromkeys(values))


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _imports(tree: ast.AST, packages: tuple[str, ...]) -> bool:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return bool(found & set(packages))
