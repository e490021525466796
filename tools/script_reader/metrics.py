"""Guesses the metric to optimize from what a script prints and reports. Reads syntax trees only."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tunesmith.tools.script_reader.findings import MetricGuess
from tunesmith.tools.script_reader.literals import dotted

_SMALL = re.compile(
    r"loss|err|rmse|mse|mae|mape|perplexity|ppl|bpb|nll|regret|cost|seconds|latency|(?:^|_)ms$|time|wer|cer|fid|deviance"
)
_LARGE = re.compile(
    r"acc|auc|f1|score|reward|return|throughput|ops|per_s|precision|recall|bleu|rouge|map|r2|iou|dice|win"
)
_HELD_OUT = re.compile(r"val|valid|eval|test|dev|holdout|cv")
_TRAINING = re.compile(r"train|lr|grad|step|epoch|iter|batch|elapsed")
_PRINTED = re.compile(r"([A-Za-z_][\w./-]*)\s*[=:]\s*(?=\x00|%|\{)")
_PRINTERS = ("print", "echo", "info", "write", "log", "secho", "dumps")
_VALUE = "\x00"


def guess_metrics(tree: ast.Module) -> tuple[MetricGuess, ...]:
    """Return the printed names that look like a metric, those on held-out data before those on training data."""
    names = dict.fromkeys([*_reported(tree), *_printed(tree)])
    metrics = [name for name in names if _direction(name) and not name.lower().startswith("best")]
    ranked = sorted(metrics, key=lambda name: -_rank(name))
    return tuple(MetricGuess(name=name, direction=_direction(name)) for name in ranked)


def _direction(name: str) -> str:
    low = name.lower()
    if _SMALL.search(low):
        return "minimize"
    return "maximize" if _LARGE.search(low) else ""


def _rank(name: str) -> int:
    low = name.lower()
    return 2 * bool(_HELD_OUT.search(low)) - 2 * bool(_TRAINING.search(low)) + ("loss" in low)


def _reported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func) in ("tunesmith.report", "ts.report", "report"):
            yield from (k.arg for k in node.keywords if k.arg and k.arg != "step")


def _printed(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or dotted(node.func).rpartition(".")[2] not in _PRINTERS:
            continue
        for argument in node.args:
            yield from _PRINTED.findall(_text(argument))
            if isinstance(argument, ast.Dict):
                yield from (k.value for k in argument.keys if isinstance(k, ast.Constant) and isinstance(k.value, str))
        texts = [a.value.strip(" :=") for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        if len(node.args) > 1:
            yield from (text for text in texts if text.isidentifier())


def _text(node: ast.expr) -> str:
    """Return a text with a marker in place of each value that is formatted into it."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) if isinstance(part, ast.Constant) else _VALUE for part in parts)
        case ast.BinOp(left=left, op=ast.Mod()) | ast.BinOp(left=left, op=ast.Add()):
            return _text(left) + _VALUE
        case ast.Call(func=ast.Attribute(value=text, attr="format")):
            return _text(text)
    return ""
