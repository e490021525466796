"""What tools say of a study's state, of a trial's repetitions and of the difference between trials."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.studies import complete, failed, make_spec, proposal

from tunesmith.history.write import Recorder
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import ToolRefused
from tunesmith.study.trials.replicates.seeds import confirming_seed
from tunesmith.study.trials.trial import Source, Usage
from tunesmith.tools.control.inbox import Inbox, InboxControl
from tunesmith.tools.control.study_reader import FileStudyReader
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.registry import ALL
from tunesmith.tools.llm_tools.tool import find_tool

SPEC = make_spec(budget={"trials": 10}, run={"parallel": 2})


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with Recorder(tmp_path / "history.db", SPEC, project="", now=0.0) as opened:
        yield opened


@pytest.fixture
def context(recorder: Recorder, tmp_path: Path) -> Iterator[ToolContext]:  # noqa: ARG001  # it makes the history
    reader = FileStudyReader(tmp_path / "history.db", lambda: SPEC)
    yield ToolContext(reader=reader, folder=tmp_path / "small", control=InboxControl(Inbox(tmp_path / "small"), by="t"))
    reader.close()


def run(recorder: Recorder, lr: float, loss: float, *fresh: float, source: Source = Source.SAMPLER) -> int:
    """Record a trial that gave a loss, and its repetitions on fresh seeds; return its number."""
    first = recorder.record_start(recorder.record_proposal(proposal(lr, source=source), 0.0), 0, 0.0)
    recorder.record_outcome(first, complete(loss), 2.0)
    for index, value in enumerate(fresh):
        again = replace(proposal(lr, source=Source.CONFIRM, replicate_of=first.number), seed=confirming_seed(0, index))
        recorder.record_outcome(
            recorder.record_start(recorder.record_proposal(again, 0.0), 0, 0.0), complete(value), 2.0
        )
    return first.number


def command(recorder: Recorder, kind: str, *, at: float, **detail: Any) -> None:
    order = {"kind": kind, **detail.pop("order", {})}
    recorder.record_event("order", at, detail={"name": f"{kind}{at}", "order": order, "done": True, **detail})


def call(context: ToolContext, tool: str, **arguments: Any) -> str:
    return find_tool(ALL, tool).call(context, arguments)


def test_the_study_says_what_steers_it_what_is_left_and_how_to_run_the_best(
    recorder: Recorder, context: ToolContext
) -> None:
    run(recorder, 0.02, 0.2, 0.21, 0.19, source=Source.DEFAULT)
    run(recorder, 0.01, 0.1, 0.11, 0.12)
    steering = {"pins": {"hidden": 64}, "vetoes": ["lr > 0.5"]}
    command(recorder, "pin", at=3.0, steering=steering)
    text = call(context, "study")
    assert "pinned: hidden = 64" in text
    assert "veto: lr > 0.5" in text
    assert "#3" in text.split("best: ")[1].splitlines()[0]
    assert "; confirmed)" in text
    assert "to run the best: python train.py --lr 0.01" in text
    assert "noise: standard deviation " in text
    assert "pace: 2.0 s a trial, 2 at once; about 8.0 s left" in text


def test_a_pause_is_part_of_the_state_until_its_run_ends(
    recorder: Recorder, context: ToolContext, tmp_path: Path
) -> None:
    assert "has not run yet" not in call(context, "study")
    with Inbox(tmp_path / "small").owned():
        assert "state: running\n" in call(context, "study")
        command(recorder, "pause", at=time.time() + 1)
        assert "running, but paused" in call(context, "study")
        command(recorder, "resume", at=time.time() + 2)
        assert "state: running\n" in call(context, "study")
    command(recorder, "pause", at=1.0)
    with Inbox(tmp_path / "small").owned():
        assert "state: running\n" in call(context, "study")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Source.DEFAULT, "the study's default, which runs first as the baseline"),
        (Source.USER, "asked for by a person or a chat"),
        (Source.SAMPLER, "proposed by the sampler"),
        (Source.LLM, "proposed by the LLM"),
        (Source.FALLBACK, "in place of another source"),
        (Source.IMPORT, "it ran outside Tunesmith"),
    ],
)
def test_a_trial_says_in_words_why_it_was_proposed(
    recorder: Recorder, context: ToolContext, source: Source, words: str
) -> None:
    text = call(context, "trial", number=run(recorder, 0.01, 0.1, source=source))
    assert words in text
    assert "because" in text
    assert "on other seeds" not in text


def test_a_trial_shows_its_repetitions_and_a_repetition_the_others(recorder: Recorder, context: ToolContext) -> None:
    number = run(recorder, 0.01, 0.1, 0.2, 0.3)
    assert "on other seeds: #1 0.2000, #2 0.3000; mean over 3 seeds 0.200 ± 0.248 (95%)" in call(
        context, "trial", number=number
    )
    assert "on other seeds: #0 0.1000, #2 0.3000" in call(context, "trial", number=1)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (
            (0.1,),
            (0.2,),
            "#0 is better than #1 in loss by 0.100 (1 seed against 1); the noise between",
        ),
        ((0.2,), (0.1,), "#1 is better than #0 in loss by 0.1"),
        ((0.1,), (0.1,), "#0 and #1 have the same loss"),
        ((0.9, 0.10, 0.11, 0.12), (0.8, 0.30, 0.31, 0.32), "(3 fresh seeds against 3), beyond noise: better with"),
        ((0.9, 0.10, 0.20, 0.30), (0.8, 0.12, 0.22, 0.33), "(3 fresh seeds against 3), within noise: better with"),
        (
            (0.10, 0.11, 0.12),
            (0.30,),
            "(3 seeds against 1), more than noise explains (std of such a difference: 0.012",
        ),
        ((0.10, 0.20, 0.30), (0.25,), "(3 seeds against 1), no more than noise explains"),
    ],
)
def test_compare_says_which_is_better_and_whether_noise_explains_it(
    recorder: Recorder, context: ToolContext, first: Sequence[float], second: Sequence[float], words: str
) -> None:
    numbers = [run(recorder, 0.01, *first), run(recorder, 0.02, *second)]
    text = call(context, "compare", numbers=numbers).replace(f"#{numbers[1]}", "#1")
    assert words in text.splitlines()[-1]


def test_compare_has_no_verdict_on_what_has_no_value(recorder: Recorder, context: ToolContext) -> None:
    numbers = [run(recorder, 0.01, 0.1, 0.2), 1]
    assert "#0 and #1 are the same configuration on different seeds" in call(context, "compare", numbers=numbers)
    broken = recorder.record_proposal(proposal(0.5), 3.0)
    recorder.record_outcome(broken, failed(), 3.0)
    assert "better" not in call(context, "compare", numbers=[0, broken.number])


def test_a_maximized_metric_is_better_when_it_is_larger(tmp_path: Path) -> None:
    spec: StudySpec = make_spec(study={"direction": "maximize"})
    with Recorder(tmp_path / "h.db", spec, project="", now=0.0) as opened:
        run(opened, 0.01, 0.1)
        run(opened, 0.02, 0.2)
    reader = FileStudyReader(tmp_path / "h.db", lambda: spec)
    assert "#1 is better than #0" in call(ToolContext(reader=reader), "compare", numbers=[0, 1])
    reader.close()


def test_what_less_would_give_is_known_of_any_study(recorder: Recorder, context: ToolContext) -> None:
    best = recorder.record_proposal(proposal(0.01), 1.0)
    recorder.record_outcome(best, replace(complete(0.1), usage=Usage(wall_s=60)), 2.0)
    cheap = recorder.record_proposal(proposal(0.02), 1.0)
    recorder.record_outcome(cheap, replace(complete(0.11), usage=Usage(wall_s=20)), 2.0)
    half, few = call(context, "cheaper", fraction=0.5), call(context, "cheaper", fraction=0.1)
    assert f"for half the seconds of trial {best.number} (1 min 0 s, loss 0.1000): trial {cheap.number}, " in half
    assert "loss 0.1100 (10% worse) in 20 s  lr=0.02" in half
    assert few.endswith("no trial so far")
    assert len(call(context, "cheaper").splitlines()) == 4
    with pytest.raises(ToolRefused, match="no trial has a cost 'run/gpu_kwh'; .*run/seconds"):
        call(context, "cheaper", cost="run/gpu_kwh")


def test_a_parameter_is_not_taken_for_a_series_of_its_name(recorder: Recorder, context: ToolContext) -> None:
    """A script prints its scheduled learning rate, which ends at 0."""
    for lr in (0.01, 0.02):
        opened = recorder.record_proposal(proposal(lr), 1.0)
        recorder.record_outcome(opened, complete(0.1, lr=0.0), 2.0)
    assert len(call(context, "trials", where="lr == 0.02").splitlines()) == 1
    numbers = [t.number for t in recorder.history.trials(recorder.study_id)][-2:]
    assert "lr | 0.01 | 0.02" in call(context, "compare", numbers=numbers)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (
            {"a": 1.0, "b": 9.0, "c": 5.0},
            {"a": 2.0, "b": 10.1, "c": 6.0},
            "by 1.03 on the 3 instances that both ran on, be",
        ),
        ({"a": 1.0, "b": 9.0}, {"a": 2.0, "b": 8.5}, "on the 2 instances that both ran on, within noise"),
        ({"a": 1.0}, {"a": 2.0, "b": 8.0}, "on the 1 instance that both ran on; one instance does not say"),
        ({"a": 1.0}, {"b": 8.0}, "ran on no common instance"),
    ],
)
def test_compare_goes_by_pairs_on_instances(
    tmp_path: Path, first: dict[str, float], second: dict[str, float], words: str
) -> None:
    values = {"values": ["a", "b", "c"]}
    spec = make_spec(run={"command": "python train.py --lr {lr} --on {instance}"}, instances=values)
    numbers = []
    with Recorder(tmp_path / "h.db", spec, project="", now=0.0) as opened:
        for lr, losses in ((0.01, first), (0.02, second)):
            original = None
            for name, loss in losses.items():
                ran = replace(proposal(lr, replicate_of=original), instance=name)
                trial = opened.record_start(opened.record_proposal(ran, 1.0), 0, 1.0)
                opened.record_outcome(trial, complete(loss), 2.0)
                original = trial.number if original is None else original
            numbers.append(original)
    reader = FileStudyReader(tmp_path / "h.db", lambda: spec)
    assert words in call(ToolContext(reader=reader), "compare", numbers=numbers).splitlines()[-1]
    reader.close()
