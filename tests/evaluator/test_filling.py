"""Files that are filled for a trial: each format keeps all but the values, and says what it lacks."""

from __future__ import annotations

import ast
import json
import tomllib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluator.filling.files import fill_text, settings_in
from tunesmith.study.space.condition import Value

PYTHON = """# café
LR = 0.1; NAME = "x"
BETAS = (0.9, 0.999)
params = {"eta": 0.3, "tree": {"depth": 6}, 5: 1}
cfg = dict(width=64, deep=dict(rate=1e-3))
class Config:
    lr: float = 1e-3
    hidden: int = field(default=32)
def train(lr=3e-4, *, steps=100):
    batch = 16
    opt = torch.optim.SGD(p, lr=lr, momentum=0.9)
    opt2 = SGD(q, momentum=0.5)
    for epoch in range(1, 10 + 1):
        pass
config.optim.lr = 5e-4
config["decay"] = -1.5
model.add(Dropout(0.5))
"""


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [
        ("LR", "LR = 0.1;", "LR = 7;"),
        ("NAME", 'NAME = "x"', "NAME = 7"),
        ("BETAS.1", "(0.9, 0.999)", "(0.9, 7)"),
        ("params.tree.depth", '"depth": 6', '"depth": 7'),
        ("cfg.deep.rate", "rate=1e-3", "rate=7"),
        ("Config.lr", "lr: float = 1e-3", "lr: float = 7"),
        ("Config.hidden", "default=32", "default=7"),
        ("train.lr", "lr=3e-4, *", "lr=7, *"),
        ("train.steps", "steps=100", "steps=7"),
        ("train.batch", "batch = 16", "batch = 7"),
        ("SGD.momentum", "lr=lr, momentum=0.9", "lr=lr, momentum=7"),
        ("SGD.momentum#2", "q, momentum=0.5", "q, momentum=7"),
        ("epoch.range", "range(1, 10 + 1)", "range(1, 7 + 1)"),
        ("config.optim.lr", "lr = 5e-4", "lr = 7"),
        ("config.decay", "-1.5", "7"),
        ("Dropout.rate", "Dropout(0.5)", "Dropout(7)"),
    ],
)
def test_a_value_in_python_code_is_replaced_and_nothing_else(key: str, before: str, after: str) -> None:
    assert fill_text("train.py", PYTHON, {key: 7}) == PYTHON.replace(before, after)


def test_several_values_on_one_line_are_replaced_together() -> None:
    assert fill_text("a.py", "A, B = 1, 2; C = 'é'; D = 3", {"A": 10, "D": 0.25, "B": True}) == (
        "A, B = 10, True; C = 'é'; D = 0.25"
    )


YAML = """optim:   # how it learns
  lr: 1e-3
  betas: [0.9, 0.999]
  name: "adam"
flow: {width: 64, deep: {rate: .1}}
defaults:
  - model: small
"""


def test_yaml_keeps_comments_and_reads_as_what_was_written() -> None:
    values: dict[str, Value] = {
        "optim.lr": 1e-05, "optim.betas.1": 0.98, "optim.name": "sgd: #1", "flow.deep.rate": 0.5,
        "flow.width": 8, "defaults.0.model": "large",
    }  # fmt: skip
    text = fill_text("conf/train.yaml", YAML, values)
    loaded = yaml.safe_load(text)
    assert "# how it learns" in text
    assert loaded["optim"] == {"lr": 1e-05, "betas": [0.9, 0.98], "name": "sgd: #1"}
    assert loaded["flow"] == {"width": 8, "deep": {"rate": 0.5}}
    assert loaded["defaults"] == [{"model": "large"}]
    assert settings_in("conf/train.yaml", YAML)["optim.lr"] == 1e-3


def test_other_formats_are_filled() -> None:
    assert json.loads(fill_text("a.json", '{"a": {"lr": 1, "x": [1, 2]}}', {"a.lr": 0.5, "a.x.1": 9})) == {
        "a": {"lr": 0.5, "x": [1, 9]}
    }
    assert tomllib.loads(fill_text("a.toml", "[a]\nlr = 1\nb = true\n", {"a.lr": 0.5})) == {"a": {"lr": 0.5, "b": True}}
    assert fill_text(".env", "export LR=0.1  # rate\nB=3\n", {"LR": 0.5}) == "export LR=0.5  # rate\nB=3\n"
    assert "lr = 0.5" in fill_text("a.ini", "[train]\nlr = 0.1\nPath = %(x)s\n", {"train.lr": 0.5})


def test_a_notebook_is_filled_and_its_magics_are_left_out() -> None:
    def cell(source: str) -> dict[str, object]:
        return {"cell_type": "code", "source": source.splitlines(keepends=True), "outputs": ["old"], "metadata": {}}

    cells = [cell("%matplotlib inline\nlr = 0.1"), cell("%%bash\nls"), cell("!pip install x\nb = 2\nprint(lr)")]
    text = json.dumps({"cells": [{"cell_type": "markdown", "source": "lr = 3"}, *cells], "nbformat": 4})
    filled = json.loads(fill_text("train.ipynb", text, {"lr": 0.5, "b": 7}))
    sources = [c["source"] for c in filled["cells"][1:]]
    assert sources[0].endswith("lr = 0.5")
    assert "b = 7\nprint(lr)" in sources[2]
    for source in sources:
        ast.parse(source)
    assert all(c["outputs"] == [] for c in filled["cells"][1:])


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("a.yaml", "optim:\n  lr: 1\n", "has no 'optim.lrr'; did you mean optim.lr?"),
        ("a.yaml", "a: [1", "is not valid YAML"),
        ("a.py", "lr = (", "is not valid Python"),
        ("a.json", "{", "Expecting"),
        ("a.ipynb", "{}", "is not a notebook"),
        ("a.txt", "lr = 1", "cannot be filled; known are .py"),
        (".env", "LR=1\n", "has no 'optim.lrr'"),
        ("a.toml", "optim = 3\n", "has no 'optim.lrr'"),
    ],
)
def test_what_cannot_be_filled_is_said(path: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.").replace("?", r"\?")):
        fill_text(path, text, {"optim.lrr": 7})


@given(value=st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(), st.booleans(), st.text()))
def test_every_value_comes_back_from_the_file_that_it_was_written_to(value: Value) -> None:
    assert ast.literal_eval(fill_text("a.py", "x = 1", {"x": value}).removeprefix("x = ")) == value
    if not isinstance(value, str) or value.isprintable():
        assert yaml.safe_load(fill_text("a.yaml", "a: {x: 1}", {"a.x": value})) == {"a": {"x": value}}


@given(
    text=st.text(max_size=80), path=st.sampled_from(["a.py", "a.yaml", "a.json", "a.toml", "a.ini", ".env", "a.ipynb"])
)
def test_any_text_has_settings_or_none(text: str, path: str) -> None:
    assert isinstance(settings_in(path, text), dict)
