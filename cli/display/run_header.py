"""The lines with which a run begins: what is tuned, on what, by whom, and what an earlier run brought along."""

from __future__ import annotations

from tunesmith.agent.loop.events import Opened
from tunesmith.study.units import short_number


def welcome(news: Opened) -> list[str]:
    """Return two or three lines."""
    spec = news.record.spec
    aims = ", ".join(f"{o.direction.value} {o.metric}" for o in spec.objectives)
    conditional = len(spec.space.conditions)
    size = f"{len(spec.space)} parameters" + (f", {conditional} conditional" if conditional else "")
    places = f"{news.slots} slot{'s' if news.slots > 1 else ''}"
    if news.gpus:
        places += f" (GPU {', '.join(news.gpus)})"
    who = f"sampler {spec.planner.sampler}"
    if spec.planner.model:
        who += f"  ·  LLM {spec.planner.model}{_at_most(news)}"
    lines = [f"{news.record.name}  {aims}  ·  {size}  ·  {places}  ·  {who}"]
    if news.estimate:
        lines.append(f"the LLM's part, estimated: {news.estimate}")
    if news.finished or news.requeued:
        lost = f", {news.requeued} lost and queued again" if news.requeued else ""
        best = ""
        if news.best:
            metric = spec.objectives[0].metric
            best = f"; best {short_number(news.best.values[metric])} (#{news.best.number})"
        lines.append(f"resuming: {news.finished} finished{lost}{best}")
    return lines


def _at_most(news: Opened) -> str:
    """Return the limits on the LLM, in parentheses."""
    limits = [
        f"${share.limit:.2f}" if share.name == "llm_usd" else f"{short_number(share.limit)} {share.name[4:]}"
        for share in news.budget.llm_shares(news.record.spent)
    ]
    return f" (at most {', '.join(limits)})" if limits else ""
