"""The strategies of code search by the name that study.toml gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tunesmith.agent.code_search.strategies.adaptive import Adaptive
from tunesmith.agent.code_search.strategies.base import Strategy
from tunesmith.agent.code_search.strategies.front import Front
from tunesmith.agent.code_search.strategies.greedy import Greedy
from tunesmith.agent.code_search.strategies.islands import Islands
from tunesmith.agent.code_search.strategies.tree import Tree
from tunesmith.study.config.tables.planner import EditStrategy

_STRATEGIES: Mapping[EditStrategy, Callable[[], Strategy]] = {
    "adaptive": Adaptive,
    "greedy": Greedy,
    "tree": Tree,
    "islands": Islands,
    "front": Front,
}


def make_strategy(name: EditStrategy) -> Strategy:
    """Return a strategy by its name in [edits]."""
    return _STRATEGIES[name]()
