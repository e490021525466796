"""The Bayesian sampler (prototype)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.agent.sources import Suggestion
from tunesmith.agent.surrogate import gp
from tunesmith.agent.surrogate.acquisition import log_expected_improvement, log_mean_exp, log_probability_below
from tunesmith.agent.surrogate.axes import Array, Axes, every_configuration
from tunesmith.agent.surrogate.search import climb, latin_hypercube
from tunesmith.agent.surrogate.targets import warp_for
from tunesmith.study.errors import SpaceExhausted
from tunesmith.study.view import StudyView, derived_seed, objective_values


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    first: int = 5
    centre_first: bool = True
    prior: gp.Prior = gp.Prior()
    softness: float = 0.1
    reach: float = 3.0
    starts: int = 1
    failure_model: bool = True
    hyper: str = "map"
    spread0: float = 1.0


class BayesSampler:
    def __init__(self, settings: Settings = Settings()):
        self.s = settings

    def suggest(self, view: StudyView) -> Suggestion:
        s = self.s
        rng = np.random.default_rng(derived_seed(view.seed, "bayes", view.number))
        axes = Axes(view.space)
        finished = view.finished
        X = np.array([view.space.to_unit(t.params) for t in finished]).reshape(-1, len(axes))
        V = [objective_values(t, view.objectives) for t in finished]
        ok = np.array([v is not None and all(np.isfinite(v)) for v in V], dtype=bool)
        pend = np.array([view.space.to_unit(t.params) for t in view.pending]).reshape(-1, len(axes))
        known = np.concatenate([X, pend])
        if len(known) < s.first or ok.sum() < 2:
            lhs = latin_hypercube(
                max(s.first, 1), len(axes), np.random.default_rng(derived_seed(view.seed, "bayes", "first"))
            )
            if s.spread0 < 1:
                lhs = 0.5 + s.spread0 * (lhs - 0.5)
            i = len(known)
            if s.centre_first:
                cand = axes.settle(axes.rest[None]) if i == 0 else axes.settle(lhs[(i - 1) % s.first][None])
            else:
                cand = axes.settle(lhs[i % s.first][None])
            if i >= s.first:
                cand = axes.settle(rng.random((1, len(axes))))
            cand = np.concatenate([cand, axes.settle(rng.random((64, len(axes))))])
            return self.pick(view, axes, cand, known)
        y = np.array([view.objectives[0].sign * v[0] if o else np.nan for v, o in zip(V, ok)])
        warp = warp_for(y[ok], softness=s.softness, reach=s.reach)
        t = np.where(ok, warp.apply(np.where(ok, y, 0)), 0)
        t[~ok] = t[ok].max()
        t = t - t.mean()
        t /= max(t.std(), 1e-9)
        Z = axes.features(X)
        thetas = self.thetas(Z, t, axes.group, rng)
        posts = [gp.condition(Z, t, th, axes.group) for th in thetas]
        if len(pend):
            zp = axes.features(pend)
            posts = [
                gp.condition(np.concatenate([Z, zp]), np.concatenate([t, p.predict(zp)[0]]), th, axes.group)
                for p, th in zip(posts, thetas)
            ]
        bests = [float(p.predict(Z[ok])[0].min()) for p in posts]
        fposts = []
        if s.failure_model and not ok.all():
            lab = np.where(ok, -1.0, 1.0)
            m = lab.mean()
            th = gp.fit(Z, lab - m, axes.group, s.prior)
            fpost = gp.condition(Z, lab, th, axes.group, mean=m)
            fposts.append(fpost)

        def score(U):
            Q = axes.features(U)
            e = log_mean_exp(np.stack([log_expected_improvement(*p.predict(Q), b) for p, b in zip(posts, bests)]))
            for p in fposts:
                mu, sd = p.predict(Q)
                e = e + log_probability_below(mu, np.sqrt(sd**2 + p.noise), 0.0)
            return e

        order = np.argsort(np.where(ok, t, np.inf), kind="stable")[:8]
        pool, vals = climb(score, axes, X[order], rng)
        return self.pick(view, axes, pool, known)

    def thetas(self, Z, t, group, rng):
        s = self.s
        th = gp.fit(Z, t, group, s.prior, starts=s.starts)
        if s.hyper == "map":
            return [th]
        from tunesmith.agent.surrogate import hyper

        return hyper.sample(th, Z, t, group, s.prior, rng, s.hyper)

    def pick(self, view, axes, pool, known):
        tried = {tuple(t.params.items()) for t in [*view.finished, *view.pending]}
        eps = np.where(axes.smooth, 1e-3, 1e-9)
        for u in pool:
            if len(known) and (np.abs(known - u) <= eps).all(1).any():
                continue
            p = view.space.from_unit(u)
            if tuple(p.items()) in tried:
                continue
            return Suggestion(params=p)
        for p in every_configuration(view.space):
            if tuple(p.items()) not in tried:
                return Suggestion(params=p)
        raise SpaceExhausted("every configuration was tried")
