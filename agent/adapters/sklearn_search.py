"""Tunesmith's Bayesian sampler as a replacement for scikit-learn's GridSearchCV."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sklearn.model_selection._search import BaseSearchCV

from tunesmith.agent.tuner import OpenTrial, Tuner
from tunesmith.study.errors import Mistake, SpaceExhausted, SpecError
from tunesmith.study.space.mixtures.rows import Declared
from tunesmith.study.space.space import SearchSpace

_MEAN_SCORE = "mean_test_score"


class TunesmithSearchCV(BaseSearchCV):  # type: ignore[misc]  # scikit-learn is not typed
    """Searches an estimator's parameters by cross-validation like GridSearchCV, with Tunesmith's sampler.

    `fit` sets best_params_, best_score_, best_estimator_ and cv_results_ as usual.

    Args:
        estimator: the estimator to tune.
        space: the estimator's parameters by name, for example {"C": ts.Float(1e-3, 1e3, log=True)}; those of a
            pipeline's step as svc__C.
        n_iter: the number of configurations; fewer run if a finite space is exhausted.
        batch: the number of configurations that run at once; with `n_jobs` their folds run in parallel.
        scoring: as for GridSearchCV; with several metrics `refit` names the one to maximize.
        n_jobs: the number of processes for folds.
        refit: as for GridSearchCV.
        cv: as for GridSearchCV.
        verbose: as for GridSearchCV.
        random_state: an int makes the search repeatable; None for a random seed.
        error_score: the score of a configuration whose fit fails; with nan the sampler learns that it failed.
        return_train_score: as for GridSearchCV.
    """

    def __init__(  # noqa: PLR0913  # scikit-learn's signature
        self,
        estimator: Any,
        space: Declared | SearchSpace,
        *,
        n_iter: int = 20,
        batch: int = 1,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        random_state: int | None = None,
        error_score: Any = math.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.space = space
        self.n_iter = n_iter
        self.batch = batch
        self.random_state = random_state

    def _run_search(self, evaluate_candidates: Callable[[list[dict[str, Any]]], Mapping[str, Any]]) -> None:
        """Run the search; scikit-learn calls this method."""
        wrong = [
            Mistake(name, f"is {value!r}; give a whole number of at least 1")
            for name, value in (("n_iter", self.n_iter), ("batch", self.batch))
            if not isinstance(value, int) or value < 1
        ]
        if wrong:
            raise SpecError(wrong, where="TunesmithSearchCV")
        score = f"mean_test_{self.refit}" if isinstance(self.refit, str) else _MEAN_SCORE
        last_error: ValueError | None = None
        with Tuner(self.space, metric="score", direction="maximize", seed=_seed(self.random_state)) as tuner:
            left = self.n_iter
            while left > 0:
                asked = _batch(tuner, min(self.batch, left))
                if not asked:
                    break
                left -= len(asked)
                try:
                    scores = self._scores(evaluate_candidates([dict(trial.params) for trial in asked]), score)
                except ValueError as error:
                    # scikit-learn raises if every fit of a call fails; the next configurations may do better.
                    if self.error_score == "raise" or not str(error).lstrip().startswith("All the"):
                        raise
                    last_error, scores = error, [math.nan] * len(asked)
                for trial, value in zip(asked, scores[-len(asked) :], strict=True):
                    _tell(tuner, trial, float(value))
            if last_error is not None and tuner.best is None:
                raise last_error

    def _scores(self, results: Mapping[str, Any], name: str) -> Sequence[float]:
        if name not in results:
            raise SpecError(
                [Mistake("refit", f"is {self.refit!r}; name the metric of scoring to maximize")],
                where="TunesmithSearchCV",
            )
        scores: Sequence[float] = results[name]
        return scores


def _batch(tuner: Tuner, count: int) -> list[OpenTrial]:
    asked: list[OpenTrial] = []
    while len(asked) < count:
        try:
            asked.append(tuner.ask())
        except SpaceExhausted:
            break
    return asked


def _tell(tuner: Tuner, trial: OpenTrial, value: float) -> None:
    if math.isfinite(value):
        tuner.tell(trial, value)
    else:
        tuner.fail(trial, "crash", "the fit failed, or its score is not a finite number")


def _seed(random_state: int | None) -> int:
    return secrets.randbits(31) if random_state is None else random_state
