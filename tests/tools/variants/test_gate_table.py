"""The gate on real scripts: honest edits pass, cheats do not. edit_tables/ has the edits, each under its name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tunesmith.study.config.load import parse_spec
from tunesmith.study.variant import Edit, EditRefused, Variant, VariantState
from tunesmith.tools.variants.build import EditProposal, make_variant
from tunesmith.tools.variants.rules import GateRules, gate_rules

EXAMPLES = Path(__file__).parents[3] / "examples"
TABLES = Path(__file__).parent / "edit_tables"
SCRIPT = "train.py"


def loaded(example: str, *, has_judge: bool) -> tuple[Variant, GateRules]:
    folder = EXAMPLES / example
    document = tomllib.loads((folder / "study.toml").read_text())
    protect = [p.name for p in folder.glob("*.py") if p.name != SCRIPT] + ["study.toml"]
    document["edits"] = {"files": [SCRIPT], "protect": protect}
    if not has_judge:
        document.pop("evaluate", None)
    root = Variant(id="root", files={SCRIPT: (folder / SCRIPT).read_text()})
    return root, gate_rules(parse_spec(document), folder)


def edits(table: str) -> dict[str, list[Edit]]:
    """Return the edits of a table by name."""
    document = tomllib.loads((TABLES / f"{table}.toml").read_text())
    return {name: [Edit(SCRIPT, b["search"], b["replace"]) for b in blocks] for name, blocks in document.items()}


DIGITS, CHARLM = loaded("digits", has_judge=False), loaded("charlm", has_judge=True)
HONEST_DIGITS, HONEST_CHARLM = edits("honest_digits"), edits("honest_charlm")
CHEATS_DIGITS, CHEATS_CHARLM = edits("cheats_digits"), edits("cheats_charlm")


def tried(study: tuple[Variant, GateRules], blocks: list[Edit]) -> Variant:
    root, rules = study
    return make_variant(EditProposal(edits=blocks, author="llm"), root, {"root": root}, rules)


def test_the_tables_are_as_large_as_promised() -> None:
    assert len(HONEST_DIGITS) + len(HONEST_CHARLM) >= 25
    assert len(CHEATS_DIGITS) + len(CHEATS_CHARLM) >= 40


@pytest.mark.parametrize("name", HONEST_DIGITS)
def test_an_honest_edit_without_a_judge_passes(name: str) -> None:
    variant = tried(DIGITS, HONEST_DIGITS[name])
    assert variant.state is VariantState.SOUND, variant.reason


@pytest.mark.parametrize("name", HONEST_CHARLM)
def test_an_honest_edit_with_a_judge_passes(name: str) -> None:
    variant = tried(CHARLM, HONEST_CHARLM[name])
    assert variant.state is VariantState.SOUND, variant.reason


@pytest.mark.parametrize("name", CHEATS_DIGITS)
def test_a_cheat_without_a_judge_is_refused(name: str) -> None:
    require_refusal(tried(DIGITS, CHEATS_DIGITS[name]))


@pytest.mark.parametrize("name", CHEATS_CHARLM)
def test_a_cheat_with_a_judge_is_refused(name: str) -> None:
    require_refusal(tried(CHARLM, CHEATS_CHARLM[name]))


def require_refusal(variant: Variant) -> None:
    """Check that a cheat is refused as one, and not because it would fail."""
    assert variant.state is VariantState.REFUSED
    assert " is not valid Python" not in variant.reason, variant.reason
    assert "undefined name" not in variant.reason, variant.reason


@pytest.mark.parametrize(
    "path", ["torch.py", "sitecustomize.py", "conftest.py", "setup.py", "numpy/__init__.py", "argparse.py", "budget.py"]
)
def test_a_new_file_that_takes_the_place_of_a_module_is_refused(path: str) -> None:
    root, given = CHARLM
    rules = GateRules(editable=["*.py"], space=given.space, shadows=given.shadows, exists=given.exists)
    proposal = EditProposal(edits=[Edit(path, "", "import sys\n")], author="llm")
    with pytest.raises(EditRefused, match="cannot be created"):
        make_variant(proposal, root, {"root": root}, rules)
