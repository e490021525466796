"""Checks an edit before it costs a trial, cheap checks first. Reads text and syntax trees; runs nothing.

The author of the edit reads the problems, so each says what to do instead. A warning does not refuse an edit: the
sandbox contains what it warns about.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tunesmith.study.config.space_tables import parse_space
from tunesmith.study.edit_paths import path_problem
from tunesmith.study.errors import SpecError
from tunesmith.study.formatting import render_literal
from tunesmith.study.search_replace import split_lines
from tunesmith.study.variant import Variant
from tunesmith.tools.script_reader.literals import dotted
from tunesmith.tools.script_reader.systems.registry import options_in
from tunesmith.tools.variants.ast_equivalence import BYTE_ORDER_MARK, parse_python
from tunesmith.tools.variants.constants import is_filled, own_tables
from tunesmith.tools.variants.gaming.metric_gaming import gaming_problems
from tunesmith.tools.variants.rules import GateRules
from tunesmith.tools.variants.run_command import option_word

MAX_CHANGED_LINES = 400
"""Maximum number of lines added and removed by one edit."""
MAX_FILE_CHARS = 400_000
"""Maximum length of an edited file."""
MAX_DECLARED = 4
"""Maximum number of new parameters of one variant."""

_PROTECTED_REGION = re.compile(r"^\s*#\s*tunesmith:\s*protect\b.*?^\s*#\s*tunesmith:\s*end\b", re.MULTILINE | re.DOTALL)
_EXTERNAL_CALL = re.compile(
    r"^(subprocess|socket|requests|urllib|http|ftplib|paramiko|shutil|multiprocessing)\."
    r"|^os\.(system|popen|exec\w*|spawn\w*|fork|kill|remove|unlink|rename|replace|rmdir|chmod|symlink|link)$"
    r"|^(open|exec|eval|__import__)$|\.(write_text|write_bytes|unlink|touch|symlink_to|hardlink_to)$|^ctypes\."
)
_PLACEHOLDER = re.compile(r"\{\{?\s*[^\W\d][\w.]*\s*\}?\}")
_FATAL_MESSAGES = frozenset(
    {"UndefinedName", "UndefinedLocal", "ReturnOutsideFunction", "YieldOutsideFunction", "ContinueOutsideLoop",
     "BreakOutsideLoop", "DuplicateArgument", "TwoStarredExpressions", "DefaultExceptNotLast"}
)  # fmt: skip
"""Classes of pyflakes messages about code that fails when it runs."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """Why an edit may not run, and what a person should look at. Each text fits after the edit's name."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check(variant: Variant, parent: Variant, rules: GateRules) -> GateResult:
    """Return the problems of the first check that fails; the warnings when none does.

    Later checks rely on earlier ones: from the options on, every file can be parsed.
    """
    changed = [path for path, text in variant.files.items() if parent.files.get(path) != text]
    checks: tuple[Callable[[], Iterator[str]], ...] = (
        lambda: _path_problems(parent, changed, rules),
        lambda: _size_problems(variant, changed),
        lambda: _region_problems(variant, parent, changed),
        lambda: _syntax_problems(variant, changed),
        lambda: _placeholder_problems(variant, parent, changed, rules),
        lambda: _declaration_problems(variant, rules),
        lambda: _option_problems(variant, parent, changed, rules),
        lambda: _import_problems(variant, parent, changed, rules),
        lambda: _lint_problems(variant, parent, changed),
        lambda: _gaming_problems(variant, parent, changed, rules),
    )
    for find_problems in checks:
        problems = tuple(find_problems())
        if problems:
            return GateResult(problems)
    return GateResult(warnings=tuple(_warnings(variant, parent, changed)))


def _path_problems(parent: Variant, changed: Sequence[str], rules: GateRules) -> Iterator[str]:
    for path in changed:
        if problem := path_problem(path):
            yield f"{render_literal(path)} may not be edited: {problem}"
        elif rules.is_protected(path):
            yield f"{path} is protected ([edits].protect)"
        elif not rules.is_editable(path):
            yield f"{path} may not be edited; these files may: {', '.join(rules.editable)}"
        elif path not in parent.files and (problem := rules.new_file_problem(path, parent.files)):
            yield f"{path} cannot be created: {problem}"


def _size_problems(variant: Variant, changed: Sequence[str]) -> Iterator[str]:
    lines = [line for line in split_lines(variant.diff) if re.match(r"[+-](?![+-]{2} )", line)]
    if len(lines) > MAX_CHANGED_LINES:
        yield f"it changes {len(lines)} lines, at most {MAX_CHANGED_LINES} at a time are allowed; make a smaller change"
    for path in changed:
        if len(variant.files[path]) > MAX_FILE_CHARS:
            yield f"{path} would have {len(variant.files[path]):,} characters; at most {MAX_FILE_CHARS:,} are allowed"


def _region_problems(variant: Variant, parent: Variant, changed: Sequence[str]) -> Iterator[str]:
    for path in changed:
        regions = _PROTECTED_REGION.findall(parent.files.get(path, ""))
        if regions != _PROTECTED_REGION.findall(variant.files[path]):
            yield f"{path}: leave the lines between '# tunesmith: protect' and '# tunesmith: end' as they are"


def _syntax_problems(variant: Variant, changed: Sequence[str]) -> Iterator[str]:
    for path in changed:
        if not path.endswith(".py") or parse_python(variant.files[path]) is not None:
            continue
        try:
            ast.parse(variant.files[path].removeprefix(BYTE_ORDER_MARK))
        except SyntaxError as error:
            yield f"{path} is not valid Python: line {error.lineno}: {error.msg}: {(error.text or '').strip()}"
        except (ValueError, RecursionError, MemoryError) as error:
            yield f"{path} is not valid Python: {error}"


def _placeholder_problems(variant: Variant, parent: Variant, changed: Sequence[str], rules: GateRules) -> Iterator[str]:
    """Yield the placeholders of a text that an edit drops or adds: the program that fills them in would fail."""
    for path in (path for path in changed if path in rules.texts and path in parent.files):
        before, after = (set(_PLACEHOLDER.findall(version.files[path])) for version in (parent, variant))
        for name in sorted(before - after):
            yield f"{path}: the placeholder {name} is gone, which the program fills in; keep it"
        for name in sorted(after - before):
            yield f"{path}: {name} is a new placeholder, which the program does not know; write it without braces"


def _declaration_problems(variant: Variant, rules: GateRules) -> Iterator[str]:
    if len(variant.declared) > MAX_DECLARED:
        yield f"it declares {len(variant.declared)} new parameters; at most {MAX_DECLARED} are allowed"
    for name in variant.declared:
        if name in rules.space.parameters or name in rules.space.relations.derived:
            yield f"new parameter {name}: the study already has a parameter or derived value of that name"
        elif not is_filled(variant.declared[name]) and not any(
            re.search(rf"\b{re.escape(name)}\b", text) for text in variant.files.values()
        ):
            yield f"new parameter {name}: the code does not use it; declare only parameters that the edit reads"
    try:
        if variant.declared:
            parse_space(own_tables(variant.declared))
    except SpecError as error:
        yield from (f"new parameter {m.key}: {m.message}" for m in error.mistakes)


def _option_problems(variant: Variant, parent: Variant, changed: Sequence[str], rules: GateRules) -> Iterator[str]:
    """Yield the options that the command passes and the script no longer has, and declared parameters without one."""
    for path in changed:
        before, after = _option_names(parent.files.get(path, "")), _option_names(variant.files[path])
        for name in sorted((before - after) & set(re.findall(r"--([\w-]+)", rules.command))):
            yield f"{path}: the option --{name} is gone, but the study's command uses it; keep it"
    for name in variant.declared:
        is_option = not is_filled(variant.declared[name])
        if is_option and not option_word(name, variant.files) and not _reads_params(variant):
            yield f"new parameter {name}: add the option --{name} to the script, so that the command can pass its value"


@lru_cache(maxsize=16)  # the parent's file is the same for many edits
def _option_names(text: str) -> frozenset[str]:
    tree = parse_python(text)
    if tree is None:
        return frozenset()
    return frozenset(match[1] for s in options_in(tree) for match in re.finditer(r"--([\w-]+)", s.word or ""))


def _reads_params(variant: Variant) -> bool:
    return any("tunesmith.params" in text or "TUNESMITH_PARAMS" in text for text in variant.files.values())


def _import_problems(variant: Variant, parent: Variant, changed: Sequence[str], rules: GateRules) -> Iterator[str]:
    own = {path.split("/")[0].removesuffix(".py") for path in variant.files}
    for path in changed:
        new = imported_modules(variant.files[path]) - imported_modules(parent.files.get(path, ""))
        for module in sorted(new - own - sys.stdlib_module_names):
            if not rules.importable(module):
                yield f"{path} imports {module}, which is not installed here; do without it"


def imported_modules(text: str) -> set[str]:
    """Return the top-level names of the modules that a file of Python imports; none if it cannot be parsed."""
    tree = parse_python(text)
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names] if tree else []
    if tree:
        names += [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module and not n.level]
    return {name.partition(".")[0] for name in names}


def _lint_problems(variant: Variant, parent: Variant, changed: Sequence[str]) -> Iterator[str]:
    for path in changed:
        before, after = _lint_errors(path, parent.files.get(path, "")), _lint_errors(path, variant.files[path])
        for message, line in _added(before, after):
            yield f"{path}, line {line}: {message}"


def _added(before: Sequence[tuple[str, int]], after: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Yield the (text, line) pairs of `after` whose text occurs more often than in `before`."""
    known = Counter(text for text, _ in before)
    for text, line in after:
        if known[text] > 0:
            known[text] -= 1
        else:
            yield text, line


def _lint_errors(path: str, text: str) -> list[tuple[str, int]]:
    """Return the messages about code that fails when it runs, with their lines."""
    from pyflakes.checker import Checker

    tree = parse_python(text) if path.endswith(".py") else None
    if tree is None:
        return []
    found = Checker(tree, filename=path).messages
    return [(m.message % m.message_args, m.lineno) for m in found if type(m).__name__ in _FATAL_MESSAGES]


def _gaming_problems(variant: Variant, parent: Variant, changed: Sequence[str], rules: GateRules) -> Iterator[str]:
    for path in changed:
        before, after = parse_python(parent.files.get(path, "")), parse_python(variant.files[path])
        if path.endswith(".py") and before is not None and after is not None:
            for sentence in gaming_problems(
                before,
                after,
                fidelity=rules.fidelity,
                metrics=rules.metrics,
                has_judge=rules.has_judge,
                may_train_longer=rules.may_train_longer,
            ):
                yield f"{path}: {sentence}"


def _warnings(variant: Variant, parent: Variant, changed: Sequence[str]) -> Iterator[str]:
    for path in changed:
        before, after = _external_calls(parent.files.get(path, "")), _external_calls(variant.files[path])
        for call, line in _added(before, after):
            yield f"{path}, line {line}: {call} can act outside the trial's folder; the sandbox prevents that"


def _external_calls(text: str) -> list[tuple[str, int]]:
    """Return the calls that start processes, open files or use the network, with their lines."""
    tree = parse_python(text)
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)] if tree else []
    return [(dotted(n.func), n.lineno) for n in calls if _EXTERNAL_CALL.search(dotted(n.func))]
