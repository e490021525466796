"""Numbers out of lines: what is read, what is not, and that no text can break it."""

from __future__ import annotations

import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluator.readers.metrics import MetricReader, parse_line


@pytest.mark.parametrize(
    ("line", "values", "step"),
    [
        ("val_loss=0.41", {"val_loss": 0.41}, None),
        ("val_loss: 0.41", {"val_loss": 0.41}, None),
        ("epoch 3/10 train_loss=1.5 val_loss=0.41", {"train_loss": 1.5, "val_loss": 0.41}, 3),
        ("[Epoch 12] val_loss 4.1e-1 (best 0.4)", {"val_loss": 0.41}, 12),
        ("step: 200, val_loss: 0.41, lr: 1e-4", {"val_loss": 0.41, "lr": 1e-4}, 200),
        ('{"epoch": 7, "val_loss": 0.41, "name": "x", "ok": true}', {"val_loss": 0.41}, 7),
        ('  {"val_loss": NaN}', {"val_loss": math.nan}, None),
        ("val_loss=nan", {"val_loss": math.nan}, None),
        ("val_loss = -inf", {"val_loss": -math.inf}, None),
        ("val_loss=1_000.5", {"val_loss": 1000.5}, None),
        ("val_loss=.5", {"val_loss": 0.5}, None),
        ("acc: 93% val_loss: 0.41", {"acc": 93.0, "val_loss": 0.41}, None),
        ("best_val_loss=0.1", {}, None),
        ("val_loss_old=0.1", {}, None),
        ("my.val_loss=0.1", {}, None),
        ("val_loss=abc", {}, None),
        ("val_loss=0.4x", {}, None),
        ("val_loss=", {}, None),
        ("nothing here 0.41", {}, None),
        ('{"val_loss": "0.41"}', {"val_loss": 0.41}, None),
        ('{"val_loss": tru', {}, None),
    ],
)
def test_known_forms(line: str, values: dict[str, float], step: float | None) -> None:
    found, at = parse_line(line, ["val_loss"])
    assert repr(sorted(found.items())) == repr(sorted(values.items()))
    assert at == step


def test_a_name_may_begin_with_any_letter() -> None:
    assert parse_line("übel=0.41 βeta: 2", ["übel", "βeta"])[0] == {"übel": 0.41, "βeta": 2.0}


@given(
    value=st.floats(),
    form=st.sampled_from(["loss={}", "loss: {}", "x y z loss {}", '{{"loss": {}}}', "a=1, loss={}, b=2"]),
)
def test_every_float_is_read_back_exactly(value: float, form: str) -> None:
    text = json.dumps(value) if form.startswith("{{") else repr(value)
    found, _ = parse_line(form.format(text), ["loss"])
    assert repr(found["loss"]) == repr(value)


@given(line=st.text(max_size=300), name=st.sampled_from(["loss", "val/acc", "a.b-c"]))
def test_no_text_raises(line: str, name: str) -> None:
    for text in (line, f"{name}={line}", f"{name} {line}", f"{{{line}", f'{{"{name}": {line}}}'):
        for value in parse_line(text, [name])[0].values():
            assert isinstance(value, float)


def test_a_line_of_a_megabyte_is_read_in_no_time() -> None:
    began = time.monotonic()
    for filler in ("a" * 2**20, "1" * 2**20, "a=1 " * 2**18, "{" * 2**20, "loss" * 2**18, "loss = " * 2**17):
        parse_line(f"loss=0.5 {filler}", ["loss"])
    assert time.monotonic() - began < 20


def test_steps_are_counted_where_the_script_gives_none() -> None:
    reader = MetricReader(["loss"], lambda: 5.0)
    found = [o for line in ("loss=3", "noise", "loss=2", "epoch=9 loss=1", "loss=0") for o in reader.from_line(line)]
    assert [(o.step, o.value) for o in found] == [(1, 3), (2, 2), (9, 1), (4, 0)]


def test_what_a_script_reports_is_not_read_from_its_output_too() -> None:
    reader = MetricReader(["loss", "acc"], lambda: 5.0)
    reader.from_report('{"step": 1, "values": {"loss": 0.5}}')
    assert [(o.metric, o.value) for o in reader.from_line("loss=9 acc=0.8")] == [("acc", 0.8)]
