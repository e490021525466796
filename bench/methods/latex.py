r"""A comparison as a LaTeX table, for \input: needs booktabs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tunesmith.bench.methods.results import MethodResult
from tunesmith.bench.methods.targets import time_to_target
from tunesmith.bench.methods.verdicts import final_sample
from tunesmith.tools.analysis.findings.figures import plus_minus

_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def latex_table(by_task: Mapping[str, Mapping[str, Sequence[MethodResult]]], target: Mapping[str, float]) -> str:
    """Return the table; the best mean of each task is bold."""
    lines = [r"\begin{tabular}{llrrr}", r"\toprule", r"Task & Method & Value & Failed & Trials to target \\"]
    for task, methods in by_task.items():
        lines += [r"\midrule", *_rows(task, methods, target.get(task))]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _rows(task: str, methods: Mapping[str, Sequence[MethodResult]], target: float | None) -> list[str]:
    means = {method: found.mean for method, results in methods.items() if (found := final_sample(results))}
    sign = next(iter(methods.values()))[0].objective.sign
    best = min(means, key=lambda method: sign * means[method], default=None)
    rows = []
    for index, (method, results) in enumerate(methods.items()):
        found = final_sample(results)
        value = "--" if found is None else plus_minus(found).replace("±", r"\pm")
        value = value if found is None else f"${value}$"
        value = rf"\boldmath{value}" if method == best else value
        failed = sum(r.failed for r in results) / max(1, sum(r.trials for r in results))
        cells = [escaped(task) if index == 0 else "", escaped(method), value, rf"{failed:.0%}".replace("%", r"\%")]
        rows.append(" & ".join([*cells, _until_target(results, target)]) + r" \\")
    return rows


def _until_target(results: Sequence[MethodResult], target: float | None) -> str:
    if target is None:
        return "--"
    needed = time_to_target(results, target)
    trials = f"{needed.trials:g}" if math.isfinite(needed.trials) else r"$\infty$"
    return f"{trials} ({needed.reached}/{needed.repeats})"


def escaped(text: str) -> str:
    """Return a text with the characters that mean something to LaTeX escaped."""
    return "".join(_SPECIAL.get(character, character) for character in text)
