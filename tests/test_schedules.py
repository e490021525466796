"""The shapes of a learning rate: they rise, peak at 1, reach their floor, and drive a scheduler of PyTorch."""

from __future__ import annotations

import pytest

import tunesmith
from tunesmith.schedules import SHAPES


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("steps", "warmup", "floor"), [(10, 1, 0.0), (100, 20, 0.1), (3, 2, 0.5), (1000, 1, 1.0)])
def test_a_shape_rises_to_one_and_falls_to_its_floor(name: str, steps: int, warmup: int, floor: float) -> None:
    shape = SHAPES[name](steps, warmup=warmup, floor=floor)
    factors = [shape(step) for step in range(steps + 1)]
    assert factors[: warmup + 1] == sorted(factors[: warmup + 1])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert factors[0] > 0
    assert max(factors) == pytest.approx(1.0)
    assert factors[-1] == pytest.approx(floor)
    assert shape(10 * steps) == pytest.approx(floor)


def test_the_shapes_differ_as_their_papers_say() -> None:
    half = {name: SHAPES[name](1000)(500) for name in ("linear", "cosine", "rex")}
    assert half == pytest.approx({"linear": 0.5, "cosine": 0.5, "rex": 2 / 3})
    plateau = SHAPES["wsd"](1000, decay=0.25)
    assert [plateau(step) for step in (0, 750, 875)] == pytest.approx([1.0, 1.0, 0.5])
    law = SHAPES["power"](1000, warmup=10, exponent=0.5, decay=0.1)
    assert law(40) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("linear", {"steps": 0}, "steps is 0; expected 1 or more"),
        ("cosine", {"steps": 10, "warmup": 10}, "warmup is 10; expected 0 or more steps, below 10"),
        ("rex", {"steps": 10, "floor": 1.5}, "floor is 1.5; expected 0 to 1"),
        ("wsd", {"steps": 10, "decay": 0.0}, "decay is 0.0"),
        ("power", {"steps": 10, "warmup": 0}, "warmup is 0; expected 1 or more steps"),
        ("power", {"steps": 10, "floor": -1.0}, "floor is -1.0"),
    ],
)
def test_an_argument_outside_its_range_is_refused_in_words(name: str, arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SHAPES[name](**arguments)


def test_a_scheduler_of_pytorch_follows_a_shape() -> None:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, tunesmith.schedules.wsd(10, warmup=2, decay=0.5))
    rates = []
    for _ in range(10):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([0.4 / 3, 0.8 / 3, 0.4, 0.4, 0.4, 0.4, 0.32, 0.24, 0.16, 0.08])
