"""Generated parameters for hypothesis: every type, with every scale and grid."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from tunesmith.study.space.parameters import Bool, Choice, Float, Int

NUMBERS = st.floats(-1e12, 1e12) | st.floats(1e-12, 1e12) | st.integers(-1000, 1000).map(float)


@st.composite
def floats(draw: st.DrawFn) -> Float:
    low, high = sorted([draw(NUMBERS), draw(NUMBERS)])
    if 1e-9 < low < 1e9 and draw(st.booleans()):
        base = draw(st.sampled_from([2, 3, 10, 1.5]))
        return Float(low, max(high, low * base**2), power_of=base)
    if draw(st.booleans()) and low > 0:
        return Float(low, max(high, low * 1.5), log=True)
    if low >= high:
        high = low + 1
    if low >= high or not math.isfinite(high - low):
        low, high = 0.0, 1.0
    if draw(st.booleans()):
        step = (high - low) / draw(st.integers(1, 1000))
        if step > 0 and draw(st.booleans()):
            return Float(low, high, step=step)
        if 0 < step <= (high - low) / 3 and max(abs(low), abs(high)) / step < 1e9:
            return Float(low, high, multiple_of=step)
    return Float(low, high)


@st.composite
def ints(draw: st.DrawFn) -> Int:
    low = draw(st.integers(-(10**17), 10**17) | st.integers(-20, 20))
    high = low + draw(st.integers(1, 10**18) | st.integers(1, 100))
    is_log = low > 0 and draw(st.booleans())
    if low > 0 and draw(st.booleans()):
        base = draw(st.integers(2, 12))
        return Int(low, max(high, low * base**2), power_of=base) if low < 10**15 else Int(low, high, log=is_log)
    if high - low > 3 and draw(st.booleans()):
        return Int(low, high, multiple_of=draw(st.integers(1, (high - low) // 3)), log=is_log)
    if is_log:
        return Int(low, high, log=True)
    return Int(low, high, step=draw(st.none() | st.integers(1, min(high - low, 7))))


CHOICES = st.lists(
    st.text(max_size=5) | st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    min_size=1, max_size=8, unique_by=lambda value: (isinstance(value, bool), value),
).map(lambda values: Choice(values, ordered=True))  # fmt: skip
PARAMETERS = floats() | ints() | CHOICES | st.just(Bool())
