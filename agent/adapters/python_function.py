"""Tunes a Python function, in a notebook or a script: trials in threads, a progress bar, a time limit, Ctrl-C."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tunesmith.agent.tuner import BestTrial, OpenTrial, Tuner
from tunesmith.study.errors import Mistake, SpaceExhausted, SpecError
from tunesmith.study.optional_packages import is_installed
from tunesmith.study.space.condition import Value
from tunesmith.study.space.mixtures.rows import Declared
from tunesmith.study.space.space import SearchSpace
from tunesmith.study.trials.trial import Trial, TrialState
from tunesmith.study.units import short_number

Objective = Callable[[dict[str, Value]], float]
Callback = Callable[[Tuner, Trial], None]
RETURNED_NONE = "the function returned None, so there is no value; end it with `return loss`"


@dataclass(frozen=True, slots=True)
class _Result:
    """What a call gave: a value, or the kind and reason of its failure with the end of the traceback."""

    value: Any = None
    kind: str = ""
    reason: str = ""
    tail: str = ""


def minimize(  # noqa: PLR0913  # a public signature; all arguments but two are keywords
    objective: Objective,
    space: Declared | SearchSpace,
    *,
    trials: int = 50,
    timeout: float | None = None,
    n_jobs: int = 1,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
    **options: Any,
) -> BestTrial:
    """Minimize a Python function over a search space; an exception in it fails the trial, not the search.

    Ctrl-C ends the search and returns the best trial so far; with `history=` a later call resumes it.

    Args:
        objective: takes the active parameters and returns the value.
        space: parameters by name, or a SearchSpace.
        trials: the maximum number of calls; there are fewer if a finite space is exhausted.
        timeout: seconds after which no further call starts; None for no limit.
        n_jobs: number of calls at once, in threads.
        callbacks: called after each trial with the tuner and the finished trial.
        progress: whether a progress bar shows the best value; None for one in notebooks and terminals that have tqdm.
        **options: arguments of `Tuner`, for example `planner`, `seed`, `history`, `derived` and `forbid`.

    Raises:
        SpecError: an option is not valid, or every call failed; the message then contains the last reason.
    """
    with Tuner(space, **{"trials": trials, **options}) as tuner:
        search = _Search(tuner, objective, callbacks, trials, timeout)
        try:
            with _progress_bar(trials, wanted=progress) as show:
                search.run(n_jobs, show)
        except KeyboardInterrupt:
            if tuner.best is None:
                raise
            print(f"stopped after {search.done} of {trials} trials", file=sys.stderr)  # noqa: T201  # to the person
        return _best(tuner)


class _Search:
    """One search: what was started and what ended. The history is used in this thread only."""

    def __init__(
        self, tuner: Tuner, objective: Objective, callbacks: Sequence[Callback], trials: int, timeout: float | None
    ) -> None:
        self._tuner, self._objective, self._callbacks = tuner, objective, callbacks
        self._left = trials
        self._until = None if timeout is None else time.monotonic() + timeout
        self.done = 0

    def run(self, n_jobs: int, show: Callable[[Tuner], None]) -> None:
        """Run trials until none is left."""
        if n_jobs == 1:
            while (trial := self._next()) is not None:
                self._finish(trial, _call(self._objective, trial), show)
            return
        pool = ThreadPoolExecutor(n_jobs)
        try:
            self._run_in(pool, n_jobs, show)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _run_in(self, pool: ThreadPoolExecutor, n_jobs: int, show: Callable[[Tuner], None]) -> None:
        running: dict[Future[_Result], OpenTrial] = {}
        while True:
            while len(running) < n_jobs and (trial := self._next()) is not None:
                running[pool.submit(_call, self._objective, trial)] = trial
            if not running:
                return
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                self._finish(running.pop(future), future.result(), show)

    def _next(self) -> OpenTrial | None:
        """Return the next trial; None if no trial is left, no time, or no configuration."""
        if self._left <= 0 or (self._until is not None and time.monotonic() >= self._until):
            return None
        try:
            trial = self._tuner.ask()
        except SpaceExhausted:
            self._left = 0
            return None
        self._left -= 1
        return trial

    def _finish(self, trial: OpenTrial, result: _Result, show: Callable[[Tuner], None]) -> None:
        if result.kind:
            self._tuner.fail(trial, result.kind, result.reason, tail=result.tail)
        else:
            self._tuner.tell(trial, result.value)
        self.done += 1
        show(self._tuner)
        for callback in self._callbacks:
            callback(self._tuner, self._tuner.trials[trial.number])
        if result.reason == RETURNED_NONE and self.done == 1:
            raise SpecError([Mistake("objective", RETURNED_NONE)], where="minimize")


def _call(objective: Objective, trial: OpenTrial) -> _Result:
    try:
        value = objective(dict(trial.params))
    except MemoryError as error:
        return _Result(kind="oom", reason=f"MemoryError: {error}", tail=traceback.format_exc())
    except Exception as error:  # noqa: BLE001  # a user's function may raise anything; only its trial fails
        return _Result(kind="crash", reason=f"{type(error).__name__}: {error}", tail=traceback.format_exc())
    if value is None:
        return _Result(kind="no_metric", reason=RETURNED_NONE)
    return _Result(value=value)


def _best(tuner: Tuner) -> BestTrial:
    best = tuner.best
    if best is None:
        failures = [t.failure.reason for t in tuner.trials if t.failure]
        reason = failures[-1] if failures else "no trial ran"
        raise SpecError([Mistake("objective", f"every trial failed; the last one: {reason}")], where="minimize")
    return best


@contextmanager
def _progress_bar(trials: int, *, wanted: bool | None) -> Iterator[Callable[[Tuner], None]]:
    """Yield a function that advances the bar; it does nothing where no bar is shown."""
    if wanted is None:
        wanted = is_installed("tqdm") and (sys.stderr.isatty() or "ipykernel" in sys.modules)
    if not wanted:
        yield lambda tuner: None
        return
    from tqdm.auto import tqdm  # 0.1 s

    with tqdm(total=trials, unit="trial") as bar:

        def show(tuner: Tuner) -> None:
            best = tuner.best
            failed = sum(t.state is TrialState.FAILED for t in tuner.trials)
            bar.set_description(
                f"best {short_number(best.value)}" if best is not None else "no value yet", refresh=False
            )
            if failed:
                bar.set_postfix(failed=failed, refresh=False)
            bar.update()

        yield show
