"""Results in shared memory: every kind of value goes there and back, differences are found, rubbish is refused."""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunesmith.evaluator.timing.worker as worker_folder
from tunesmith.evaluator.timing.comparison import Tolerance, largest_difference
from tunesmith.evaluator.timing.shared_values import Different, Place

SIZE = 2**16


def values_module() -> ModuleType:
    """Return the worker's own module, as it is loaded there: by its path."""
    path = Path(worker_folder.__path__[0]) / "worker_values.py"
    spec = importlib.util.spec_from_file_location("worker_values", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WORKER = values_module()


def placed(value: Any) -> Place:
    memory = bytearray(SIZE)
    WORKER.encode(value, memory, 64, SIZE - 64)
    return Place(np.frombuffer(memory, dtype=np.uint8), 64, SIZE - 64)


def difference(expected: Any, found: Any, **tolerance: Any) -> float:
    return largest_difference(placed(expected), placed(found), Tolerance(**tolerance))


VALUES = [
    None, True, "text", 3, 2**80, 2.5, float("nan"), 1 + 2j, b"bytes", [1.0, 2.0], (1, 2, 3), [1, "a", None], [], {},
    {"k": [1.0, {"j": (2,)}], 3: "x"}, [2**70, 1], np.arange(6.0).reshape(2, 3), np.float32(2.5), np.zeros((0, 3)),
    np.array([True, False]), np.array(["ab", "c"]), np.ones(3, np.complex64), np.ones((4, 4), order="F")[::2],
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_equals_itself_and_no_other_one(value: Any) -> None:
    assert difference(value, value) == 0
    for other in VALUES:
        if type(other) is not type(value) and {float, np.float32} != {type(other), type(value)}:
            with pytest.raises(Different):
                difference(value, other)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    memory = bytearray(SIZE)
    size = WORKER.encode(value, memory, 0, SIZE)
    assert size == WORKER.encode(value, None, 0, 0) or isinstance(value, np.ndarray)
    found = WORKER.decode(memory, 0)
    assert type(found) is (np.ndarray if isinstance(value, np.generic) else type(value))
    if not isinstance(value, float):
        assert np.array_equal(found, value) if isinstance(value, np.ndarray | np.generic) else found == value


@pytest.mark.parametrize(
    ("kind", "error", "is_taken"),
    [
        ("float64", 1e-11, True), ("float64", 1e-7, False), ("float32", 1e-6, True), ("float32", 1e-3, False),
        ("float16", 1e-3, True), ("float16", 0.1, False),
    ],
)  # fmt: skip
def test_the_tolerance_is_that_of_the_type(kind: str, error: float, is_taken: bool) -> None:
    exact = np.random.default_rng(0).standard_normal(1000)
    pair = exact.astype(kind), (exact * (1 + error)).astype(kind)
    if is_taken:
        assert difference(*pair) < 3 * error
        return
    with pytest.raises(Different, match=kind):
        difference(*pair)
    assert difference(*pair, by_type={kind: 0.5}) > 0


def test_bfloat16_and_other_types_of_torch() -> None:
    torch = pytest.importorskip("torch")
    exact = torch.linspace(-3, 3, 100)
    for kind in (torch.bfloat16, torch.float16, torch.float32, torch.int8):
        assert difference(exact.to(kind), exact.to(kind)) == 0
    with pytest.raises(Different, match="bfloat16"):
        difference(exact.bfloat16(), (exact * 1.2).bfloat16())
    with pytest.raises(Different, match="tensor of bfloat16"):
        difference(exact, exact.bfloat16())


def test_a_result_of_zeros_has_no_tolerance() -> None:
    assert difference(np.zeros(3), np.zeros(3)) == 0
    with pytest.raises(Different):
        difference(np.zeros(3), np.full(3, 1e-30))


def test_output_of_programs_is_compared_by_its_numbers() -> None:
    assert difference(b"mean 0.3333333333\nn 3\n", b"mean  0.33333333331 \nn 3", is_text=True) < 1e-9
    for other in (b"mean 0.4\nn 3", b"mean 0.3333333333", b"median 0.3333333333\nn 3"):
        with pytest.raises(Different):
            difference(b"mean 0.3333333333\nn 3\n", other, is_text=True)


def damaged() -> Iterator[bytes]:
    good = placed({"k": [np.arange(5.0), b"xyz", [1.0, 2.0]]}).memory.tobytes()
    yield from (good, bytes(SIZE))


@given(at=st.integers(0, 300), rubbish=st.binary(min_size=1, max_size=64), whole=st.sampled_from(list(damaged())))
def test_rubbish_is_refused_or_compared_but_never_breaks_the_judge(at: int, rubbish: bytes, whole: bytes) -> None:
    expected = placed({"k": [np.arange(5.0), b"xyz", [1.0, 2.0]]})
    memory = bytearray(whole)
    memory[at : at + len(rubbish)] = rubbish
    with contextlib.suppress(Different):
        largest_difference(expected, Place(np.frombuffer(memory, dtype=np.uint8), 64, SIZE - 64), Tolerance())


@given(tree=st.recursive(st.none() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x, max_size=4)))
def test_a_header_may_say_anything(tree: Any) -> None:
    memory = bytearray(SIZE)
    header = json.dumps([tree, [0, 10**9, -5]]).encode()[: SIZE - 8]
    WORKER.PREFIX.pack_into(memory, 0, len(header))
    memory[8 : 8 + len(header)] = header
    found = Place(np.frombuffer(memory, dtype=np.uint8), 0, SIZE)
    for expected in (np.arange(3.0), [1.0], {"a": 1}, b"x", "t"):
        with pytest.raises(Different):
            largest_difference(placed(expected), found, Tolerance())
