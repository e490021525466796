"""Detects edits that improve the metric without better training: other seeds, more time, loaded weights, easier tests.

A heuristic over syntax trees: statements of these kinds must be the same before and after an edit. It catches accidents
and plain attempts; a separate judge, the sandbox and runs on fresh seeds guard against the rest.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Sequence

from tunesmith.study.formatting import one_line
from tunesmith.tools.variants.gaming.choices import chooses_by_held_out
from tunesmith.tools.variants.gaming.duration import changed_duration
from tunesmith.tools.variants.gaming.held_out import held_out_is_changed, held_out_is_imported
from tunesmith.tools.variants.gaming.normal_form import full_name, imported_names, nodes, normal_form
from tunesmith.tools.variants.gaming.seeds import seed_is_changed
from tunesmith.tools.variants.gaming.tampering import tampering_problems

_LOADING_NAME = re.compile(
    r"(^|\.)(torch\.(jit\.)?load|c?pickle\.(load|loads|Unpickler)|joblib\.load|load_file|from_pretrained|hub\.load\w*"
    r"|load_url|numpy\.(load|fromfile|memmap|lib\.format\.\w+)|shelve\.open|load_model|load_weights|load_checkpoint"
    r"|load_from_checkpoint|resume_from|safetensors\S*|load_state_dict_from_url|read_bytes|skops\.io\.load)$"
)

_MAX_QUOTED = 100
"""Number of characters of the code that a refusal quotes."""


def gaming_problems(
    before: ast.Module,
    after: ast.Module,
    *,
    fidelity: str = "",
    metrics: Sequence[str] = (),
    has_judge: bool = False,
    may_train_longer: bool = False,
) -> list[str]:
    """Return a sentence for each change of an edit that would not be a real gain.

    Args:
        before: the file before the edit.
        after: the file after it.
        fidelity: the name of the parameter that makes trials shorter; "" for none.
        metrics: the metrics that trials must report.
        has_judge: whether a separate command measures the metrics; the script's own evaluation may then change.
        may_train_longer: whether an edit may change how long a trial trains, [edits].time.
    """
    before, after = normal_form(before), normal_form(after)

    def changes(matches: Callable[[ast.AST], bool]) -> bool:
        return _matching(before, matches) != _matching(after, matches)

    found = []
    if seed_is_changed(before, after):
        found.append("a seed is changed: a lucky seed is not a gain; use the script's own seed and generators")
    if not may_train_longer and (changed := changed_duration(before, after, fidelity)):
        quoted = one_line(changed, _MAX_QUOTED)
        found.append(f"the time budget is changed, {quoted}: the study decides how long a trial trains")
    if _loaded(after) - _loaded(before):
        found.append("weights are loaded: a trial must start its training from scratch")
    if not has_judge and (held_out_is_changed(before, after) or chooses_by_held_out(before, after)):
        found.append("the evaluation set, its size or the evaluation itself is changed")
    if has_judge and held_out_is_imported(before, after):
        found.append("held-out data are read: only [evaluate] may use them")
    is_reported_as_before = _conditions(before, metrics) == _conditions(after, metrics)
    if not has_judge and (changes(_reports(metrics)) or not is_reported_as_before):
        found.append(f"a line that reports {' or '.join(metrics)} is changed; leave these lines as they are")
    return [*found, *tampering_problems(before, after)]


def _matching(tree: ast.Module, matches: Callable[[ast.AST], bool]) -> Counter[str]:
    return Counter(ast.dump(node) for node in nodes(tree) if matches(node))


def _loaded(tree: ast.Module) -> Counter[str]:
    """Return the uses of functions that load weights, also under another name."""
    imports = imported_names(tree)
    names = [full_name(n, imports) or f".{n.attr}" for n in nodes(tree) if isinstance(n, ast.Attribute)]
    names += [full_name(n, imports) for n in nodes(tree) if isinstance(n, ast.Name)]
    return Counter(name for name in names if _LOADING_NAME.search(name))


def _reports(metrics: Sequence[str]) -> Callable[[ast.AST], bool]:
    return lambda node: isinstance(node, ast.Call) and any(_names_metric(node, metric) for metric in metrics)


def _conditions(tree: ast.Module, metrics: Sequence[str]) -> Counter[str]:
    """Return under which conditions the lines that report a metric run: of `if`, `while`, `match`, and in `try`."""
    is_report = _reports(metrics)
    found: Counter[str] = Counter()
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, path = waiting.pop()
        if is_report(node):
            found[path] += 1
        for field, value in ast.iter_fields(node):
            inner = path
            if isinstance(node, ast.If | ast.While | ast.Try | ast.Match | ast.IfExp | ast.ExceptHandler):
                test = getattr(node, "test", None)
                inner = f"{path}/{type(node).__name__} {field} {ast.dump(test) if test is not None else ''}"
            children = value if isinstance(value, list) else [value]
            waiting += [(child, inner) for child in children if isinstance(child, ast.AST)]
    return found


def _names_metric(call: ast.Call, metric: str) -> bool:
    if any(keyword.arg == metric for keyword in call.keywords):
        return True
    texts = [n for argument in call.args for n in ast.walk(argument) if isinstance(n, ast.Constant)]
    return any(isinstance(n.value, str) and re.search(rf"(?<!\w){re.escape(metric)}(?!\w)", n.value) for n in texts)
