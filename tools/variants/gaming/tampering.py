"""Finds code of an edit that replaces what it does not own, or reaches it by reflection: a report, a clock, a test.

Only what an edit adds counts; the script may have had such code before.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

from tunesmith.tools.variants.gaming.normal_form import full_name, imported_names, nodes

_GUARDED_BUILTINS = frozenset(
    {
        "print",
        "open",
        "float",
        "int",
        "len",
        "round",
        "abs",
        "str",
        "repr",
        "sum",
        "min",
        "max",
        "getattr",
        "isinstance",
    }
)
"""Functions that a report or an evaluation uses. Names that scripts often use for variables are left out."""
_REFLECTION = re.compile(
    r"^(exec|eval|compile|__import__|globals|locals|breakpoint|__builtins__|builtins|getattr|setattr|delattr)(\.|$)"
    r"|^(importlib\.(import_module|reload|util\.spec_from_\w+|machinery)|runpy|ctypes|cffi|marshal|dill|cloudpickle)(\.|$)"
    r"|^sys\.(modules|argv|meta_path|path_hooks|path|settrace|setprofile|_getframe|_current_frames|excepthook"
    r"|exitfunc|__stdout__|addaudithook|monitoring)(\.|$)"
    r"|^inspect\.(currentframe|stack|getouterframes|getmembers|trace)|^gc\.(get_objects|get_referrers|get_referents)"
    r"|^(atexit|signal|faulthandler|unittest\.mock|mock|pdb|trace|dis|codeop|code)\.|^types\.(FunctionType|CodeType|MethodType)"
    r"|^base64\.|^codecs\.decode$|^os\._exit$|^threading\.(settrace|setprofile)"
)
_DUNDER = re.compile(
    r"\.(__(setattr|delattr|setitem|getattribute|globals|code|closure|builtins|subclasses|bases|mro|defaults|wrapped)__"
    r"|f_(back|locals|globals|code)|tb_frame|gi_frame)(\.|$)"
)
_PROGRAM = re.compile(
    r"^(subprocess|pty|socket|requests|urllib|http|ftplib|paramiko|webbrowser|pip|resource)(\.|$)"
    r"|^os\.(system|popen|exec\w*|spawn\w*|posix_spawn\w*|fork|forkpty|kill|killpg|putenv|unsetenv|environb|setsid|utime)$"
)
_REPORT_VARIABLES = re.compile(r"TUNESMITH_(?!ARTIFACTS|PARAMS)")
_HARMLESS_VARIABLES = re.compile(
    r"^(OMP|MKL|KMP|GOMP|OPENBLAS|NUMEXPR|VECLIB|NCCL|GLOO|TORCH(INDUCTOR|DYNAMO)?|PYTORCH|XLA|JAX|TF|CUBLAS|CUDNN|TRITON"
    r"|TOKENIZERS|KERAS|HF_HUB|WANDB|NUMBA|CUDA_LAUNCH_BLOCKING|CUDA_MODULE_LOADING|LIGHTGBM|XGBOOST)(_|$)"
)
_PARSERS = ("parse_args", "parse_known_args", "parse_intermixed_args")
_BY_NAME = ("getattr", "setattr", "delattr")
_CHANGING_METHODS = ("setdefault", "pop", "popitem", "update", "clear", "__setitem__", "__delitem__")
_DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_WRAPPERS = re.compile(
    r"(^|\.)(compile|jit|njit|partial|lru_cache|cache|vmap|checkpoint|no_grad|script|function|remat)$"
)


def tampering_problems(before: ast.Module, after: ast.Module) -> list[str]:
    """Return a sentence for each kind of code that an edit adds and that could change what is measured.

    Args:
        before: the file before the edit, in normal form.
        after: the file after it, in normal form.
    """
    replaced = _added(_replaced(before, before), _replaced(after, before))
    reflection = _added(_references(before, _REFLECTION), _references(after, _REFLECTION))
    reflection += _added(_inner_attributes(before), _inner_attributes(after))
    reflection += _added(_computed_names(before), _computed_names(after))
    programs = _added(_references(before, _PROGRAM), _references(after, _PROGRAM))
    variables = _added(_variables(before), _variables(after))
    reports = _added(_report_uses(before), _report_uses(after))
    reports += _added(_given_arguments(before), _given_arguments(after))
    found = []
    if replaced:
        found.append(f"{replaced[0]} is replaced: an edit may change the script's own functions and values only")
    if reflection:
        found.append(f"{reflection[0]} reaches code indirectly; write what it does as plain code")
    if programs:
        found.append(f"{programs[0]} starts programs or uses the network; a trial does neither")
    if variables:
        found.append(f"the environment variable {variables[0]} is changed: the study decides what a trial is given")
    if reports:
        found.append(f"{reports[0]}: leave the way in which numbers are reported as it is")
    return found


def _added(before: Iterator[str], after: Iterator[str]) -> list[str]:
    return list(Counter(after) - Counter(before))


def _references(tree: ast.Module, pattern: re.Pattern[str]) -> Iterator[str]:
    """Yield the full names that match, once per use; a method such as `model.eval` is not the function `eval`."""
    imports = imported_names(tree)
    inner = {id(n.value) for n in nodes(tree) if isinstance(n, ast.Attribute)}
    own = _defined(tree)
    # Calls of getattr and setattr are looked at by what they name.
    inner |= {id(n.func) for n in nodes(tree) if isinstance(n, ast.Call) and full_name(n.func, {}) in _BY_NAME}
    for node in nodes(tree):
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in inner:
            name = full_name(node, imports)
            if pattern.search(name) and name.partition(".")[0] not in own:
                yield name
    for name in imports.values():
        if pattern.search(name):
            yield name


def _defined(tree: ast.Module) -> set[str]:
    """Return the names of variables, functions and arguments of the file, which are not those of a module."""
    stored = {n.id for n in nodes(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    functions = {n.name for n in nodes(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    arguments = {n.arg for n in nodes(tree) if isinstance(n, ast.arg)}
    return (stored | functions | arguments) - _GUARDED_BUILTINS - {"exec", "eval", "compile", "globals", "locals"}


def _inner_attributes(tree: ast.Module) -> Iterator[str]:
    for node in nodes(tree):
        if isinstance(node, ast.Attribute) and _DUNDER.search(f".{node.attr}"):
            yield node.attr


def _computed_names(tree: ast.Module) -> Iterator[str]:
    """Yield getattr and setattr whose name is computed: after normal form, only such calls are left."""
    for node in nodes(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) >= 2:  # noqa: PLR2004
            name = node.args[1]
            is_plain = _is_plain(name)
            if node.func.id == "getattr" and not is_plain:
                yield "getattr with a computed name"
            if node.func.id in ("setattr", "delattr") and not (
                is_plain and isinstance(node.args[0], ast.Name) and node.args[0].id == "self"
            ):
                yield f"{node.func.id} with a computed name"


def _is_plain(name: ast.expr) -> bool:
    """Return whether a name comes from a variable as it is: `args.optimizer`, `args.optimizer.upper()`."""
    if isinstance(name, ast.Call) and isinstance(name.func, ast.Attribute) and not name.args:
        return _is_plain(name.func.value)
    return isinstance(name, ast.Name | ast.Attribute)


def _replaced(tree: ast.Module, before: ast.Module) -> Iterator[str]:
    """Yield attributes of modules, functions of the file before, and built-in functions that get another value."""
    imports = imported_names(tree)
    functions = {n.name for n in nodes(before) if isinstance(n, _DEFINITION)}
    taken = functions | set(imports) | _GUARDED_BUILTINS
    for node in nodes(tree):
        if isinstance(node, _DEFINITION) and node.name in (_GUARDED_BUILTINS | set(imports)):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound = [a.asname or a.name.partition(".")[0] for a in node.names]
            yield from (name for name in bound if name in functions | _GUARDED_BUILTINS or name == "*")
        for target, value in _assignments(node):
            root = target
            while isinstance(root, ast.Attribute):
                root = root.value
            if not isinstance(root, ast.Name):
                continue
            name = full_name(target, imports)
            if isinstance(target, ast.Attribute):
                # `torch.backends.cudnn.benchmark = True` is a setting; `time.time = f` is not.
                is_setting = isinstance(value, ast.Constant) and name.count(".") > 1
                if (root.id in imports and not is_setting) or root.id in functions:
                    yield name
            elif root.id in taken and not _is_wrapped(root.id, value) and not _is_variable(root.id, value):
                yield root.id


def _is_variable(name: str, value: ast.expr | None) -> bool:
    """Return whether a name like `sum` is used for a number, as careless scripts do."""
    return name in _GUARDED_BUILTINS and isinstance(value, ast.Constant)


def _is_wrapped(name: str, value: ast.expr | None) -> bool:
    """Return whether a function gets a wrapper that does not change what it computes: `step = torch.compile(step)`."""
    if not (isinstance(value, ast.Call) and value.args and _WRAPPERS.search(full_name(value.func, {}))):
        return False
    return isinstance(value.args[0], ast.Name) and value.args[0].id == name


def _assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """Yield each target that a statement gives a value, with the value where it is known."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _single_targets(target, value)
        case ast.AnnAssign(target=target, value=value) if value is not None:
            yield target, value
        case ast.NamedExpr(target=target, value=value):
            yield target, value
        case (
            ast.For(target=target) | ast.comprehension(target=target) | ast.withitem(optional_vars=ast.expr() as target)
        ):
            # A loop variable may have any name; one that is an attribute or an item changes something else.
            parts = _single_targets(target, None)
            yield from (part for part in parts if isinstance(part[0], ast.Attribute | ast.Subscript))
        case ast.Delete(targets=targets):
            yield from ((target, None) for target in targets)


def _single_targets(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    if isinstance(target, ast.Tuple | ast.List):
        values = value.elts if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts) else []
        for index, part in enumerate(target.elts):
            yield from _single_targets(part, values[index] if values else None)
    else:
        yield (target.value if isinstance(target, ast.Starred) else target), value


def _variables(tree: ast.Module) -> Iterator[str]:
    """Yield the environment variables that the file sets, other than those of numeric libraries."""
    imports = imported_names(tree)
    for node in nodes(tree):
        for target, _ in _assignments(node):
            if isinstance(target, ast.Subscript) and _is_environment(target.value, imports):
                yield from _unless_harmless(target.slice)
            elif _is_environment(target, imports):
                yield "os.environ"
        match node:
            case ast.Call(func=ast.Attribute(value=holder, attr=method), args=given) if method in _CHANGING_METHODS:
                if _is_environment(holder, imports):
                    yield from _unless_harmless(given[0] if given else None)


def _is_environment(node: ast.AST, imports: dict[str, str]) -> bool:
    return full_name(node, imports) in ("os.environ", "os.environb")


def _unless_harmless(key: ast.AST | None) -> Iterator[str]:
    if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
        yield "with a computed name"
    elif not _HARMLESS_VARIABLES.search(key.value):
        yield key.value


def _given_arguments(tree: ast.Module) -> Iterator[str]:
    """Yield calls that parse given options in place of those of the command."""
    for node in nodes(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=method), args=given, keywords=more) if method in _PARSERS:
                if given or more:
                    yield f"{method} gets options that are not the command's"


def _report_uses(tree: ast.Module) -> Iterator[str]:
    """Yield uses of tunesmith's functions other than calls, and of the variables that Tunesmith reads reports by."""
    imports = imported_names(tree)
    called = {id(n.func) for n in nodes(tree) if isinstance(n, ast.Call)}
    called |= {id(n.value) for n in nodes(tree) if isinstance(n, ast.Attribute)}
    for node in nodes(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _REPORT_VARIABLES.search(node.value):
            yield f"{node.value[:60]!r} is used"
        elif isinstance(node, ast.Call) and full_name(node.func, imports) == "tunesmith.report":
            if any(keyword.arg is None for keyword in node.keywords):
                yield "tunesmith.report gets values from a dictionary"
        elif isinstance(node, ast.Name | ast.Attribute) and id(node) not in called:
            name = full_name(node, imports)
            if re.search(r"^tunesmith(\.report)?$", name):
                yield f"{name} is passed on"
