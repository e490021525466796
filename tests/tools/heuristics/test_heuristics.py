"""Published rules against the numbers in their papers, and their errors for invalid inputs."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.agent.sampler import priors as priors_module
from tunesmith.study.errors import SpecError, ToolRefused
from tunesmith.tools.heuristics.lora import lora_parameters, lora_scale, qlora_start
from tunesmith.tools.heuristics.memory import transformer_memory
from tunesmith.tools.heuristics.pretraining import power_rate, step_law
from tunesmith.tools.heuristics.registry import HEURISTICS, apply_heuristic
from tunesmith.tools.heuristics.scaling import linear_batch_scaling, mup_transfer, root_batch_scaling

amounts = st.floats(1e-3, 1e9)


def test_step_law_comes_near_the_grid_optimum_of_its_own_runs() -> None:
    # 215M parameters on 100B tokens: the published runs are best at 7.8e-3 and 1,024 sequences of 2,048 tokens, on a
    # grid with steps of a factor of 1.4 and 2.
    values = step_law(parameters=214_663_680, tokens=1e11).values
    assert values["learning_rate"] == pytest.approx(7.8e-3, rel=0.5)
    assert 0.4 < values["batch_tokens"] / (1024 * 2048) < 1.5


def test_the_linear_rule_gives_goyals_rate_for_8192_images() -> None:
    assert linear_batch_scaling(learning_rate=0.1, batch=256, new_batch=8192).values["learning_rate"] == pytest.approx(
        3.2
    )


def test_the_root_rule_doubles_for_four_times_the_batch() -> None:
    assert root_batch_scaling(learning_rate=1e-3, batch=64, new_batch=256).values["learning_rate"] == pytest.approx(
        2e-3
    )


def test_adapters_of_gpt3_have_hus_number_of_parameters() -> None:
    # The paper counts 4.7M at rank 1 and 37.7M at rank 8, on the query and value matrices of 96 layers of width 12,288.
    for rank, millions in ((1, 4.7), (8, 37.7)):
        values = lora_parameters(rank=rank, width_in=12_288, width_out=12_288, matrices=192).values
        assert values["trained_parameters"] / 1e6 == pytest.approx(millions, rel=0.01)


def test_qlora_starts_as_its_authors_did() -> None:
    assert qlora_start(parameters=7e9).values == {"learning_rate": 2e-4, "dropout": 0.1}
    assert qlora_start(parameters=65e9).values == {"learning_rate": 1e-4, "dropout": 0.05}
    assert lora_scale(rank=16, alpha=32).values == {"scale": 2.0, "rank_stable_scale": 8.0}


def test_gpt2_needs_24_gigabytes_as_in_the_zero_paper() -> None:
    one = {"layers": 1.0, "hidden": 1600.0, "heads": 25.0, "sequence": 1.0, "batch": 1.0}
    assert transformer_memory(parameters=1.5e9, **one).values["states_gib"] * 2**30 / 1e9 == pytest.approx(24.0)


@pytest.mark.parametrize(("heads", "hidden", "attention"), [(96, 12_288, 80.0), (128, 20_480, 64.0)])
def test_attention_needs_korthikantis_share_of_activations(heads: int, hidden: int, attention: float) -> None:
    sizes = {"parameters": 1.0, "layers": 1.0, "hidden": hidden, "heads": heads, "sequence": 2048.0, "batch": 1.0}
    whole = transformer_memory(**sizes).values["activations_gib"]
    without = transformer_memory(**sizes, recompute="selective").values["activations_gib"]
    assert (whole - without) * 2**30 / (2048 * hidden) == pytest.approx(attention)


def test_mup_halves_the_rate_at_twice_the_width() -> None:
    values = mup_transfer(learning_rate=1e-2, init_std=0.02, width=256, new_width=512).values
    assert values["learning_rate"] == pytest.approx(5e-3)
    assert values["init_std"] == pytest.approx(0.02 / math.sqrt(2))
    assert values["output_multiplier"] == 0.5


def test_the_power_rate_is_capped_and_falls() -> None:
    early, late = (
        power_rate(batch_sequences=128, tokens_trained=n, a=4.0, b=-0.51, highest=0.02).values["learning_rate"]
        for n in (1e3, 1e12)
    )
    assert early == 0.02
    assert late < 0.001


@given(amounts, amounts, amounts)
def test_memory_grows_with_batch_and_layers(parameters: float, layers: float, batch: float) -> None:
    def total(**more: float) -> float:
        sizes = {"parameters": parameters, "layers": layers, "hidden": 512.0, "heads": 8.0, "sequence": 256.0}
        return transformer_memory(**{**sizes, "batch": batch, **more}).values["total_gib"]  # type: ignore[arg-type]

    assert total() <= total(batch=2 * batch) <= total(batch=2 * batch, layers=2 * layers)


def test_an_input_outside_the_measured_range_is_a_warning() -> None:
    assert "parameters = 1e+12 is outside" in step_law(parameters=1e12, tokens=1e10).warnings[0]
    assert not step_law(parameters=2e8, tokens=1e10).warnings


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf])
def test_an_invalid_input_is_refused_by_name(bad: float) -> None:
    with pytest.raises(SpecError, match="parameters"):
        step_law(parameters=bad, tokens=1e10)


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("step_lw", {}, "did you mean step_law"),
        ("step_law", {"parameters": 1e8}, "tokens: missing"),
        ("step_law", {"parameters": "many", "tokens": 1e9}, "expected a number"),
        ("step_law", {"parameters": 1e8, "tokens": 1e9, "depth": 3}, "depth: not an input of step_law"),
        ("lora_scale", {"rank": 0, "alpha": 1}, "rank: 0 is not valid"),
    ],
)
def test_a_wrong_call_is_refused_with_the_reason(name: str, inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolRefused, match=message):
        apply_heuristic(name, inputs)


def test_every_rule_has_a_purpose_and_a_source() -> None:
    assert len(HEURISTICS) == 9
    for rule in HEURISTICS.values():
        assert rule.purpose.endswith(".")
        inputs = {i: 1.0 for i, optional in rule.inputs.items() if not optional and i != "b"}
        advice = apply_heuristic(rule.name, {**inputs, **({"b": -0.5} if "b" in rule.inputs else {})})
        assert "arXiv" in advice.source


def test_the_samplers_prior_for_low_rank_adapters_agrees_with_the_rule() -> None:
    priors = tomllib.loads((Path(priors_module.__file__).parent / "priors.toml").read_text(encoding="utf-8"))["prior"]
    centres = {name: prior["centre"] for prior in priors if "QLoRA" in prior["source"] for name in prior["names"]}
    assert centres["lora_lr"] == qlora_start(parameters=13e9).values["learning_rate"]
    assert centres["lora_dropout"] == qlora_start(parameters=33e9).values["dropout"]
