"""For people who live in scikit-learn: `tunesmith.sklearn.TunesmithSearchCV(SVC(), {"C": ts.Float(1e-3, 1e3, log=True)})`."""

from tunesmith.agent.sklearn_search import TunesmithSearchCV

__all__ = ["TunesmithSearchCV"]
