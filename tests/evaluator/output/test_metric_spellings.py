"""The same metric in the words of frameworks, and what is another metric."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluator.output.line_filter import LineFilter
from tunesmith.evaluator.output.output_line import OutputLine
from tunesmith.evaluator.readers.metric_names import is_spelling_of, search_word
from tunesmith.evaluator.readers.metrics import MetricReader, parse_line


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("val_loss=0.52 (best val_loss=0.41)", "val_loss", 0.52),
        ("(best val_loss=0.41) val_loss=0.52", "val_loss", 0.52),
        ("Epoch 3 | Val Loss: 0.41 | Val Acc: 93.1%", "val_acc", 93.1),
        ("Validation loss: 0.41", "val_loss", 0.41),
        ("valid loss 0.41", "val_loss", 0.41),
        ("valLoss -> 0.41", "val_loss", 0.41),
        ("eval/loss: 0.41", "eval_loss", 0.41),
        ("acc 0.95", "acc", 0.95),
        ("Accuracy: 327/719 (45.48%)", "accuracy", 45.48),
        ("Test set: Average loss: 0.0271, Accuracy: 9913/10000 (99%)", "accuracy", 99.13),
        ("Accuracy (%): 93.1", "accuracy", 93.1),
        ("Test accuracy: 0.95", "accuracy", 0.95),
        ("train loss: 0.5, val loss: 0.41", "loss", 0.41),
        ("{'eval_loss': 0.41, 'epoch': 1.0}", "eval_loss", 0.41),
        ("{'eval_loss': '0.41', 'epoch': '1'}", "eval_loss", 0.41),
        ("{'eval_loss': np.float64(0.41)}", "eval_loss", 0.41),
        ("{'eval_loss': tensor(0.41)}", "eval_loss", 0.41),
        ('INFO:train:{"eval_loss": 0.41}', "eval_loss", 0.41),
        ('2026-11-28 12:30:01,123 INFO {"eval": {"loss": 0.41}} end', "eval_loss", 0.41),
        ("| eval_loss | 0.41 |", "eval_loss", 0.41),
        ("│         eval_loss         │    0.4100000262260437     │", "eval_loss", 0.4100000262260437),
        ("eval_loss........: 0.41", "eval_loss", 0.41),
        ("eval_loss .......... 0.41", "eval_loss", 0.41),
        ("INFO:root:eval_loss=0.41", "eval_loss", 0.41),
        ("\t eval_loss \t 0.41", "eval_loss", 0.41),
        ("acc@5 = 0.8", "acc@5", 0.8),
        ("val/mAP50-95: 0.3", "val/mAP50-95", 0.3),
        ("accuracy                           0.93       200", "accuracy", 0.93),
        ("score: 1,234,567.5 tok/s", "score", 1234567.5),
        ("score=0,87", "score", 0.87),
        ("loss=0.41 *", "loss", 0.41),
        ("loss: nan", "loss", math.nan),
    ],
)
def test_a_metric_is_found_by_its_name(line: str, name: str, value: float) -> None:
    assert parse_line(line, [name])[0][name] == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("best val_loss=0.41", "val_loss"),
        ("Best val Acc: 0.93", "val_acc"),
        ("train loss: 0.5", "loss"),
        ("min loss 0.1", "loss"),
        ("eval/loss=0.4", "loss"),
        ("no better val_loss 3 epochs in a row", "val_loss"),
        ("val_loss did not improve from 0.41", "val_loss"),
        ("val_loss_std=0.1", "val_loss"),
        ("loss 2 of 3", "loss_2"),
        ("val_loss=12:30", "val_loss"),
        ("val_loss=[0.1, 0.2]", "val_loss"),
        ("val_loss=1.2M", "val_loss"),
        ("score: 1 234", "score"),
        ("saved to val_loss=0.41.ckpt", "val_loss"),
    ],
)
def test_another_metric_or_half_a_number_is_not_taken(line: str, name: str) -> None:
    assert name not in parse_line(line, [name])[0]


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("step 1,500: loss=1", 1500),
        ("Epoch [3/10] loss=1", 3),
        ("epoch=3/10 loss=1", 3),
        ("Epoch 003 | loss=1", 3),
        ("{'loss': 1, 'epoch': 2.5}", 2.5),
        ("{'epoch': '2', 'loss': '1'}", 2),
        ("loss=1 at step 7.", 7),
        ("loss=1 of 3 epochs", None),
    ],
)
def test_the_step_is_read_too(line: str, step: float | None) -> None:
    assert parse_line(line, ["loss"])[1] == step


def read(
    lines: list[str], names: list[str], stream: str = "stdout", **options: object
) -> tuple[MetricReader, list[object]]:
    reader = MetricReader(names, lambda: 5.0, **options)  # type: ignore[arg-type]
    words = [search_word(name) for name in names]
    picker = LineFilter(words, "stdout")
    picked = [p for number, line in enumerate(lines, 1) for p in picker.feed(number, line)]
    found = [o for line in [*picked, *picker.flush()] for o in reader.from_line(line)]
    return reader, [(o.step, o.value) for o in found if o.metric in names]


@pytest.mark.parametrize(
    "text",
    [
        "epoch  train_loss  val_loss  time\n0      0.9         0.5       00:12\n1      0.8         0.41      00:11",
        "epoch,val_loss\n0,0.5\n1,0.41",
        "epoch;val_loss\n0;0,5\n1;0,41",
        "| Epoch | Val Loss |\n|-------|----------|\n| 0     | 0.5      |\n| 1     | 0.41     |",
        "┃ epoch ┃ val_loss ┃\n┡━━━━━━━╇━━━━━━━━━━┩\n│ 0     │ 0.5      │\n│ 1     │ 0.41     │",
        "   epoch  val_loss\n0      0      0.50\n1      1      0.41",
        "epoch\tlr\tval_loss\n0\t0.1\t0.5\n1\t0.1\t0.41",
        '{\n  "epoch": 0,\n  "val_loss": 0.5\n}\n{\n  "val_loss": 0.41,\n  "epoch": 1\n}',
        "{'epoch': 0,\n 'val_loss': 0.5}\n{'epoch': 1,\n 'val_loss': 0.41}",
        'INFO result: {\n  "epoch": 0, "nested": {"a": [1, 2]},\n  "val_loss": 0.5\n}\nepoch 1 val_loss 0.41',
        "epoch 0\repoch 0: val_loss=0.5\nepoch 1: val_loss=0.41".replace("\r", "\n"),
    ],
)
def test_tables_and_objects_over_several_lines_are_read_with_their_steps(text: str) -> None:
    assert read(text.split("\n"), ["val_loss"])[1] == [(0, 0.5), (1, 0.41)]


@pytest.mark.parametrize(
    "text",
    [
        "results for val_loss below\n1 2 3 4",
        "epoch val_loss\nsome text\n1 0.5",
        "epoch val_loss\n1 0.5 7 8",
        "val_loss lr\n/usr/lib x",
    ],
)
def test_numbers_below_a_name_are_not_always_a_table(text: str) -> None:
    reader, found = read(text.split("\n"), ["val_loss"])
    assert found == [] or text.startswith("results")
    assert "val_loss" in reader.unread or found


def test_an_object_that_never_ends_hides_no_line() -> None:
    lines = ["{", "val_loss=0.5", '{"a": {', *['"x": 1,'] * 2000, "val_loss=0.41"]
    assert [value for _, value in read(lines, ["val_loss"])[1]] == [0.5, 0.41]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["", "eval_loss = oops"], "line 2 of standard output names it without a number: `eval_loss = oops`"),
        (
            ["eval_loss = 1.2M"],
            "line 1 of standard output has a number that cannot be read for sure: `eval_",
        ),
        (["Best eval_loss: 0.4"], "line 1 of standard output has `best eval_loss`, which is another metric"),
    ],
)
def test_a_place_that_was_not_taken_is_named(lines: list[str], why: str) -> None:
    reader, found = read(lines, ["eval_loss"])
    assert found == []
    assert reader.unread["eval_loss"].startswith(why)


def test_two_metrics_that_may_both_be_meant_are_none() -> None:
    reader, _ = read(["val accuracy: 0.9", "test accuracy: 0.8"], ["accuracy"])
    assert "`val accuracy` and `test accuracy`" in reader.ambiguous["accuracy"]
    reader, found = read(["val accuracy: 0.9", "test accuracy: 0.8", "accuracy: 0.7"], ["accuracy"])
    assert not reader.ambiguous
    assert found[-1] == (pytest.approx(3, abs=1), 0.7)


def test_the_metrics_own_spelling_counts_more_than_another() -> None:
    _, found = read(["Val Loss: 0.5", "val_loss=0.41", "Val Loss: 0.3"], ["val_loss"])
    assert [value for _, value in found] == [0.5, 0.41]


def line(text: str, stream: str) -> OutputLine:
    return OutputLine(text, stream, 1)


def test_standard_error_is_read_where_standard_output_has_nothing() -> None:
    reader = MetricReader(["loss"], lambda: 5.0)
    assert [o.value for o in reader.from_line(line("INFO:root:loss=0.4", "stderr"))] == [0.4]
    assert [o.value for o in reader.from_line(line("loss=0.5", "stdout"))] == [0.5]
    assert reader.from_line(line("INFO:root:loss=0.4", "stderr")) == []


@pytest.mark.parametrize(
    "bar",
    [
        " 12%|█▏        | 31/250 [00:11<01:21,  2.70it/s, loss=2.31]",
        "Epoch 3:  12%|#2        | 31/250 [00:11<01:21,  2.70s/it, loss=2.31]",
        "training: 31/250 loss=2.31 12.5 samples/s",
    ],
)
def test_a_progress_bar_on_standard_error_is_read_only_on_request(bar: str) -> None:
    reader = MetricReader(["loss"], lambda: 5.0)
    assert reader.from_line(line(bar, "stderr")) == []
    assert "a progress bar" in reader.unread["loss"]
    asked = MetricReader(["loss"], lambda: 5.0, ["stderr"])
    assert [o.value for o in asked.from_line(line(bar, "stderr"))] == [2.31]


def test_a_stream_that_is_not_asked_for_is_named() -> None:
    reader = MetricReader(["loss"], lambda: 5.0, ["stdout"])
    assert reader.from_line(OutputLine("loss=0.4", "stderr", 12)) == []
    assert reader.unread["loss"] == "line 12 of standard error, not named in [run].metrics_from, has it: `loss=0.4`"


names = st.from_regex(r"[A-Za-z][a-z0-9]{0,6}([_/.-][a-z]{1,6}){0,2}", fullmatch=True)


@given(name=names, value=st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_every_name_is_found_in_every_common_form(name: str, value: float) -> None:
    for form in ("{}={}", "{}: {}", "a=1 {}={} b=2", "{{'{}': {}}}", '{{"{}": {}}}', "| {} | {} |", "x {} -> {}"):
        assert parse_line(form.format(name, value), [name])[0].get(name) == value


@given(name=names, text=st.text(max_size=60))
def test_a_line_without_the_search_word_has_no_metric(name: str, text: str) -> None:
    if search_word(name) not in text.lower():
        assert parse_line(text, [name]) == ({}, None)
    assert is_spelling_of(name, name)
