"""Shares of a mixture: what they may be, that every way to get them keeps their sum, and what is refused in words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.study.config.space_tables import parse_space, space_document
from tunesmith.study.errors import ProposalError, SpecError
from tunesmith.study.space.mixtures.rows import lattice
from tunesmith.study.space.mixtures.shares import Shares
from tunesmith.study.space.parameters import Float, Int
from tunesmith.study.space.space import SearchSpace
from tunesmith.tools.surrogate.encoding import SpaceEncoding

DEFAULT = {"web-en": 0.7, "code": 0.3}


@st.composite
def mixtures(draw: st.DrawFn) -> Shares:
    names = [f"s{index}" for index in range(draw(st.integers(2, 9)))]
    parts = draw(st.lists(st.floats(0.0, 1.0), min_size=len(names), max_size=len(names)))
    scale = draw(st.floats(0.0, 0.9)) / max(sum(parts), 1.0)
    lows = {name: round(part * scale, 4) for name, part in zip(names, parts, strict=True)}
    room = 1.0 - sum(lows.values())
    highs = {name: min(low + room * draw(st.floats(0.55, 1.0)), 1.0) for name, low in lows.items()}
    return Shares(names, min=lows, max=draw(st.sampled_from([1.0, highs])))


@given(mixtures(), st.data())
@settings(max_examples=150, deadline=None)
def test_value_coordinates_and_features_agree(shares: Shares, data: st.DataObject) -> None:
    space = SearchSpace({"mix": shares})
    cube = st.lists(st.floats(0.0, 1.0), min_size=len(space), max_size=len(space))
    units = data.draw(cube)
    params = space.from_unit(units)
    values = [float(v) for v in params.values()]  # type: ignore[arg-type]  # shares
    assert math.fsum(values) == pytest.approx(1.0, abs=1e-12)
    for value, low, high in zip(values, shares.lows, shares.highs, strict=True):
        assert low - 1e-6 <= value <= high + 1e-6
    assert space.check(params) == []
    assert space.from_unit(space.to_unit(params)) == params
    assert space.clip(params) == space.parse(params) == params
    encoding = SpaceEncoding(space)
    rows = encoding.project_to_valid(np.array([units]))
    assert np.allclose(rows[0], space.to_unit(params), atol=1e-4)
    features = encoding.features(rows)
    assert features.shape == (1, len(encoding.group))
    assert ((features >= -1e-9) & (features <= 1.0 + 1e-6)).all()


@given(mixtures(), st.data())
@settings(max_examples=60, deadline=None)
def test_one_share_changes_and_the_others_take_what_is_left(shares: Shares, data: st.DataObject) -> None:
    space = SearchSpace({"mix": shares})
    name = data.draw(st.sampled_from(space.names))
    share = space.shares_of("mix")[name]
    wanted = share.clip(data.draw(st.floats(share.low, share.high)))
    params = space.clip({**space.imputed, name: wanted}, keep=(name,))
    assert space.check(params) == []
    assert params[name] == pytest.approx(wanted, abs=2e-6)


def test_draws_are_uniform_on_the_simplex() -> None:
    space, rng = SearchSpace({"mix": Shares(["a", "b", "c"])}), np.random.default_rng(0)
    drawn = np.array([list(space.from_unit(rng.random(3).tolist()).values()) for _ in range(4000)], dtype=float)
    assert np.allclose(drawn.mean(axis=0), 1 / 3, atol=0.015)
    # The variance of a share of Dirichlet(1, 1, 1).
    assert np.allclose(drawn.var(axis=0), 1 / 18, atol=0.004)


def test_a_mixture_is_written_as_it_was_read() -> None:
    table = {
        "mix": {
            "type": "shares",
            "of": ["web-en", "code"],
            "min": {"code": 0.1},
            "default": {"web-en": 0.7, "code": 0.3},
        },
        "lr": {"type": "float", "low": 0.0, "high": 1.0, "when": 'mix["web-en"] > 0.5 and mix.code < 0.4'},
    }
    space = parse_space(table)
    assert space_document(space) == table
    assert parse_space(space_document(space)) == space
    assert space.default == {"mix.web-en": 0.7, "mix.code": 0.3, "lr": pytest.approx(0.5)}
    assert space.active({"mix.web-en": 0.4, "mix.code": 0.6, "lr": 0.1}) == ("mix.web-en", "mix.code")


def test_rules_and_derived_values_use_shares() -> None:
    space = SearchSpace(
        {"mix": Shares(["a", "b", "c"]), "n": Int(1, 9)}, derived={"lean": "mix.a / (mix.b + 0.1)"}, forbid=["lean > 2"]
    )
    encoding, rng = SpaceEncoding(space), np.random.default_rng(1)
    for units in encoding.project_to_valid(rng.random((40, 4))):
        params = space.from_unit(units.tolist())
        assert space.check(params) == []
        assert float(space.derived_values(params)["lean"]) <= 2.0  # type: ignore[arg-type]  # a number


@pytest.mark.parametrize(
    ("given_mixture", "code"),
    [
        ({"code": 0.5, "prose": 0.3, "docs": 0.2}, 0.5),
        ([0.5, 0.3, 0.2], 0.5),
        ({"code": 0.333, "prose": 0.333, "docs": 0.333}, 0.333334),
        ({"code": "0.5", "prose": "0.25", "docs": "0.25"}, 0.5),
    ],
)
def test_people_and_files_give_tables_and_rounded_numbers(given_mixture: Any, code: float) -> None:
    params = SearchSpace({"mix": Shares(["code", "prose", "docs"])}).parse({"mix": given_mixture})
    assert params["mix.code"] == pytest.approx(code, abs=1e-6)
    assert math.fsum(params.values()) == pytest.approx(1.0, abs=1e-12)  # type: ignore[arg-type]  # shares


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"mix": {"code": 0.5, "prose": 0.4}}, "sums to 0.9, and shares sum to 1; in proportion: code = 0.5556"),
        ({"mix": {"code": 50, "prose": 50}}, "out of range; expected a share from 0.1 to 0.9"),
        ({"mix": {"cod": 1.0}}, "did you mean code"),
        ({"mix": 3}, "expected shares by name"),
        ({"mix": {"code": math.nan, "prose": 0.5}}, "not a finite number"),
        ({"mix.code": 0.5}, "mix.prose: is missing"),
    ],
)
def test_wrong_mixtures_are_refused_in_words(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ProposalError, match=words.replace("(", r"\(")):
        SearchSpace({"mix": Shares(["code", "prose"], min=0.1)}).parse(params)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"of": ["a"]}, "has one name, whose share is always 1"),
        ({"of": []}, "is empty"),
        ({"of": "ab"}, "expected a list of names"),
        ({"of": ["a", "a"]}, "listed twice"),
        ({"of": ["a", "b c"]}, "not a valid name"),
        ({}, "of is missing|is missing; write for example of"),
        ({"of": ["a", "b"], "min": 0.5}, "leaves nothing to divide; with 2 sources it has to be below 0.5"),
        ({"of": ["a", "b"], "min": -0.1}, "expected a number from 0 to 1"),
        ({"of": ["a", "b"], "min": math.nan}, "expected a number from 0 to 1"),
        ({"of": ["a", "b"], "min": {"aa": 0.1}}, "is not in `of`"),
        ({"of": ["a", "b"], "max": 0.4}, "has to be above 1 in sum"),
        ({"of": ["a", "b"], "min": {"a": 0.3}, "max": {"a": 0.2}}, "is above its max"),
        ({"of": ["a", "b"], "default": {"a": 0.5}}, "has no share for b"),
        ({"of": ["a", "b"], "default": [0.5, 0.3]}, "sums to 0.8"),
        ({"of": ["a", "b"], "default": {"a": 50, "b": 50}}, "sums to 100; write parts of 1"),
        ({"of": ["a", "b"], "default": [0.1, 0.9], "min": 0.2}, "not between min = 0.2"),
        ({"of": ["a", "b"], "default": [math.nan, 1.0]}, "expected a number from 0 to 1"),
        ({"of": ["a", "b"], "low": 0.1}, "unknown key for type shares"),
    ],
)
def test_a_wrong_table_is_refused_in_words(table: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        parse_space({"mix": {"type": "shares", **table}})


def test_names_clash_with_nothing() -> None:
    with pytest.raises(SpecError, match="is also a parameter"):
        SearchSpace({"mix": Shares(["a", "b"])}, derived={"mix": "1 + 1"})
    with pytest.raises(SpecError, match="is not a valid name"):
        SearchSpace({"mix": Shares(["a", "b"]), "mix.a": Float(0.0, 1.0)})


def test_a_grid_of_mixtures_is_a_lattice() -> None:
    found = lattice("mix", Shares(["a", "b", "c"], min=0.1), 2, most=100)
    assert len(found) == 6
    assert {"mix.a": 0.8, "mix.b": 0.1, "mix.c": 0.1} in found
    assert all(math.fsum(point.values()) == pytest.approx(1.0) for point in found)
    assert len(lattice("mix", Shares([f"s{i}" for i in range(17)]), 8, most=50)) == 50
