"""Opens the judge of a run, with its costs counted together with those of the planner's LLM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tunesmith.agent.llm.background import BackgroundRunner
from tunesmith.agent.llm.call_log import LoggedCall, to_llm_call
from tunesmith.agent.llm.llm_budget import LLMBudget
from tunesmith.agent.loop.judging.service import Judging
from tunesmith.agent.loop.limits.budget_ledger import BudgetLedger
from tunesmith.agent.loop.run_options import RunOptions
from tunesmith.agent.planner.model import open_model
from tunesmith.agent.text_judge.asker import Asker
from tunesmith.history.write import Recorder
from tunesmith.study.config.spec import StudySpec

if TYPE_CHECKING:
    from tunesmith.agent.llm.candidate_pool import CandidatePool


class _OwnAccount:
    """The account of a judge in a study whose planner has no LLM; one with an LLM has it in its candidate pool."""

    def __init__(self, name: str, ledger: BudgetLedger, recorder: Recorder, note: Callable[[str], None]) -> None:
        self._usage = LLMBudget(name, ledger.budget, ledger.before, when_spent="trials wait for their judge")
        self._ledger, self._recorder, self._note = ledger, recorder, note
        ledger.llm_spent = lambda: self._usage.spent

    def charge(self, calls: Sequence[LoggedCall]) -> None:
        if self._usage.limits != self._ledger.budget:
            self._usage.change_limits(self._ledger.budget)
        self._usage.charge(calls)
        self._recorder.record_llm_calls([to_llm_call(call) for call in self._usage.drain_calls()])
        for text in self._usage.drain_notes():
            self._note(text)


def reached_limit(ledger: BudgetLedger) -> str:
    """Return the name of the limit on the LLM that is reached; "" while there is none."""
    return next((s.name for s in ledger.budget.llm_limit_usage(ledger.spent()) if s.used >= s.limit), "")


def open_judging(  # noqa: PLR0913  # the parts of a run that it works with
    spec: StudySpec,
    options: RunOptions,
    *,
    recorder: Recorder,
    ledger: BudgetLedger,
    candidate_pool: CandidatePool | None,
    runner: BackgroundRunner,
    note: Callable[[str], None],
) -> Judging | None:
    """Return the judge of a run; None for a study without [judge].

    Raises:
        InputError: a file of [judge] cannot be read, there are too few labels, or a package is missing.
    """
    if spec.judge is None:
        return None
    model = open_model(spec.judge.connection, options.recording)
    account = candidate_pool if candidate_pool is not None else _OwnAccount(model.name, ledger, recorder, note)

    def best() -> int | None:
        leader = recorder.history.choose(recorder.study_id, spec)
        return leader.trial.number if leader is not None else None

    return Judging(
        spec.judge,
        model=model.name,
        asker=Asker(model, runner=runner, parallel=spec.judge.parallel, steady=ledger.clocks.steady),
        recorder=recorder,
        charge=account.charge,
        spent_limit=lambda: reached_limit(ledger),
        project=options.project,
        folder=options.history.parent / spec.study.name,
        now=ledger.clocks.wall,
        note=note,
        best=best,
    )
