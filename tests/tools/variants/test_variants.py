"""Building variants: edits are applied exactly or refused, the gate names its reason, duplicates are found."""

from __future__ import annotations

import subprocess
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.study.config.space_tables import parse_space
from tunesmith.study.variant import Edit, EditRefused, Variant, VariantState, apply_edits, unified_diff, variant_id
from tunesmith.tools.variants.build import EditProposal, cross_variants, make_variant
from tunesmith.tools.variants.rules import GateRules
from tunesmith.tools.variants.run_command import variant_command
from tunesmith.tools.variants.tree import variant_tree

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


def proposal(search: str, replacement: str, path: str = "train.py", **others: Any) -> EditProposal:
    return EditProposal(edits=[Edit(path, search, replacement)], author="llm", **others)


def made(search: str, replacement: str, *, rules: GateRules = RULES, path: str = "train.py", **others: Any) -> Variant:
    return make_variant(proposal(search, replacement, path, **others), ROOT, {"root": ROOT}, rules)


def test_a_valid_edit_becomes_a_variant_with_its_diff() -> None:
    variant = made("return result", "return 0.9 * result", direction="regularisation", rationale="decay")
    assert variant.state is VariantState.SOUND, variant.reason
    assert variant.parent == "root"
    assert variant.files["train.py"] == SCRIPT.replace("return result", "return 0.9 * result")
    assert "-    return result\n+    return 0.9 * result\n" in variant.diff
    assert variant.id == variant_id("root", variant.files) != "root"


@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        ([], "there are no edits"),
        ([Edit("train.py", "no such line", "x")], "not in the file"),
        ([Edit("train.py", "args", "a")], "occurs 5 times"),
        ([Edit("train.py", "return result", "return result")], "nothing would change"),
        ([Edit("train.py", "missing", "return result")], "already contains"),
        ([Edit("train.py", "", "x = 1")], "the search text is empty"),
        ([Edit("other.py", "a", "b")], "this file may not be edited; editable files: train.py"),
        (
            [Edit("train.py", "weight = 1.0", "w = 1"), Edit("train.py", "w = 1", "weight = 1.0")],
            "cancel each other out",
        ),
    ],
)
def test_an_edit_that_does_not_apply_is_refused_with_the_reason(edits: list[Edit], reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        apply_edits({"train.py": SCRIPT}, edits)


def test_one_failing_block_refuses_all_blocks() -> None:
    good, bad = Edit("train.py", "weight = 1.0", "weight = 2.0"), Edit("train.py", "nowhere", "x")
    with pytest.raises(EditRefused, match=r"edit 2 \(train.py\)"):
        apply_edits({"train.py": SCRIPT}, [good, bad])


def test_a_search_text_without_a_match_shows_the_nearest_lines() -> None:
    with pytest.raises(EditRefused) as refused:
        apply_edits(
            {"train.py": SCRIPT}, [Edit("train.py", "change = args.lr * slopes\n    result = weight-change", "x")]
        )
    assert "    change = args.lr * slope\n    result = weight - change" in str(refused.value)


@pytest.mark.parametrize(
    ("search", "replacement", "reason"),
    [
        ("return result", "return result +", "is not valid Python: line 20"),
        ("return result", "return resutl", "undefined name 'resutl'"),
        ("import random", "import random\nimport nowhere_to_be_found", "nowhere_to_be_found, which is not installed"),
        ('parser.add_argument("--lr", type=float, default=0.1)\n', "args_lr = 1\n", "the option --lr is gone"),
        ("LIMIT_SECONDS = 60", "LIMIT_SECONDS = 600", "lines between '# tunesmith: protect'"),
        ("random.seed(args.seed)", "random.seed(3)", "a seed is changed"),
        ("random.seed(args.seed)\n", "", "a seed is changed"),
        ("val_data = [1, 2, 3]", "val_data = [1] * 9", "the evaluation set, its size"),
        ("range(args.epochs)", "range(2 * args.epochs)", "the time budget is changed, by range(2 * args.epochs)"),
        ('print(f"epoch={epoch} val_loss={val_loss}")', 'print(f"val_loss={0.0}")', "a line that reports val_loss"),
        ("weight = 1.0", "import pickle\nweight = pickle.load(open('/x', 'rb'))", "weights are loaded"),
        ("weight = 1.0", "\n".join(f"w{i} = {i}" for i in range(500)), "at most 400 at a time"),
    ],
)
def test_the_gate_refuses_an_edit_with_the_reason(search: str, replacement: str, reason: str) -> None:
    variant = made(search, replacement)
    assert variant.state is VariantState.REFUSED
    assert reason in variant.reason
    assert variant.diff, "the diff of a refused variant is kept"


def test_protected_files_and_paths_outside_the_project_are_not_edited() -> None:
    assert "protected" in made("loss = 1", "loss = 0", path="lib/metric.py").reason
    with pytest.raises(EditRefused):
        made("", "x = 1", path="../escape.py")
    assert made("", "x = 1\n", path="lib/more.py").state is VariantState.SOUND


def test_with_a_separate_judge_the_scripts_own_evaluation_may_change() -> None:
    with_judge = replace(RULES, has_judge=True)
    assert made("val_data = [1, 2, 3]", "val_data = [1, 2]", rules=with_judge).state is VariantState.SOUND
    assert made("random.seed(args.seed)", "random.seed(3)", rules=with_judge).state is VariantState.REFUSED


def test_a_call_that_acts_outside_the_trial_is_a_warning_with_its_line() -> None:
    variant = made("weight = 1.0", "weight = 1.0\nopen('notes.txt', 'w').close()")
    assert variant.state is VariantState.SOUND
    assert any("line 24: open can act outside" in warning for warning in variant.warnings), variant.warnings


def test_new_parameters_join_the_space_and_the_command() -> None:
    search = 'parser.add_argument("--epochs"'
    option = 'parser.add_argument("--warmup", type=float, default=0.0)\n' + search
    declared = {"warmup": {"type": "float", "low": 0.0, "high": 0.5, "default": 0.1}}
    variant = made(search, option, declared=declared)
    assert variant.state is VariantState.SOUND, variant.reason
    assert variant_command(variant, RULES.command).endswith("--seed {seed} --warmup={warmup}")
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
def test_equivalent_code_is_a_duplicate(search: str, replacement: str) -> None:
    variant = made(search, replacement)
    assert variant.state is VariantState.DUPLICATE
    assert "equivalent to its parent" in variant.reason


def test_swapped_operands_are_not_a_duplicate() -> None:
    assert made("weight - change", "change - weight").state is VariantState.SOUND


def test_two_variants_are_crossed_unless_they_change_the_same_lines() -> None:
    first, second = made("return result", "return 0.9 * result"), made("weight = 1.0", "weight = 0.5")
    known = {v.id: v for v in (ROOT, first, second)}
    both = cross_variants(first, second, known, RULES)
    assert both is not None
    assert both.state is VariantState.SOUND
    assert both.files["train.py"] == first.files["train.py"].replace("weight = 1.0", "weight = 0.5")
    other = made("return result", "return 0.8 * result")
    assert cross_variants(first, other, {**known, other.id: other}, RULES) is None


def test_a_tree_lists_each_variant_after_its_parent_with_depth_and_guides() -> None:
    names = [("root", None), ("a", "root"), ("b", "root"), ("c", "a"), ("d", "c"), ("e", "a"), ("orphan", "gone")]
    nodes = variant_tree([Variant(id=name, parent=parent) for name, parent in names])
    assert [node.guides() + node.variant.id for node in nodes] == [
        "root",
        "├─ a",
        "│  ├─ c",
        "│  │  └─ d",
        "│  └─ e",
        "└─ b",
        "orphan",
    ]
    assert [node.depth for node in nodes] == [0, 1, 2, 3, 2, 1, 0]


TEXTS = st.lists(st.sampled_from(["a\n", "b\n", "a b\n", "\n", "c"]), max_size=12).map("".join)


@given(before=TEXTS, after=TEXTS)
def test_git_applies_every_diff(tmp_path_factory: pytest.TempPathFactory, before: str, after: str) -> None:
    folder: Path = tmp_path_factory.mktemp("repository")
    diff = unified_diff({"f": before}, {"f": after})
    assert bool(diff) == (before != after)
    if diff and before and after:
        (folder / "f").write_text(before, encoding="utf-8")
        subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=folder, check=True)
        assert (folder / "f").read_text(encoding="utf-8") == after
