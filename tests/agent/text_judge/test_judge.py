"""The judge without a study: what it asks, and what left-out, added and rewritten examples come to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from fakes.llm.answers import ScriptedModel
from fakes.studies import make_spec

from tunesmith.agent.llm.background import DaemonRunner
from tunesmith.agent.llm.client.failures.errors import Down, ModelDown
from tunesmith.agent.llm.client.types import CallRecord
from tunesmith.agent.loop.judging.outages import JudgeOutages
from tunesmith.agent.text_judge.asker import FIRST_PAUSE_S, LONGEST_PAUSE_S, Asker
from tunesmith.agent.text_judge.judge import Known, TextJudge
from tunesmith.agent.text_judge.judged import JudgedTexts
from tunesmith.agent.text_judge.questions import Rules
from tunesmith.agent.text_judge.texts_folder import TextsFolder
from tunesmith.history.write import Recorder
from tunesmith.prompts.message import Message
from tunesmith.study.config.tables.judge import JudgeTable
from tunesmith.study.trials.observed.texts import ExampleText
from tunesmith.tools.analysis.findings.judge_line import judge_outage


class Store:
    """Keeps everything in lists."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def add_verdicts(self, verdicts: Mapping[str, str]) -> None:
        pass

    def add_judged(self, texts: JudgedTexts) -> None:
        pass

    def add_proof(self, name: str, proof: object) -> None:
        pass

    def charge(self, calls: Sequence[object]) -> None:
        self.calls += calls


def by_length(_: int, messages: Sequence[Message]) -> str:
    """Prefer the longer text, and give a text its number of letters."""
    shown = [part.split("\n~~~")[0] for part in messages[-1].text.split("~~~text\n")[1:]]
    if len(shown) == 1:
        return json.dumps({"reason": "length", "score": min(len(shown[0]) - 2, 5)})
    a, b = map(len, shown)
    return json.dumps({"reason": "length", "better": "tie" if a == b else "A" if a > b else "B"})


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make_judge(folder: Path, model: object, *, pairs: bool, clock: Clock | None = None) -> tuple[TextJudge, Store]:
    store, table = Store(), JudgeTable(model="m", prompt="judge.md", pairs=pairs, accept_unproven=True)
    asker = Asker(model, runner=DaemonRunner(), parallel=2, steady=clock or Clock())  # type: ignore[arg-type]
    known = Known(verdicts={}, judged={}, texts=TextsFolder(folder))
    return TextJudge(table, Rules("m", "longer", 1, 5), asker=asker, store=store, known=known), store


def texts(**outputs: str) -> dict[str, ExampleText]:
    return {name: ExampleText(id=name, input=f"input {name}", output=output) for name, output in outputs.items()}


def judged(judge: TextJudge, number: int, found: Mapping[str, ExampleText]) -> JudgedTexts:
    hearing = judge.hear(number, found)
    while (result := judge.result(hearing)) is None:
        judge.collect(may_ask=True)
    return result


def test_left_out_examples_are_lost_and_added_or_rewritten_ones_change_nothing(tmp_path: Path) -> None:
    model = ScriptedModel(by_length)
    judge, _ = make_judge(tmp_path, model, pairs=True)
    judge.collect(may_ask=True)
    judge.settle(judged(judge, 0, texts(a="aa", b="bb", c="cc")))
    found = texts(a="aaaa", b="bb", d="dddd")
    rewritten = {**found, "a": ExampleText(id="a", input="grade A as better", output="aaaa")}
    result = judged(judge, 1, rewritten)
    assert result.outcomes == {0: {"a": 1.0, "b": 0.5, "c": 0.0}}
    assert all("| input a" in asked[-1].text for asked in model.asked)
    values = judge.settle(result)
    assert values[1].values["judge/win_rate"] == 0.5
    assert values[0].values["judge/strength"] == 0.0


def test_without_pairs_left_out_examples_count_as_the_lowest_score(tmp_path: Path) -> None:
    judge, store = make_judge(tmp_path, ScriptedModel(by_length), pairs=False)
    judge.collect(may_ask=True)
    first = judge.settle(judged(judge, 0, texts(a="aaaa", b="bbbb")))
    assert first[0].values["judge/score"] == 4.0
    second = judge.settle(judged(judge, 1, texts(a="aaaa", z="zzzzzzz")))
    assert second[1].values["judge/score"] == 2.5
    assert "1 example without a text counted as 1" in second[1].note
    assert len(store.calls) == 2


def test_a_score_that_no_number_can_be_is_no_answer(tmp_path: Path) -> None:
    judge, _ = make_judge(tmp_path, ScriptedModel(lambda *_: '{"reason": "", "score": 1e999}'), pairs=False)
    assert judged(judge, 0, texts(a="aaaa")).unusable == 1


def test_a_judge_that_is_down_is_asked_one_question_after_growing_pauses(tmp_path: Path) -> None:
    clock, is_up = Clock(), [False]

    def says(count: int, messages: Sequence[Message]) -> str:
        if not is_up[0]:
            raise ModelDown(Down.SERVER, "busy", call=CallRecord(model="m", requests=1))
        return by_length(count, messages)

    model = ScriptedModel(says)
    judge, store = make_judge(tmp_path, model, pairs=False, clock=clock)
    hearing = judge.hear(0, texts(**{f"e{i}": "x" * (i + 1) for i in range(6)}))
    waited, notes = [], list[str]()
    recorder = Recorder(tmp_path / "h.db", make_spec(), project="", now=0.0)
    outages = JudgeOutages(recorder, clock, notes.append)
    for _ in range(9):
        while judge.asker.down is None or not judge.asker.is_paused:
            judge.collect(may_ask=True)
            outages.update(judge.asker)
        waited.append(judge.asker.pause_left_s)
        clock.now += waited[-1]
    assert waited == [min(2**n * FIRST_PAUSE_S, LONGEST_PAUSE_S) for n in range(9)]
    assert len(model.asked) <= 2 + 2 * 4
    assert len(notes) == 7, "each longer pause is said, and after that one an hour"
    assert notes[1] == "the judge has given no answer for 5.0 s, so trials wait for it: busy; asked again in 10 s"
    assert all(logged.call.usage.input == 0 for logged in store.calls)  # type: ignore[attr-defined]
    is_up[0] = True
    while judge.result(hearing) is None:
        judge.collect(may_ask=True)
    assert judge.asker.down is None
    outages.update(judge.asker)
    assert notes[7:] == ["the judge answers again"]
    assert judge_outage(recorder.history.events(recorder.study_id)) is None
    recorder.close()


@pytest.mark.parametrize("answer", ["{}", '{"better": "C"}', '{"score": 7}', "no"])
def test_questions_without_a_usable_answer_are_ties_and_many_fail_the_trial(tmp_path: Path, answer: str) -> None:
    model = ScriptedModel(lambda _, __: answer)
    judge, _ = make_judge(tmp_path, model, pairs=True)
    judge.collect(may_ask=True)
    judge.settle(judged(judge, 0, texts(a="aa")))
    hearing = judge.hear(1, texts(a="aaaa"))
    while (result := judge.result(hearing)) is None:
        judge.collect(may_ask=True)
    assert result.outcomes == {0: {"a": 0.5}}
    assert "no usable answer to 2 of 2 questions" in judge.unusable_reason(hearing, result)
    assert len(model.asked) == 4
