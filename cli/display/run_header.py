"""The first lines of a run: what is tuned, in how many slots, by whom, and what a resumed study already has."""

from __future__ import annotations

from tunesmith.agent.loop.notices.events import Opened
from tunesmith.cli.display.format import aims_text, front_line
from tunesmith.study.formatting import count
from tunesmith.study.trials.winner import certainty_text
from tunesmith.study.units import short_number
from tunesmith.tools.checks.judge_checks import judge_findings
from tunesmith.tools.script_reader.judge_script import ASK


def header_lines(event: Opened) -> list[str]:
    """Return one to four lines."""
    lines = [_study_line(event)]
    if judge_findings(event.record.spec):
        lines.append(f"{ASK}; `tunesmith judge` writes one to start from")
    if event.estimate:
        lines.append(f"estimated LLM use: {event.estimate}")
    if event.finished or event.requeued:
        lines.append(_resume_line(event))
    return lines


def _study_line(event: Opened) -> str:
    spec = event.record.spec
    size = f"{count(len(spec.space.declared), 'parameter')}"
    if spec.space.conditions:
        size += f", {len(spec.space.conditions)} conditional"
    if spec.space.forbid:
        size += f", {count(len(spec.space.forbid), 'rule')}"
    slots = count(event.slots, "slot")
    if event.gpus:
        slots += f" (GPU {', '.join(event.gpus)})"
    planner = f"sampler {spec.planner.sampler}"
    if spec.planner.model:
        planner += f"  ·  LLM {spec.planner.model}{_llm_limits(event)}"
    return f"{event.record.name}  {aims_text(spec.objectives)}  ·  {size}  ·  {slots}  ·  {planner}"


def _resume_line(event: Opened) -> str:
    line = f"resuming: {event.finished} finished"
    if event.requeued:
        line += f", {event.requeued} lost and queued again"
    if len(event.record.spec.objectives) > 1:
        line += f"; {front_line(event.front, event.record.spec.objectives)}"
    elif event.best:
        metric = event.record.spec.objectives[0].metric
        certainty = certainty_text(event.winner) if event.winner else ""
        trial = f"#{event.best.number}{f', {certainty}' if certainty else ''}"
        line += f"; best {short_number(event.best.values[metric])} ({trial})"
    return line


def _llm_limits(event: Opened) -> str:
    """Return the limits on the LLM, in parentheses; "" without limits."""
    limits = [
        f"${share.limit:.2f}" if share.name == "llm_usd" else f"{short_number(share.limit)} {share.name[4:]}"
        for share in event.budget.llm_limit_usage(event.record.spent)
    ]
    return f" (at most {', '.join(limits)})" if limits else ""
