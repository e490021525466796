"""Numbers that an edit brings into the code become parameters: which, with what range, and how a trial gets them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tunesmith.study.errors import ToolRefused
from tunesmith.study.space.parameters import Float
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.variant import Edit, Variant, VariantState
from tunesmith.tools.variants.build import EditProposal, make_variant
from tunesmith.tools.variants.constants import (
    code_constants,
    filled_files,
    fit_constants,
    own_tables,
    with_values,
)
from tunesmith.tools.variants.rules import GateRules
from tunesmith.tools.variants.user_edit import chosen_constants, offered_constants

BEFORE = """\
import torch
momentum = 0.9
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=momentum)
for epoch in range(10):
    loss = torch.nn.functional.cross_entropy(model(x), y)
    print(f"val_loss={loss}")
"""
ROOT = Variant(id="root", files={"train.py": BEFORE})
RULES = GateRules(editable=["train.py"], space=SearchSpace({"lr": Float(0.0, 1.0)}), metrics=["val_loss"])


def edited(
    search: str, replacement: str, parent: Variant = ROOT, known: Mapping[str, Variant] | None = None
) -> Variant:
    proposal = EditProposal(edits=[Edit("train.py", search, replacement)], author="llm")
    variant = make_variant(proposal, parent, known or {"root": ROOT}, RULES)
    assert variant.state is VariantState.SOUND, variant.reason
    return variant


def offered(search: str, replacement: str) -> dict[str, str]:
    return {c.name: c.fill for c in code_constants(edited(search, replacement), {"root": ROOT}, ["lr"])}


LOSS, OPTIMIZER = "cross_entropy(model(x), y)", "torch.optim.SGD(model.parameters(), lr=0.1, momentum=momentum)"


@pytest.mark.parametrize(
    ("search", "replacement", "found"),
    [
        (LOSS, LOSS[:-1] + ", label_smoothing=0.1)", {"label_smoothing": "train.py:cross_entropy.label_smoothing"}),
        ("momentum = 0.9", "momentum = 0.9\nnoise_scale = 0.03", {"noise_scale": "train.py:noise_scale"}),
        ("momentum = 0.9", "momentum = 0.97", {"momentum": "train.py:momentum"}),
        (
            OPTIMIZER,
            "torch.optim.AdamW(model.parameters(), lr=0.1, betas=(0.9, 0.95), weight_decay=0.05)",
            {
                "AdamW_lr": "train.py:AdamW.lr",
                "beta1": "train.py:AdamW.betas.0",
                "beta2": "train.py:AdamW.betas.1",
                "weight_decay": "train.py:AdamW.weight_decay",
            },
        ),
        ("lr=0.1", "lr=0.03", {"SGD_lr": "train.py:SGD.lr"}),
        (
            "momentum = 0.9",
            "settings = {'sharpness': 2.5}\nmomentum = 0.9",
            {"sharpness": "train.py:settings.sharpness"},
        ),
        (
            "momentum = 0.9",
            "def smoothed(x, rate=0.2):\n    return x\nmomentum = 0.9",
            {"rate": "train.py:smoothed.rate"},
        ),
    ],
)
def test_new_numbers_with_a_name_are_offered(search: str, replacement: str, found: Mapping[str, str]) -> None:
    assert offered(search, replacement) == found


@pytest.mark.parametrize(
    ("search", "replacement"),
    [
        ("momentum = 0.9", "total = 0.0\nmomentum = 0.9"),
        ("momentum = 0.9", "count = 2\ncount += 1\nmomentum = 0.9"),
        ("momentum = 0.9", "x = x.reshape(-1, 8)\nmomentum = 0.9"),
        ("momentum = 0.9", "x = x.sum(dim=3)\nmomentum = 0.9"),
        ("momentum = 0.9", "x = x[:, 5]\nmomentum = 0.9"),
        ("momentum = 0.9", "hidden_dim = 64\nmomentum = 0.9"),
        ("momentum = 0.9", "for part in range(4):\n    print(part)\nmomentum = 0.9"),
        ("momentum = 0.9", "print('note', width=80)\nmomentum = 0.9"),
        ("momentum = 0.9", "verbose = True\nmomentum = 0.9"),
        ("momentum = 0.9", "shape = (3, 4)\nmomentum = 0.9"),
        ("momentum = 0.9", "num_workers = 4\nmomentum = 0.9"),
        ("momentum = 0.9\n", "momentum = 0.9\ngain = 2 * 3 if momentum else momentum\n"),
    ],
)
def test_states_shapes_and_counts_are_not_offered(search: str, replacement: str) -> None:
    assert offered(search, replacement) == {}


def test_a_range_lies_about_the_number_and_holds_it() -> None:
    variant = edited(LOSS, LOSS[:-1] + ", label_smoothing=0.1)")
    (constant,) = code_constants(variant, {"root": ROOT})
    assert constant.table["low"] <= constant.table["default"] == 0.1 < constant.table["high"] < 1
    assert constant.text.startswith("label_smoothing = 0.1000 (train.py:cross_entropy.label_smoothing), range ")


def test_a_trial_gets_its_value_in_the_text_and_a_fitted_number_is_not_offered_again() -> None:
    variant = edited(LOSS, LOSS[:-1] + ", label_smoothing=0.1)")
    fitted = fit_constants(variant, code_constants(variant, {"root": ROOT}))
    assert code_constants(fitted, {"root": ROOT}) == []
    assert "fill" not in own_tables(fitted.declared)["label_smoothing"]
    text = filled_files(fitted.files, fitted.declared, {"lr": 0.5, "label_smoothing": 0.25})["train.py"]
    assert text == variant.files["train.py"].replace("label_smoothing=0.1", "label_smoothing=0.25")
    assert with_values(fitted, {"lr": 0.5}).files == variant.files
    assert with_values(variant, {"label_smoothing": 0.3}) is variant


def test_two_wishes_for_one_number_are_no_contradiction() -> None:
    variant = edited("momentum = 0.9", "momentum = 0.97\nnoise_scale = 0.03")
    known = {"root": ROOT}
    fitted = fit_constants(variant, chosen_constants(variant, known, (), ["momentum"]))
    assert [c.name for c in chosen_constants(fitted, known, (), ["momentum", "noise_scale"])] == ["noise_scale"]
    with pytest.raises(ToolRefused, match="has momentum as a parameter already"):
        chosen_constants(fitted, known, (), ["momentum"])


def test_a_version_with_all_its_parameters_offers_no_more() -> None:
    numbers = "".join(f"\nscale_{letter} = 0.{digit}" for digit, letter in enumerate("abcdefg", start=2))
    variant, known = edited("momentum = 0.9", f"momentum = 0.9{numbers}"), {"root": ROOT}
    with pytest.raises(ToolRefused, match="may get 4 more parameters; choose among scale_a, scale_b"):
        chosen_constants(variant, known, (), ())
    full = fit_constants(variant, chosen_constants(variant, known, (), [f"scale_{letter}" for letter in "abcd"]))
    assert offered_constants(variant, known, ())
    assert offered_constants(full, known, ()) == []
    with pytest.raises(ToolRefused, match="has 4 parameters, as many as a version may have"):
        chosen_constants(full, known, (), ())


def test_a_later_edit_keeps_the_parameter_unless_it_changes_the_number() -> None:
    variant = edited(LOSS, LOSS[:-1] + ", label_smoothing=0.1)")
    fitted = fit_constants(variant, code_constants(variant, {"root": ROOT}))
    known = {"root": ROOT, fitted.id: fitted}
    assert "label_smoothing" in edited("momentum = 0.9", "momentum = 0.8", fitted, known).declared
    assert "label_smoothing" not in edited("label_smoothing=0.1", "label_smoothing=0.2", fitted, known).declared
    assert "label_smoothing" not in edited(", label_smoothing=0.1", ", reduction='sum'", fitted, known).declared
