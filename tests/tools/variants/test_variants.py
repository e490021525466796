"""Edits of code: made exactly or not at all, stopped at the gate for a named reason, and told apart from each other."""

from __future__ import annotations

import subprocess
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.study.config.load import parse_space
from tunesmith.study.variant import Edit, EditRefused, Variant, VariantState, edited, unified, variant_id
from tunesmith.tools.variants.build import EditProposal, command_of, cross_variants, make_variant
from tunesmith.tools.variants.gate import GateRules

SCRIPT = textwrap.dedent('''
    """Trains."""
    import argparse
    import random

    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    random.seed(args.seed)
    val_data = [1, 2, 3]
    # tunesmith: protect
    LIMIT_SECONDS = 60
    # tunesmith: end


    def step(weight, slope):
        change = args.lr * slope
        result = weight - change
        return result


    weight = 1.0
    for epoch in range(args.epochs):
        weight = step(weight, weight)
        val_loss = abs(weight) / len(val_data)
        print(f"epoch={epoch} val_loss={val_loss}")
''').lstrip()

SPACE = parse_space({"lr": {"type": "float", "low": 0.01, "high": 1.0, "log": True, "default": 0.1}})
RULES = GateRules(
    editable=["train.py", "lib/*.py"],
    protected=["lib/metric.py"],
    command="python train.py --lr {lr} --epochs {epochs} --seed {seed}",
    space=SPACE,
    fidelity="epochs",
    metrics=["val_loss"],
    importable=lambda module: module == "numpy",
)
ROOT = Variant(id="root", files={"train.py": SCRIPT, "lib/metric.py": "loss = 1\n"})


def change(search: str, replacement: str, path: str = "train.py", **others: Any) -> EditProposal:
    return EditProposal(edits=[Edit(path, search, replacement)], author="llm", **others)


def made(search: str, replacement: str, *, rules: GateRules = RULES, path: str = "train.py", **others: Any) -> Variant:
    return make_variant(change(search, replacement, path, **others), ROOT, {"root": ROOT}, rules)


def test_a_sound_edit_becomes_a_variant_with_its_diff() -> None:
    variant = made("return result", "return 0.9 * result", direction="regularisation", rationale="decay")
    assert variant.state is VariantState.SOUND, variant.reason
    assert variant.parent == "root"
    assert variant.files["train.py"] == SCRIPT.replace("return result", "return 0.9 * result")
    assert "-    return result\n+    return 0.9 * result\n" in variant.diff
    assert variant.id == variant_id("root", variant.files) != "root"


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        ([], "there is no edit"),
        ([Edit("train.py", "no such line", "x")], "nowhere in the file"),
        ([Edit("train.py", "args", "a")], "stands 5 times"),
        ([Edit("train.py", "return result", "return result")], "nothing would change"),
        ([Edit("train.py", "missing", "return result")], "stands in the file already"),
        ([Edit("train.py", "", "x = 1")], "the search text is empty"),
        ([Edit("other.py", "a", "b")], "this file may not be edited; those that may: train.py"),
        ([Edit("train.py", "weight = 1.0", "w = 1"), Edit("train.py", "w = 1", "weight = 1.0")], "undo each other"),
    ],
)
def test_an_edit_that_cannot_be_made_is_refused_by_name(edits: list[Edit], said: str) -> None:
    with pytest.raises(EditRefused, match=said):
        edited({"train.py": SCRIPT}, edits)


def test_all_blocks_are_made_or_none() -> None:
    good, bad = Edit("train.py", "weight = 1.0", "weight = 2.0"), Edit("train.py", "nowhere", "x")
    with pytest.raises(EditRefused, match=r"edit 2 \(train.py\)"):
        edited({"train.py": SCRIPT}, [good, bad])


def test_who_misses_is_shown_the_nearest_lines() -> None:
    with pytest.raises(EditRefused) as refused:
        edited({"train.py": SCRIPT}, [Edit("train.py", "change = args.lr * slopes\n    result = weight-change", "x")])
    assert "    change = args.lr * slope\n    result = weight - change" in str(refused.value)


@pytest.mark.parametrize(
    ("search", "replacement", "said"),
    [
        ("return result", "return result +", "is no Python any more: line 20"),
        ("return result", "return resutl", "undefined name 'resutl'"),
        ("import random", "import random\nimport nowhere_to_be_found", "nowhere_to_be_found, which is not installed"),
        ('parser.add_argument("--lr", type=float, default=0.1)\n', "args_lr = 1\n", "the option --lr is gone"),
        ("LIMIT_SECONDS = 60", "LIMIT_SECONDS = 600", "lines between '# tunesmith: protect'"),
        ("random.seed(args.seed)", "random.seed(3)", "a seed is changed"),
        ("random.seed(args.seed)\n", "", "a seed is changed"),
        ("val_data = [1, 2, 3]", "val_data = [1] * 9", "the evaluation set, its size"),
        ("range(args.epochs)", "range(2 * args.epochs)", "the time budget is changed"),
        ('print(f"epoch={epoch} val_loss={val_loss}")', 'print(f"val_loss={0.0}")', "a line that reports val_loss"),
        ("weight = 1.0", "import pickle\nweight = pickle.load(open('/x', 'rb'))", "weights are loaded"),
        ("weight = 1.0", "\n".join(f"w{i} = {i}" for i in range(500)), "at most 400 at a time"),
    ],
)
def test_the_gate_stops_what_must_not_run(search: str, replacement: str, said: str) -> None:
    variant = made(search, replacement)
    assert variant.state is VariantState.REFUSED
    assert said in variant.reason
    assert variant.diff, "the diff of a failed variant is kept"


def test_protected_files_and_places_outside_are_not_edited() -> None:
    assert "protected" in made("loss = 1", "loss = 0", path="lib/metric.py").reason
    with pytest.raises(EditRefused):
        made("", "x = 1", path="../escape.py")
    assert made("", "x = 1\n", path="lib/more.py").state is VariantState.SOUND


def test_a_judge_leaves_the_scripts_own_evaluation_to_it() -> None:
    with_judge = replace(RULES, has_judge=True)
    assert made("val_data = [1, 2, 3]", "val_data = [1, 2]", rules=with_judge).state is VariantState.SOUND
    assert made("random.seed(args.seed)", "random.seed(3)", rules=with_judge).state is VariantState.REFUSED


def test_what_reaches_out_is_a_warning_with_its_line() -> None:
    variant = made("weight = 1.0", "weight = 1.0\nopen('notes.txt', 'w').close()")
    assert variant.state is VariantState.SOUND
    assert any("line 24: open reaches beyond" in warning for warning in variant.warnings), variant.warnings


def test_new_parameters_join_the_space_and_the_command() -> None:
    search = 'parser.add_argument("--epochs"'
    option = 'parser.add_argument("--warmup", type=float, default=0.0)\n' + search
    declared = {"warmup": {"type": "float", "low": 0.0, "high": 0.5, "default": 0.1}}
    variant = made(search, option, declared=declared)
    assert variant.state is VariantState.SOUND, variant.reason
    assert command_of(variant, RULES.command).endswith("--seed {seed} --warmup={warmup}")
    assert "does not use it" in made("return result", "return 2 * result", declared=declared).reason
    assert "add the option --warmup" in made("weight = 1.0", "warmup = weight = 1.0", declared=declared).reason
    wrong = {"warmup": {"type": "float", "low": 1.0, "high": 0.5}}
    assert "new parameter" in made(search, option, declared=wrong).reason


@pytest.mark.parametrize(
    ("search", "replacement"),
    [
        ("    result = weight - change\n    return result", "    new = weight - change\n    return new"),
        ("weight = 1.0", "weight = 1.0  # the start"),
        ("    return result", "    return result\n    print('never')"),
        ("weight = 1.0", "if False:\n    weight = 3.0\nweight = 1.0"),
        ('"""Trains."""', '"""Trains well."""'),
    ],
)
def test_what_says_the_same_is_a_duplicate(search: str, replacement: str) -> None:
    variant = made(search, replacement)
    assert variant.state is VariantState.DUPLICATE
    assert "what it was made of" in variant.reason


def test_swapped_names_are_no_duplicate() -> None:
    assert made("weight - change", "change - weight").state is VariantState.SOUND


def test_two_winners_are_crossed_where_they_touch_other_lines() -> None:
    first, second = made("return result", "return 0.9 * result"), made("weight = 1.0", "weight = 0.5")
    known = {v.id: v for v in (ROOT, first, second)}
    both = cross_variants(first, second, known, RULES)
    assert both is not None
    assert both.state is VariantState.SOUND
    assert both.files["train.py"] == first.files["train.py"].replace("weight = 1.0", "weight = 0.5")
    other = made("return result", "return 0.8 * result")
    assert cross_variants(first, other, {**known, other.id: other}, RULES) is None


TEXTS = st.lists(st.sampled_from(["a\n", "b\n", "a b\n", "\n", "c"]), max_size=12).map("".join)


@settings(max_examples=25, deadline=None)
@given(before=TEXTS, after=TEXTS)
def test_diffs_are_such_that_git_applies_them(
    tmp_path_factory: pytest.TempPathFactory, before: str, after: str
) -> None:
    folder: Path = tmp_path_factory.mktemp("repository")
    diff = unified({"f": before}, {"f": after})
    assert bool(diff) == (before != after)
    if diff and before and after:
        (folder / "f").write_text(before, encoding="utf-8")
        subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=folder, check=True)
        assert (folder / "f").read_text(encoding="utf-8") == after
