"""Detects edits that improve the metric without better training: other seeds, more time, loaded weights, easier tests.

A heuristic over syntax trees: statements of these kinds must be the same before and after an edit. It catches accidents
and plain attempts; a separate judge, the sandbox and runs on fresh seeds guard against the rest.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Sequence

from tunesmith.tools.script_reader.literals import dotted
from tunesmith.tools.variants.held_out import held_out_is_changed
from tunesmith.tools.variants.seeds import seed_is_changed

_TIME_NAME = re.compile(r"seconds|time_limit|time_budget|max_time|deadline|wall_?time|(^|_)budget(_|$)", re.IGNORECASE)
_LOADING_CALL = re.compile(r"(^|\.)(torch\.load|pickle\.loads?|joblib\.load|load_file|from_pretrained|hub\.load)$")


def gaming_problems(
    before: ast.Module, after: ast.Module, *, fidelity: str = "", metrics: Sequence[str] = (), has_judge: bool = False
) -> list[str]:
    """Return a sentence for each change of an edit that would not be a real gain.

    Args:
        before: the file before the edit.
        after: the file after it.
        fidelity: the name of the parameter that makes trials shorter; "" for none.
        metrics: the metrics that trials must report.
        has_judge: whether a separate command measures the metrics; the script's own evaluation may then change.
    """

    def changes(matches: Callable[[ast.AST], bool]) -> bool:
        return _matching(before, matches) != _matching(after, matches)

    found = []
    if seed_is_changed(before, after):
        found.append("a seed is changed: a lucky seed is not a gain; use the script's own seed and generators")
    if changes(_sets_time) or _durations(before, fidelity) != _durations(after, fidelity):
        found.append("the time budget is changed: the study decides how long a trial trains")
    if _matching(after, _loads_weights) - _matching(before, _loads_weights):
        found.append("weights are loaded: a trial must start its training from scratch")
    if not has_judge and held_out_is_changed(before, after):
        found.append("the evaluation set, its size or the evaluation itself is changed")
    if not has_judge and changes(_reports(metrics)):
        found.append(f"a line that reports {' or '.join(metrics)} is changed; leave these lines as they are")
    return found


def _matching(tree: ast.Module, matches: Callable[[ast.AST], bool]) -> Counter[str]:
    return Counter(ast.dump(node) for node in ast.walk(tree) if matches(node))


def _sets_time(node: ast.AST) -> bool:
    return _assigns(node, _TIME_NAME) or (isinstance(node, ast.Call) and _is_option(node, _TIME_NAME))


def _durations(tree: ast.Module, fidelity: str) -> Counter[str]:
    """Return the iterables and conditions of loops that depend on the fidelity or on a time limit."""
    loops = [n.iter if isinstance(n, ast.For) else n.test for n in ast.walk(tree) if isinstance(n, ast.For | ast.While)]
    return Counter(ast.dump(loop) for loop in loops if _depends_on_time(loop, fidelity))


def _loads_weights(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and bool(_LOADING_CALL.search(dotted(node.func)))


def _reports(metrics: Sequence[str]) -> Callable[[ast.AST], bool]:
    return lambda node: isinstance(node, ast.Call) and any(_names_metric(node, metric) for metric in metrics)


def _names_metric(call: ast.Call, metric: str) -> bool:
    if any(keyword.arg == metric for keyword in call.keywords):
        return True
    texts = [n for argument in call.args for n in ast.walk(argument) if isinstance(n, ast.Constant)]
    return any(isinstance(n.value, str) and re.search(rf"(?<!\w){re.escape(metric)}(?!\w)", n.value) for n in texts)


def _is_option(call: ast.Call, pattern: re.Pattern[str]) -> bool:
    """Return whether a call declares a command-line option whose name matches."""
    if not dotted(call.func).endswith(("add_argument", "option", "Option")):
        return False
    return any(isinstance(a, ast.Constant) and isinstance(a.value, str) and pattern.search(a.value) for a in call.args)


def _depends_on_time(node: ast.expr, fidelity: str) -> bool:
    names = {_name(n) for n in ast.walk(node)} - {""}
    return any(name == fidelity or _TIME_NAME.search(name) for name in names)


def _assigns(node: ast.AST, pattern: re.Pattern[str]) -> bool:
    """Return whether a node assigns to a name that matches."""
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(pattern.search(_name(n)) for target in targets for n in ast.walk(target))


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
