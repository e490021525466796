"""What an edit must pass before it costs a run, cheap checks first. Reads text; runs nothing.

Whoever wrote the edit reads the problems, so each says what to do instead. Warnings stop nothing: the sandbox does.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunesmith.evaluator.workspace import matches_pattern
from tunesmith.study.config.load import parse_space
from tunesmith.study.errors import SpecError
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.variant import Variant
from tunesmith.tools.script_reader.literals import dotted
from tunesmith.tools.script_reader.styles import find_settings
from tunesmith.tools.variants.ast_equivalence import parse_python
from tunesmith.tools.variants.metric_gaming import gaming_problems

CHANGED_LINES = 400
FILE_CHARS = 400_000
DECLARED = 4
"""How many further parameters one variant may have."""

_PROTECT = re.compile(r"^\s*#\s*tunesmith:\s*protect\b.*?^\s*#\s*tunesmith:\s*end\b", re.MULTILINE | re.DOTALL)
_REACHES_OUT = re.compile(
    r"^(subprocess|socket|requests|urllib|http|ftplib|paramiko|shutil|multiprocessing)\."
    r"|^os\.(system|popen|exec\w*|spawn\w*|fork|kill|remove|unlink|rename|replace|rmdir|chmod|symlink|link)$"
    r"|^(open|exec|eval|__import__)$|\.(write_text|write_bytes|unlink|touch|symlink_to|hardlink_to)$|^ctypes\."
)
_BLOCKING = frozenset(
    {"UndefinedName", "UndefinedLocal", "ReturnOutsideFunction", "YieldOutsideFunction", "ContinueOutsideLoop",
     "BreakOutsideLoop", "DuplicateArgument", "TwoStarredExpressions", "DefaultExceptNotLast"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """What the gate knows of the study.

    Attributes:
        editable: patterns of the files that may be edited.
        space: the study's parameters.
        protected: patterns of those that may not, even where they are editable.
        command: the study's command.
        fidelity: the name of the parameter that makes trials shorter; "" for none.
        metrics: what the study needs to be told.
        has_judge: whether another command decides the metrics' values.
        importable: tells whether the training's Python finds a module.
    """

    editable: Sequence[str]
    space: SearchSpace
    protected: Sequence[str] = ()
    command: str = ""
    fidelity: str = ""
    metrics: Sequence[str] = ()
    has_judge: bool = False
    importable: Callable[[str], bool] = lambda module: True  # noqa: ARG005


@dataclass(frozen=True, slots=True)
class GateResult:
    """Why an edit may not run, and what is odd about it; sentences that fit behind its name."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check(variant: Variant, parent: Variant, rules: GateRules) -> GateResult:
    """Return what is wrong with an edit. Later checks read what earlier ones found sound."""
    changed = [path for path, text in variant.files.items() if parent.files.get(path) != text]
    checks: tuple[Callable[[], Iterator[str]], ...] = (
        lambda: _places(changed, rules),
        lambda: _sizes(variant, changed),
        lambda: _regions(variant, parent, changed),
        lambda: _syntax(variant, changed),
        lambda: _declared(variant, rules),
        lambda: _options(variant, parent, changed, rules),
        lambda: _imports(variant, parent, changed, rules),
        lambda: _lint(variant, parent, changed),
        lambda: _shortcuts(variant, parent, changed, rules),
    )
    for found in checks:
        problems = tuple(found())
        if problems:
            return GateResult(problems)
    return GateResult(warnings=tuple(_warnings(variant, parent, changed)))


def is_editable(path: str, editable: Sequence[str], protected: Sequence[str]) -> bool:
    """Tell whether a file of the project may be edited."""
    if path != os.path.normpath(path) or os.path.isabs(path) or path.startswith(".."):
        return False
    return any(matches_pattern(path, p) for p in editable) and not any(matches_pattern(path, p) for p in protected)


def _places(changed: Sequence[str], rules: GateRules) -> Iterator[str]:
    for path in changed:
        if any(matches_pattern(path, pattern) for pattern in rules.protected):
            yield f"{path} is protected ([edits].protect)"
        elif not is_editable(path, rules.editable, rules.protected):
            yield f"{path} is not among the files that may be edited: {', '.join(rules.editable)}"


def _sizes(variant: Variant, changed: Sequence[str]) -> Iterator[str]:
    lines = [line for line in variant.diff.splitlines() if re.match(r"[+-](?![+-]{2} )", line)]
    if len(lines) > CHANGED_LINES:
        yield f"it changes {len(lines)} lines; at most {CHANGED_LINES} at a time, so make one change"
    for path in changed:
        if len(variant.files[path]) > FILE_CHARS:
            yield f"{path} would have {len(variant.files[path]):,} characters; at most {FILE_CHARS:,}"


def _regions(variant: Variant, parent: Variant, changed: Sequence[str]) -> Iterator[str]:
    for path in changed:
        if _PROTECT.findall(parent.files.get(path, "")) != _PROTECT.findall(variant.files[path]):
            yield f"{path}: lines between '# tunesmith: protect' and '# tunesmith: end' are changed; leave them"


def _syntax(variant: Variant, changed: Sequence[str]) -> Iterator[str]:
    for path in changed:
        if not path.endswith(".py") or parse_python(variant.files[path]) is not None:
            continue
        try:
            ast.parse(variant.files[path])
        except SyntaxError as error:
            yield f"{path} is no Python any more: line {error.lineno}: {error.msg}: {(error.text or '').strip()}"
        except (ValueError, RecursionError, MemoryError) as error:
            yield f"{path} is no Python any more: {error}"


def _declared(variant: Variant, rules: GateRules) -> Iterator[str]:
    if len(variant.declared) > DECLARED:
        yield f"it declares {len(variant.declared)} parameters; at most {DECLARED}"
    for name in variant.declared:
        if name in rules.space.parameters:
            yield f"new parameter {name}: the study has one of that name"
        elif not any(re.search(rf"\b{re.escape(name)}\b", text) for text in variant.files.values()):
            yield f"new parameter {name}: the code does not use it; declare only what the edit reads"
    try:
        if variant.declared:
            parse_space(variant.declared)
    except SpecError as error:
        yield from (f"new parameter {m.key}: {m.message}" for m in error.mistakes)


def _options(variant: Variant, parent: Variant, changed: Sequence[str], rules: GateRules) -> Iterator[str]:
    """Parameters that the command hands over must still be read, and declared ones be options."""
    for path in changed:
        before, after = _option_names(parent.files.get(path, "")), _option_names(variant.files[path])
        for name in sorted((before - after) & set(re.findall(r"--([\w-]+)", rules.command))):
            yield f"{path}: the option --{name} is gone, but the study's command uses it; keep it"
    for name in variant.declared:
        if not option_of(name, variant.files) and not _reads_params(variant):
            yield f"new parameter {name}: add the option --{name} to the script, by which its value is handed over"


def option_of(name: str, files: Mapping[str, str]) -> str:
    """Return how a parameter is handed to the script on its command line, "" when the script has no such option."""
    for text in files.values():
        tree = parse_python(text)
        words = {s.name: s.word for s in find_settings(tree)[1]} if tree is not None else {}
        if words.get(name):
            return words[name]
    # A script may read its options by itself.
    spelled = (f"--{name}", f"--{name.replace('_', '-')}")
    found = (word for word in spelled for text in files.values() if f'"{word}"' in text or f"'{word}'" in text)
    word = next(found, "")
    return f"{word} {{{name}}}" if word else ""


def _option_names(text: str) -> set[str]:
    tree = parse_python(text)
    if tree is None:
        return set()
    return {match[1] for s in find_settings(tree)[1] for match in re.finditer(r"--([\w-]+)", s.word or "")}


def _reads_params(variant: Variant) -> bool:
    return any("tunesmith.params" in text or "TUNESMITH_PARAMS" in text for text in variant.files.values())


def _imports(variant: Variant, parent: Variant, changed: Sequence[str], rules: GateRules) -> Iterator[str]:
    own = {path.split("/")[0].removesuffix(".py") for path in variant.files}
    for path in changed:
        new = _modules(variant.files[path]) - _modules(parent.files.get(path, ""))
        for module in sorted(new - own - sys.stdlib_module_names):
            if not rules.importable(module):
                yield f"{path} imports {module}, which is not installed here; do without it"


def _modules(text: str) -> set[str]:
    tree = parse_python(text)
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names] if tree else []
    if tree:
        names += [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module and not n.level]
    return {name.partition(".")[0] for name in names}


def _lint(variant: Variant, parent: Variant, changed: Sequence[str]) -> Iterator[str]:
    for path in changed:
        for message, line in _new(_errors(path, parent.files.get(path, "")), _errors(path, variant.files[path])):
            yield f"{path}, line {line}: {message}"


def _new(before: Sequence[tuple[str, int]], after: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    known = Counter(message for message, _ in before)
    for message, line in after:
        if known[message] > 0:
            known[message] -= 1
        else:
            yield message, line


def _errors(path: str, text: str) -> list[tuple[str, int]]:
    """Return what would fail at run time as far as a linter sees it, with the lines."""
    from pyflakes.checker import Checker

    tree = parse_python(text) if path.endswith(".py") else None
    if tree is None:
        return []
    found = Checker(tree, filename=path).messages
    return [(m.message % m.message_args, m.lineno) for m in found if type(m).__name__ in _BLOCKING]


def _shortcuts(variant: Variant, parent: Variant, changed: Sequence[str], rules: GateRules) -> Iterator[str]:
    for path in changed:
        before, after = parse_python(parent.files.get(path, "")), parse_python(variant.files[path])
        if path.endswith(".py") and before is not None and after is not None:
            for sentence in gaming_problems(
                before, after, fidelity=rules.fidelity, metrics=rules.metrics, has_judge=rules.has_judge
            ):
                yield f"{path}: {sentence}"


def _warnings(variant: Variant, parent: Variant, changed: Sequence[str]) -> Iterator[str]:
    for path in changed:
        before, after = _reaching_out(parent.files.get(path, "")), _reaching_out(variant.files[path])
        for call, line in _new(before, after):
            yield f"{path}, line {line}: {call} reaches beyond the training; the sandbox keeps it within the trial"


def _reaching_out(text: str) -> list[tuple[str, int]]:
    tree = parse_python(text)
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)] if tree else []
    return [(dotted(n.func), n.lineno) for n in calls if _REACHES_OUT.search(dotted(n.func))]
