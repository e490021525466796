"""Finds code that chooses by results on held-out data: a report when they are good, weights that were the best."""

from __future__ import annotations

import ast
import re
from collections import Counter

from tunesmith.tools.variants.gaming.held_out import NO_DATA, is_held_out
from tunesmith.tools.variants.gaming.normal_form import called_name, nodes, value_names

_RESULT_NAME = re.compile(
    r"(loss(es)?|acc(uracy|uracies)?|score|err(or)?|metric|auc|f1|mse|mae|rmse|ppl|perplexity|bp[bcd]|r2|nll|kl|iou|map)s?$",
    re.IGNORECASE,
)
_CHOOSING_CALL = re.compile(
    r"(^|\.)(min|max|minimum|maximum|argmin|argmax|sorted|sort|argsort|topk|nsmallest|nlargest|index)$"
)


def chooses_by_held_out(before: ast.Module, after: ast.Module) -> bool:
    """Return whether an edit adds a comparison with a result on held-out data, or a choice of the best of them."""
    return bool(_choices(after) - _choices(before))


def _choices(tree: ast.Module) -> Counter[str]:
    """Return the comparisons with results on held-out data, and the choices of the least or best of them."""
    found = []
    for node in nodes(tree):
        is_choice = isinstance(node, ast.Call) and bool(_CHOOSING_CALL.search(called_name(node)))
        if (is_choice or isinstance(node, ast.Compare)) and _mentions_result(node):
            found.append(ast.dump(node))
    return Counter(found)


def _mentions_result(node: ast.AST) -> bool:
    """Return whether a node names a result on held-out data, such as `val_loss`; not the function `evaluate`."""
    names = value_names(node)
    return any(is_held_out(name) and _RESULT_NAME.search(name) and not NO_DATA.match(name) for name in names)
