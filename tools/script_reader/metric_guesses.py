"""Guesses the metric to optimize from what a script prints, logs and reports. Reads syntax trees only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tunesmith.study.config.tables.field_types import MAX_METRIC_CHARS, metric_name
from tunesmith.tools.script_reader.literals import dotted
from tunesmith.tools.script_reader.metric_words import direction_of, is_held_out, is_no_objective, rank
from tunesmith.tools.script_reader.reading import MetricGuess
from tunesmith.tools.script_reader.sources import Module, Sources

_NAME = r"[A-Za-z_][\w./@%-]{0,80}+"
_NAMED = re.compile(
    rf"((?:{_NAME}[ ]){{0,3}}{_NAME})(\s{{0,12}}\([^()\x00]{{0,24}}\))?\s{{0,12}}[=:]\s{{0,12}}[\"']?\s{{0,12}}"
    r"(?:tensor\(|\$)?(?=\x00)"
)
_BY_SPACE = re.compile(rf"((?:{_NAME}[ ]){{0,2}}{_NAME})\s{{1,12}}(?=\x00)")
_QUALIFIER = re.compile(
    r"([DG]|gen\w*|disc\w*|actor|critic|policy|value|recon\w*|kld?|box|obj|cls|avg|average|mean|val|valid|validation|test|testing|eval|evaluation|dev|final|train|training|total|episode|top-?\d)\W?",
    re.IGNORECASE,
)
_PRINTER = re.compile(
    r"^(print\w*|echo|secho|info|write|log\w*|dumps|debug|warning|\w*print|set_description\w*|set_postfix\w*|progress\w*|"
    r"\w*message|report\w*|display|status|tabular|pbar|\w*_log|sys_write|record_tabular)$"
)
_SCALARS = re.compile(
    r"^(log|add_scalars?|log_metrics?|scalar|log_dict|logkv\w*|store|record\w*|write_scalars|log_tabular|track|log_value)$"
)
_VALUE = "\x00"
_MEASURES = re.compile(
    r"(accuracy_score|f1_score|roc_auc_score|(?:root_)?mean_(?:squared|absolute)_error|r2_score|log_loss|"
    r"balanced_accuracy_score|average_precision_score|cross_val_score|adjusted_rand_score|score)$"
)
_NO_RESULT = re.compile(
    r"warn|saving|overrid|limit|plot|found|decreas|loading|using|improv|number of|skipp|reset", re.IGNORECASE
)
NUMBER = r"([-+]?[0-9][0-9.,eE+-]*|nan|inf)"
"""The group of a generated expression that finds the number."""


def guess_metrics(sources: Sources, domains: frozenset[str] = frozenset()) -> tuple[MetricGuess, ...]:
    """Return the printed names that look like a metric, those on held-out data before those on training data."""
    found: dict[str, MetricGuess] = {}
    positions: dict[str, int] = {}
    for index, module in enumerate(sources.modules):
        for guess in (
            *_reported(module),
            *_printed(module),
            *_meters(module),
            *_unnamed(module),
            *_framework(sources, module),
        ):
            known = guess.name.lower() in positions
            if not known and direction_of(guess.name) and not is_no_objective(guess.name):
                found[guess.name], positions[guess.name.lower()] = guess, index

    def suits(guess: MetricGuess) -> float:
        is_elsewhere = positions[guess.name.lower()] > 0
        return rank(guess.name, domains) - 0.4 * is_elsewhere - 1.5 * bool(guess.source) - 1.0 * bool(guess.regex)

    return tuple(sorted(found.values(), key=lambda guess: -suits(guess)))


def _reported(module: Module) -> Iterator[MetricGuess]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and dotted(node.func) in ("tunesmith.report", "ts.report", "report"):
            yield from (_guess(module, node, k.arg) for k in node.keywords if k.arg and k.arg != "step")


def _printed(module: Module) -> Iterator[MetricGuess]:
    texts = _assigned_texts(module)
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or not _PRINTER.match(dotted(node.func).rpartition(".")[2]):
            continue
        if dotted(node.func).startswith(("wandb.", "mlflow.", "self.log", "comet", "neptune")):
            continue
        text = " ".join(_text(argument, texts) for argument in node.args)
        names = [
            name for match in (*_NAMED.finditer(text), *_BY_SPACE.finditer(text)) if (name := _metric_part(match[1]))
        ]
        yield from (_guess(module, node, name) for name in names)
        for argument in node.args:
            if isinstance(argument, ast.Dict):
                keys = (k.value for k in argument.keys if isinstance(k, ast.Constant) and isinstance(k.value, str))
                yield from (_guess(module, node, key) for key in keys if _is_name(key))
        yield from (_guess(module, node, k.arg) for k in node.keywords if k.arg and _is_name(k.arg))
        if not names and _VALUE in text:
            yield from _sentence(module, node, text)


def _meters(module: Module) -> Iterator[MetricGuess]:
    """Yield what meters are called that print themselves: `AverageMeter("Acc@1", ":6.2f")`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and dotted(node.func).endswith("Meter") and node.args:
            name = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
            if isinstance(name, str) and _is_name(name):
                yield _guess(module, node, name)


def _assigned_texts(module: Module) -> dict[str, ast.expr]:
    """Return the texts with values that are put together before they are printed, by variable."""
    return {
        node.targets[0].id: node.value
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.JoinedStr | ast.BinOp | ast.Dict | ast.Call)
    }


def _sentence(module: Module, node: ast.Call, text: str) -> Iterator[MetricGuess]:
    """Yield a metric in a sentence, such as "Accuracy of the network on the test images: 98 %", by an expression."""
    plain = text.split(_VALUE)[0].split("\n")[-1].strip()
    words = re.findall(r"[A-Za-z_][\w.-]*", plain)
    named = next((w for w in words if direction_of(w) and not is_no_objective(w)), "")
    if not named or len(words) < 2 or len(plain) > MAX_METRIC_CHARS or _NO_RESULT.search(plain):  # noqa: PLR2004
        return
    held_out = "test " if is_held_out(plain) and not is_held_out(named) else ""
    name = f"{held_out}{named.lower()}".rstrip(".")
    # Spaces need no escape, and a person reads the expression.
    regex = rf"{re.escape(plain).replace(chr(92) + ' ', ' ')}\s*{NUMBER}"
    yield MetricGuess(name=name, direction=direction_of(name), where=_where(module, node), regex=regex)


def _unnamed(module: Module) -> Iterator[MetricGuess]:
    """Yield a score that is printed without any name: `print(model.score(x_test, y_test))`."""
    measured = _assigned_texts(module)
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or dotted(node.func) not in ("print", "display") or len(node.args) != 1:
            continue
        value: ast.expr | None = node.args[0]
        name = value.id if isinstance(value, ast.Name) else ""
        value = measured.get(name) if name else value
        if isinstance(value, ast.Call) and (match := _MEASURES.search(dotted(value.func))):
            metric = name if direction_of(name) else match[1]
            yield MetricGuess(
                name=metric, direction=direction_of(metric), where=_where(module, node), regex=rf"^\s*{NUMBER}\s*$"
            )


def _framework(sources: Sources, module: Module) -> Iterator[MetricGuess]:
    """Yield metrics that a framework prints or writes: Keras' fit, transformers' Trainer, scalars for TensorBoard."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        last = dotted(node.func).rpartition(".")[2]
        arguments = {k.arg for k in node.keywords}
        if last in ("fit", "fit_generator") and sources.imports("keras", "tensorflow") and "epochs" in arguments:
            held_out = "val_" if arguments & {"validation_data", "validation_split"} else ""
            yield _guess(module, node, f"{held_out}loss")
        elif (
            last.endswith("Trainer") and sources.imports("transformers", "trl") and arguments & {"eval_dataset", "args"}
        ):
            yield _guess(module, node, "eval_loss" if "eval_dataset" in arguments else "loss")
        elif _SCALARS.match(last) and (len(node.args) > 1 or last == "log_tabular"):
            yield from _scalar(module, node, last)


def _scalar(module: Module, node: ast.Call, method: str) -> Iterator[MetricGuess]:
    first = node.args[0]
    name = _text(first, {}).split(_VALUE)[0].strip() if isinstance(first, ast.JoinedStr | ast.Constant) else ""
    if not _is_name(name):
        return
    source = ""
    if method in ("add_scalar", "add_scalars"):
        source = "**/events.out.tfevents.*"
    elif dotted(node.func) == "self.log":
        source = "**/metrics.csv"
    elif method in ("log_metric", "log_metrics"):
        source = "mlruns/*/*/metrics/**"
    yield MetricGuess(name=name, direction=direction_of(name), where=_where(module, node), source=source)


def _guess(module: Module, node: ast.AST, name: str) -> MetricGuess:
    return MetricGuess(name=name, direction=direction_of(name), where=_where(module, node))


def _where(module: Module, node: ast.AST) -> str:
    return f"{module.path} line {getattr(node, 'lineno', 0)}"


def _metric_part(phrase: str) -> str:
    """Return the part of a phrase before a value that names the metric: "Average loss" of "Test set Average loss"."""
    words = phrase.split()
    for start in range(len(words) - 1, -1, -1):
        if direction_of(words[start]) and start >= len(words) - 2:
            first = start
            while first > 0 and _QUALIFIER.fullmatch(words[first - 1]):
                first -= 1
            name = " ".join(words[first:])
            return name if _is_name(name) else ""
    return ""


def _is_name(name: str) -> bool:
    try:
        metric_name(name)
    except ValueError:
        return False
    return bool(direction_of(name))


def _text(node: ast.expr, texts: dict[str, ast.expr]) -> str:
    """Return a text with a marker in place of each value that is formatted into it."""
    match node:
        case ast.Constant(value=str() as text):
            text = re.sub(r"\{[^{}\n]{0,40}\}", _VALUE, text)
            return re.sub(r"%[-+ #0-9.]*[sdfgeEi]", _VALUE, text)
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else _VALUE for part in parts)
        case ast.BinOp(left=left, op=ast.Mod()):
            return _text(left, texts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, texts) + _text(right, texts)
        case ast.Call(func=ast.Attribute(value=text, attr="format")):
            return _text(text, texts)
        case ast.Name(id=name) if isinstance(texts.get(name), ast.JoinedStr | ast.BinOp):
            return _text(texts[name], {})
    return _VALUE
