"""The search for scikit-learn: `tunesmith.sklearn.TunesmithSearchCV(SVC(), {"C": ts.Float(1e-3, 1e3, log=True)})`."""

try:
    from tunesmith.agent.adapters.sklearn_search import TunesmithSearchCV
except ModuleNotFoundError as error:
    raise ImportError(
        f"tunesmith.sklearn needs {error.name}; install it with `pip install 'tunesmith[sklearn]'`"
    ) from error

__all__ = ["TunesmithSearchCV"]
