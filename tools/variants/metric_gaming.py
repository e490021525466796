"""Ways to a better value that are no better training, as they show in the code: each is named, none counts as a gain.

A heuristic over syntax trees: statements of these kinds must be the same before and after an edit. It guards against
accidents and plain attempts; what gets past it meets the judge, the sandbox and fresh seeds.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Sequence

from tunesmith.tools.script_reader.literals import dotted

_SEED_NAME = re.compile(r"seed|random_state", re.IGNORECASE)
_SEED_CALL = re.compile(r"(^|\.)(manual_seed(_all)?|seed|set_seed|seed_everything|use_deterministic_algorithms)$")
_HELD_OUT = re.compile(r"(^|_)(val(id(ation)?)?|test|eval(uate|uation)?|held_?out|hold_?out)(_|\d|$)", re.IGNORECASE)
_TIME = re.compile(r"seconds|time_limit|time_budget|max_time|deadline|wall_?time|(^|_)budget(_|$)", re.IGNORECASE)
_LOADS = re.compile(r"(^|\.)(torch\.load|pickle\.loads?|joblib\.load|load_file|from_pretrained|hub\.load)$")


def gaming_problems(
    before: ast.Module, after: ast.Module, *, fidelity: str = "", metrics: Sequence[str] = (), has_judge: bool = False
) -> list[str]:
    """Return what an edit does that never counts as a gain, a sentence each.

    Args:
        before: the file as it was.
        after: the file as it would be.
        fidelity: the name of the parameter by which trials are made shorter.
        metrics: the metrics that the study needs.
        has_judge: whether another command decides their values; the script's own evaluation is then its own affair.
    """

    def changes(meant: Callable[[ast.AST], bool]) -> bool:
        return _found(before, meant) != _found(after, meant)

    found = []
    if changes(_sets_seed) or _found(before, _keeps_seed) - _found(after, _keeps_seed):
        found.append("a seed is changed: a gain by luck is none")
    if changes(_sets_time) or _durations(before, fidelity) != _durations(after, fidelity):
        found.append("the time budget is changed: how long it trains is the study's to say")
    if _found(after, _loads) - _found(before, _loads):
        found.append("weights are loaded: what a trial learned before would count again")
    if not has_judge and changes(_evaluates):
        found.append("the evaluation set, its size or how it is evaluated is changed")
    if not has_judge and changes(_reports(metrics)):
        found.append(f"a line that reports {' or '.join(metrics)} is changed; leave these lines as they are")
    return found


def _found(tree: ast.Module, meant: Callable[[ast.AST], bool]) -> Counter[str]:
    return Counter(ast.dump(node) for node in ast.walk(tree) if meant(node))


def _sets_seed(node: ast.AST) -> bool:
    """Tell whether something sets a seed; calls that only pass the script's own seed on are another matter."""
    if isinstance(node, ast.Call):
        return _is_option(node, _SEED_NAME) or (_is_seeding(node) and not _passes_seed_on(node))
    return _assigns(node, _SEED_NAME)


def _keeps_seed(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _is_seeding(node) and _passes_seed_on(node)


def _is_seeding(call: ast.Call) -> bool:
    return bool(_SEED_CALL.search(dotted(call.func)))


def _passes_seed_on(call: ast.Call) -> bool:
    return any(_SEED_NAME.search(_name(n)) for argument in call.args for n in ast.walk(argument))


def _sets_time(node: ast.AST) -> bool:
    return _assigns(node, _TIME) or (isinstance(node, ast.Call) and _is_option(node, _TIME))


def _durations(tree: ast.Module, fidelity: str) -> Counter[str]:
    """Return what loops go over or wait for, where that mentions the fidelity or a time."""
    loops = [n.iter if isinstance(n, ast.For) else n.test for n in ast.walk(tree) if isinstance(n, ast.For | ast.While)]
    return Counter(ast.dump(loop) for loop in loops if _mentions(loop, fidelity))


def _loads(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and bool(_LOADS.search(dotted(node.func)))


def _evaluates(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return bool(_HELD_OUT.search(node.name))
    return _assigns(node, _HELD_OUT)


def _reports(metrics: Sequence[str]) -> Callable[[ast.AST], bool]:
    return lambda node: isinstance(node, ast.Call) and any(_tells(node, metric) for metric in metrics)


def _tells(call: ast.Call, metric: str) -> bool:
    if any(keyword.arg == metric for keyword in call.keywords):
        return True
    texts = [n for argument in call.args for n in ast.walk(argument) if isinstance(n, ast.Constant)]
    return any(isinstance(n.value, str) and re.search(rf"(?<!\w){re.escape(metric)}(?!\w)", n.value) for n in texts)


def _is_option(call: ast.Call, named: re.Pattern[str]) -> bool:
    """Tell whether a call declares a command-line option of such a name."""
    if not dotted(call.func).endswith(("add_argument", "option", "Option")):
        return False
    return any(isinstance(a, ast.Constant) and isinstance(a.value, str) and named.search(a.value) for a in call.args)


def _mentions(node: ast.expr, fidelity: str) -> bool:
    names = {_name(n) for n in ast.walk(node)} - {""}
    return any(name == fidelity or _TIME.search(name) for name in names)


def _assigns(node: ast.AST, named: re.Pattern[str]) -> bool:
    """Tell whether a name of that kind is given a value."""
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(named.search(_name(n)) for target in targets for n in ast.walk(target))


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
