"""Finds what decides how long a script trains: limits of time, numbers of epochs and steps, and how often it trains.

Names such as `elapsed_seconds` and `token_budget` are free: only what the script had before, and what ends or repeats a
loop, counts. How long a trial really trains is measured when it runs.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

from tunesmith.tools.script_reader.literals import dotted
from tunesmith.tools.variants.gaming.normal_form import nodes

_TIME_NAME = re.compile(
    r"seconds|time_limit|time_budget|max_time|time_left|deadline|wall_?time|remaining|elapsed|(^|_)clock(_|$)"
    r"|(^|_)(?<!token_)(?<!tokens_)(?<!byte_)(?<!memory_)(?<!param_)(?<!context_)budget(_|$)",
    re.IGNORECASE,
)
_TIME_CALL = re.compile(r"(^|\.)(time|monotonic|perf_counter|process_time|thread_time|clock|now|share)(_ns)?$")
_LENGTH_NAME = re.compile(
    r"^(n|num|max|total|nb)?_?(train(ing)?_?)?(epochs?|steps|iters|iterations|rounds|updates|boost_rounds?)$"
    r"|^(max_iter|n_iter|num_train_epochs|max_steps|num_boost_round)$",
    re.IGNORECASE,
)
_LOOP_VARIABLE = re.compile(r"epoch|^(global_)?step$|iteration|^it(er)?$", re.IGNORECASE)
_TRAINING_CALL = re.compile(r"\.(backward|fit|fit_one_cycle|train_on_batch|partial_fit|minimize|train_step|update)$")
_SCHEDULE = re.compile(r"LR$|sched|warm|anneal|ramp|decay", re.IGNORECASE)
"""Calls that make a schedule of the learning rate, which take the length of the training."""
_EXIT = (ast.Break, ast.Return, ast.Raise)
_WRAPPERS = re.compile(r"(^|\.)(compile|jit|njit|script|remat)$")
"""Calls that take a training function and give one that trains equally long."""
_MAX_PARTS = 16
"""Number of batches that a step may be made of, in a loop that the clock ends."""


def changed_duration(before: ast.Module, after: ast.Module, fidelity: str) -> str:
    """Return what an edit changes of the limits of the training, of its repeats or of what ends it; "" for nothing.

    Args:
        before: the file before the edit, in normal form.
        after: the file after it, in normal form.
        fidelity: the name of the parameter that makes trials shorter; "" for none.
    """
    known = _known_names(before)
    old, new = Counter(_limits(before, fidelity)), Counter(_limits(after, fidelity))
    added = Counter(_assigned_limits(after, known, fidelity)) - Counter(_assigned_limits(before, known, fidelity))
    removed = [Counter(_counters(before)) - Counter(_counters(after)), old - new, _ends(before) - _ends(after)]
    if changed := next(iter([*added, *(new - old)]), ""):
        return f"by {changed}"
    if gone := next((text for counter in removed for text in counter), ""):
        return f"{gone} is gone"
    return _repeat(before, after)


def _limits(tree: ast.Module, fidelity: str) -> Iterator[str]:
    """Yield the loops that a limit or a counter of epochs drives, and the options and keywords that set a limit."""
    for node in nodes(tree):
        match node:
            case ast.While(test=test) if _depends_on_time(test, fidelity):
                yield ast.unparse(test)
            case ast.For(iter=items) if _depends_on_time(items, fidelity):
                yield ast.unparse(items)
            case ast.Call() if dotted(node.func).endswith(("add_argument", "option", "Option")):
                names = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                if any(is_limit(name.lstrip("-").replace("-", "_"), fidelity) for name in names):
                    yield ast.unparse(node)
            case ast.Call() if not _SCHEDULE.search(dotted(node.func)):
                yield from (ast.unparse(k) for k in node.keywords if k.arg and _is_length(k.arg, fidelity))


def _counters(tree: ast.Module) -> Iterator[str]:
    """Yield what loops that count epochs or steps run over; an edit may add some that do not train."""
    for node in nodes(tree):
        if isinstance(node, ast.For) and _is_counter(node.target, node.iter):
            yield ast.unparse(node.iter)


def _assigned_limits(tree: ast.Module, known: set[str], fidelity: str) -> Iterator[str]:
    """Yield the assignments to limits that the script had before; a new name limits nothing by itself."""
    for node in nodes(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {_name(part) for target in targets for part in ast.walk(target)} - {""}
            if any(name in known and is_limit(name, fidelity) for name in names):
                yield ast.unparse(node)


def _ends(tree: ast.Module) -> Counter[str]:
    """Return the conditions on time that end a loop or the script."""
    found = [
        ast.unparse(node.test)
        for node in nodes(tree)
        if isinstance(node, ast.If) and _depends_on_time(node.test, "") and has_exit(node)
    ]
    return Counter(found)


def has_exit(node: ast.AST) -> bool:
    """Return whether a statement can end a loop, a function or the script."""
    exits = ("exit", "sys.exit", "os._exit", "quit", "os.abort")
    return any(isinstance(n, _EXIT) or (isinstance(n, ast.Call) and dotted(n.func) in exits) for n in ast.walk(node))


def _repeat(before: ast.Module, after: ast.Module) -> str:
    """Return the further loop over numbers that trains, or the function that trains and is used more often; or ""."""
    trains = _training_functions(before) | _training_functions(after)
    old, new = Counter(_counting_loops(before, trains)), Counter(_counting_loops(after, trains))
    if more := next(iter(new - old), ""):
        return f"by training in a loop over {more}"
    own = _training_functions(before)
    if handed := next(iter(_handed_on(after, own) - _handed_on(before, own)), ""):
        return f"by a further use of {handed}"
    calls_before, calls_after = _calls(before, own), _calls(after, own)
    often = next((name for name, count in calls_before.items() if calls_after[name] > max(count, 1)), "")
    return f"by a further call of {often}" if often else ""


def _counting_loops(tree: ast.Module, trains: set[str]) -> Iterator[str]:
    accumulating = set(_accumulating_loops(tree))
    for node in nodes(tree):
        is_loop = isinstance(node, ast.For | ast.While) and _is_counting(node) and id(node) not in accumulating
        if is_loop and any(isinstance(n, ast.Call) and _is_training(n, trains) for n in ast.walk(node)):
            yield ast.unparse(node.iter if isinstance(node, ast.For) else node.test)  # type: ignore[attr-defined]
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp):
            loops = [g for g in node.generators if _counts(g.iter)]
            if loops and any(isinstance(n, ast.Call) and _is_training(n, trains) for n in ast.walk(node)):
                yield ast.unparse(loops[0].iter)


def _accumulating_loops(tree: ast.Module) -> Iterator[int]:
    """Yield the ids of short loops in one that the clock ends: a step on several batches trains no longer."""
    for loop in nodes(tree):
        if not (isinstance(loop, ast.While) and _depends_on_time(loop.test, "")):
            continue
        waiting: list[ast.AST] = list(loop.body)
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.For) and _is_short(node.iter, tree):
                yield id(node)
            elif not isinstance(node, ast.For | ast.While | ast.FunctionDef | ast.Lambda):
                waiting += ast.iter_child_nodes(node)


def _is_short(items: ast.expr, tree: ast.Module) -> bool:
    """Return whether a loop runs over `range` of a small number, or of a name that only ever is one."""
    if not (isinstance(items, ast.Call) and dotted(items.func) == "range" and len(items.args) == 1):
        return False
    count = items.args[0]
    given: list[ast.expr | None] = [count]
    if isinstance(count, ast.Name):
        stored = [n for n in nodes(tree) if _name(n) == count.id and isinstance(getattr(n, "ctx", None), ast.Store)]
        assigned = [n for n in nodes(tree) if isinstance(n, ast.Assign) and any(t in stored for t in n.targets)]
        given = [n.value for n in assigned] if len(assigned) == len(stored) else []
    return bool(given) and all(
        isinstance(n, ast.Constant) and isinstance(n.value, int) and n.value <= _MAX_PARTS for n in given
    )


def _is_counting(loop: ast.For | ast.While) -> bool:
    """Return whether a loop counts; one over batches or parts of a batch trains on no more data than there are."""
    return isinstance(loop, ast.While) or _counts(loop.iter)


def _counts(items: ast.expr) -> bool:
    is_call = isinstance(items, ast.Call) and dotted(items.func).rpartition(".")[2] in (
        "range",
        "count",
        "repeat",
        "cycle",
    )
    return is_call or (isinstance(items, ast.List | ast.Tuple) and all(isinstance(e, ast.Constant) for e in items.elts))


def _training_functions(tree: ast.Module) -> set[str]:
    """Return the functions of the file that train: they compute gradients or fit, themselves or through others."""
    functions = {n.name: n for n in nodes(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    found: set[str] = set()
    for _ in range(len(functions) + 1):
        more = {
            name
            for name, node in functions.items()
            if any(isinstance(n, ast.Call) and _is_training(n, found) for n in ast.walk(node))
        }
        if more <= found:
            break
        found |= more
    return found


def _is_training(call: ast.Call, functions: set[str]) -> bool:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return name in functions or (bool(method) and bool(_TRAINING_CALL.search(f".{method}")) and method != "update")


def _calls(tree: ast.Module, functions: set[str]) -> Counter[str]:
    names = [n.func.id for n in nodes(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    return Counter(name for name in names if name in functions)


def _handed_on(tree: ast.Module, functions: set[str]) -> Counter[str]:
    """Return the uses of functions as values, `map(train, range(4))`, and in a lambda: they are called elsewhere."""
    plain = {id(n.func) for n in nodes(tree) if isinstance(n, ast.Call)}
    for node in nodes(tree):
        if isinstance(node, ast.Call) and _WRAPPERS.search(dotted(node.func)):
            plain |= {id(argument) for argument in node.args[:1]}
    for node in nodes(tree):
        if isinstance(node, ast.Lambda):
            plain -= {id(inner) for inner in ast.walk(node)}
    used = [n for n in nodes(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and id(n) not in plain]
    return Counter(n.id for n in used if n.id in functions)


def _depends_on_time(node: ast.expr, fidelity: str) -> bool:
    names = {_name(n) for n in ast.walk(node)} - {""}
    calls = [dotted(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)]
    return any(is_limit(name, fidelity) for name in names) or any(_TIME_CALL.search(call) for call in calls)


def _is_counter(target: ast.expr, items: ast.expr) -> bool:
    """Return whether a loop counts epochs or steps over numbers."""
    return _counts(items) and any(_LOOP_VARIABLE.search(_name(part)) for part in ast.walk(target))


def _is_length(name: str, fidelity: str) -> bool:
    return name == fidelity or bool(_LENGTH_NAME.search(name))


def is_limit(name: str, fidelity: str) -> bool:
    """Return whether a name is one of a limit of the training: of time, or a number of epochs or steps."""
    return name == fidelity or bool(_TIME_NAME.search(name) or _LENGTH_NAME.search(name))


def _known_names(tree: ast.Module) -> set[str]:
    """Return the names that the script uses, and those of its options."""
    names = {_name(n) for n in nodes(tree)}
    texts = [n.value for n in nodes(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return names | {text.lstrip("-").replace("-", "_") for text in texts if text.startswith("--")}


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
