"""Simulated biased judges: does the interval of a corrected score hold, and how often is the wrong trial chosen?

Each judge has its own offset, slope, liking for long texts, and noise; each trial its own quality and usual length of
texts. People give whole scores from 1 to 5. The labelled texts come from all trials alike. Compared are the judge's own
mean, plain prediction-powered inference (one correction for all trials), a regression of labels on the judge's score
and the length, and what [judge] does (the same regression, the other way round).

    python bench/experiments/judges/simulated.py --judges 200
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunesmith.agent.text_judge.statistics.corrected_score import fit_instrument

Array = np.ndarray[Any, np.dtype[np.float64]]
TRIALS = 8


@dataclass(frozen=True, slots=True)
class Written:
    """Texts: what people and the judge give them, and their lengths in characters."""

    people: Array
    judge: Array
    lengths: Array


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean label of a trial's texts, with its 95% interval."""

    value: float
    low: float
    high: float


class SimulatedJudge:
    """A judge with random biases."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.offset, self.slope = rng.uniform(-1.0, 1.0), rng.uniform(0.5, 1.2)
        self.likes_long, self.noise = rng.uniform(-1.0, 1.0), rng.uniform(0.4, 1.0)

    def texts(self, quality: float, style: float, count: int) -> Written:
        """Return texts of a trial: `quality` in points about 3, `style` in units of the log length."""
        rng = self._rng
        lengths = np.exp(rng.normal(5.0 + style, 0.4, count))
        worth = quality + rng.normal(0.0, 0.7, count)
        said = 3.0 + self.offset + self.slope * worth + self.likes_long * (np.log1p(lengths) - 5.0)
        judge = np.clip(np.round(said + rng.normal(0.0, self.noise, count)), 1, 5)
        return Written(np.clip(np.round(3.0 + worth), 1, 5), judge, lengths)


def joined(parts: Sequence[Written]) -> Written:
    """Return all texts as one."""
    return Written(
        np.concatenate([p.people for p in parts]),
        np.concatenate([p.judge for p in parts]),
        np.concatenate([p.lengths for p in parts]),
    )


def raw(texts: Written, _: Written) -> Estimate:
    """Return the judge's own mean."""
    return _normal(float(texts.judge.mean()), float(texts.judge.var(ddof=1)) / len(texts.judge))


def plain_ppi(texts: Written, labelled: Written) -> Estimate:
    """Return the judge's mean, corrected by what it is wrong by on the labelled texts (Angelopoulos et al. 2023)."""
    wrong = labelled.people - labelled.judge
    variance = texts.judge.var(ddof=1) / len(texts.judge) + wrong.var(ddof=1) / len(wrong)
    return _normal(float(texts.judge.mean() + wrong.mean()), float(variance))


def regression(texts: Written, labelled: Written) -> Estimate:
    """Return the mean that labels regressed on score and length predict, as in PPI++ with two predictors."""

    def predictors(written: Written) -> Array:
        return np.stack([written.judge, np.log1p(written.lengths)], axis=1)

    z = predictors(labelled)
    center, spread = z.mean(axis=0), z - z.mean(axis=0)
    bread = np.linalg.inv(spread.T @ spread)
    slopes = bread @ spread.T @ (labelled.people - labelled.people.mean())
    residuals = labelled.people - labelled.people.mean() - spread @ slopes
    off = predictors(texts).mean(axis=0) - center
    square = float((residuals**2).sum()) / (len(z) - 3)
    variance = square * (1.0 / len(z) + 1.0 / len(texts.judge) + float(off @ bread @ off))
    return _normal(float(labelled.people.mean() + off @ slopes), variance)


def ours(texts: Written, labelled: Written) -> Estimate:
    """Return what [judge] with pairs = false gives."""
    instrument = fit_instrument(
        labelled.judge.tolist(), labelled.lengths.astype(int).tolist(), labelled.people.tolist()
    )
    found = instrument.read(texts.judge.tolist(), texts.lengths.astype(int).tolist())
    return Estimate(found.value, found.low, found.high)


METHODS = {"the judge's own mean": raw, "plain PPI": plain_ppi, "regression": regression, "[judge]": ours}


def studies(judges: int, labels: int, texts: int, seed: int) -> Iterator[tuple[Written, list[Written]]]:
    """Yield the labelled texts and the trials' texts for each judge."""
    for index in range(judges):
        rng = np.random.default_rng([seed, index])
        judge = SimulatedJudge(rng)
        quality, style = rng.normal(0.0, 0.3, TRIALS), rng.normal(0.0, 0.6, TRIALS)
        labelled = joined([judge.texts(quality[t], style[t], 1) for t in rng.integers(0, TRIALS, labels)])
        yield labelled, [judge.texts(quality[t], style[t], texts) for t in range(TRIALS)]


def main() -> None:
    """Print one line for each method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judges", type=int, default=200)
    parser.add_argument("--labels", type=int, default=60)
    parser.add_argument("--texts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    covered, wrong, regret = ({name: [] for name in METHODS} for _ in range(3))  # type: ignore[var-annotated]
    for labelled, trials in studies(asked.judges, asked.labels, asked.texts, asked.seed):
        truth = np.array([texts.people.mean() for texts in trials])
        for name, method in METHODS.items():
            found = [method(texts, labelled) for texts in trials]
            covered[name] += [e.low <= t <= e.high for e, t in zip(found, truth, strict=True)]
            chosen = int(np.argmax([e.value for e in found]))
            wrong[name].append(truth[chosen] < truth.max())
            regret[name].append(truth.max() - truth[chosen])
    print(f"{asked.judges} judges, {asked.labels} labels, {asked.texts} texts in each of {TRIALS} trials")
    for name in METHODS:
        figures = [float(np.mean(kind[name])) for kind in (covered, wrong, regret)]
        print(f"{name:22} covered {figures[0]:.3f}  wrong {figures[1]:.3f}  points lost {figures[2]:.3f}")


def _normal(value: float, variance: float) -> Estimate:
    reach = 1.96 * variance**0.5
    return Estimate(value, value - reach, value + reach)


if __name__ == "__main__":
    main()
