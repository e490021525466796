"""Asks a judge many questions in the background, each once; pauses while the judge is down. Knows no trial."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from tunesmith.agent.llm.background import BackgroundRunner
from tunesmith.agent.llm.call_log import LoggedCall, ask_and_log
from tunesmith.agent.llm.client.failures.errors import AnswerUnusable, ModelDown
from tunesmith.agent.llm.client.types import LanguageModel, TokenUse
from tunesmith.agent.text_judge.questions import UNUSABLE, Question, Verdict
from tunesmith.prompts.history_summary import estimate_tokens
from tunesmith.prompts.message import Message

FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0
"""Pause after the judge was down for the first time in a row, and the longest; each is twice the one before."""
ATTEMPTS = 2
"""How often a question is asked whose answer cannot be used."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What came in: verdicts by the key of their question, and the log of the calls."""

    verdicts: dict[str, Verdict]
    calls: list[LoggedCall]


@dataclass(frozen=True, slots=True)
class _Reply:
    verdict: Verdict
    down: ModelDown | None
    calls: list[LoggedCall]


class Asker:
    """Asks one judge. Call `collect` a few times a second, from one thread.

    Args:
        model: the judge.
        runner: runs questions in the background.
        parallel: number of questions at once.
        steady: returns seconds.

    Attributes:
        down: why the judge gives no answer at present; None while it does.
        pauses: number of pauses in a row, without an answer between them.
    """

    def __init__(
        self, model: LanguageModel, *, runner: BackgroundRunner, parallel: int, steady: Callable[[], float]
    ) -> None:
        self._model, self._runner, self._parallel, self._steady = model, runner, parallel, steady
        self._waiting: dict[str, Question] = {}
        self._asked: dict[str, tuple[Question, Future[_Reply]]] = {}
        self._pause_s, self._paused_until = FIRST_PAUSE_S, -math.inf
        self.down: ModelDown | None = None
        self.pauses = 0

    @property
    def is_paused(self) -> bool:
        """Whether the judge is down and is asked again later."""
        return self._steady() < self._paused_until

    @property
    def pause_left_s(self) -> float:
        """Seconds until the judge is asked again; 0 if it may be asked now."""
        return max(self._paused_until - self._steady(), 0.0)

    def add(self, questions: Iterable[Question]) -> None:
        """Take questions up; those that wait already are asked once."""
        for question in questions:
            if question.key not in self._asked:
                self._waiting.setdefault(question.key, question)

    def drop(self, keys: Iterable[str]) -> None:
        """Leave out questions that nobody needs any more and that were not asked yet."""
        for key in keys:
            self._waiting.pop(key, None)

    def collect(self, *, may_ask: bool) -> Answers:
        """Return what came in since the last call, and ask further questions if that is allowed."""
        found = Answers({}, [])
        for key in [key for key, (_, future) in self._asked.items() if future.done()]:
            question, future = self._asked.pop(key)
            reply = future.result()
            found.calls.extend(reply.calls)
            if reply.down is not None:
                self._pause(reply.down)
                self._waiting[key] = question
            else:
                found.verdicts[key] = reply.verdict
                self.down, self.pauses, self._pause_s = None, 0, FIRST_PAUSE_S
        if may_ask and not self.is_paused:
            self._ask_more()
        return found

    def _ask_more(self) -> None:
        # One question shows whether a judge that was down answers again.
        limit = 1 if self.down is not None else self._parallel
        while self._waiting and len(self._asked) < limit:
            key = next(iter(self._waiting))
            question = self._waiting.pop(key)
            self._asked[key] = question, self._runner.submit(_ask, self._model, question)

    def _pause(self, down: ModelDown) -> None:
        if not self.is_paused:
            self._paused_until = self._steady() + max(self._pause_s, down.retry_after_s or 0.0)
            self._pause_s = min(2.0 * self._pause_s, LONGEST_PAUSE_S)
            self.pauses += 1
        self.down = down


def _ask(model: LanguageModel, question: Question) -> _Reply:
    calls: list[LoggedCall] = []
    verdict, down = Verdict(UNUSABLE), None
    for _ in range(ATTEMPTS):
        try:
            verdict = ask_and_log(model, question.template, question.messages, question.form, calls)
            break
        except AnswerUnusable:
            continue
        except ModelDown as error:
            down = error
            break
    return _Reply(verdict, down, [_short(call, question) for call in calls])


def _short(logged: LoggedCall, question: Question) -> LoggedCall:
    """Return a call without its prompt, whose texts are kept with the trial: a study may ask 10,000 times."""
    usage = logged.call.usage
    if logged.error and not logged.answer and usage.input is None:
        usage = TokenUse(input=0, output=0)  # nobody answered
    elif logged.call.requests and (usage.input is None or usage.output is None):
        written = sum(estimate_tokens(message.text) for message in logged.messages)
        usage = TokenUse(input=written, output=estimate_tokens(logged.answer))
    call = replace(logged.call, usage=usage)
    return replace(logged, messages=(Message("user", question.about),), call=call)
