"""What the sampler learns from in a study in which an LLM takes part: its own search, and what the LLM found better.

An LLM works in small steps on the best trial. A model of all of them sees a cluster, becomes sure of itself there and
searches in no wider a box; the sampler's own trials and the LLM's gains are a better sample of the space. Judging the
LLM's candidates is another matter: that uses every trial.
"""

from __future__ import annotations

from dataclasses import replace

from tunesmith.study.trials.trial import Source
from tunesmith.study.trials.view import StudyView, objective_values


def without_llm_misses(view: StudyView) -> StudyView:
    """Return the view without the finished trials of the LLM that were no new best when they ended.

    With several objectives it is the view itself: a trial may extend the front without being the best in any.
    """
    if len(view.objectives) > 1 or all(t.proposal.source is not Source.LLM for t in view.trials):
        return view
    best, kept = float("inf"), []
    for trial in view.trials:
        values = objective_values(trial, view.objectives) if trial.state.is_finished and trial.counts else None
        loss = float("inf") if values is None else view.objectives[0].sign * values[0]
        is_miss = trial.proposal.source is Source.LLM and trial.state.is_finished and loss >= best
        if not is_miss:
            kept.append(trial)
        if not trial.is_replicate:
            best = min(best, loss)
    return replace(view, trials=kept)
