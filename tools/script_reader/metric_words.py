"""What the name of a metric says: which direction is better, whether it is of held-out data, how well it suits."""

from __future__ import annotations

import re

_SMALL = re.compile(
    r"\w*loss(es)?|\w*err(or)?s?|rmse|mse|mae|mape|smape|perplexity|ppl|bpb|bpc|bits|nll|regret|cost|seconds|secs|latency|ms|"
    r"time|runtime|duration|wer|cer|fid|kid|deviance|logloss|entropy|distance|inertia|brier|ece|rmsle|lpips|divergence|kl"
)
_LARGE = re.compile(
    r"acc\d*|accuracy|accuracies|auc|auroc|auprc|f1|f_?score|score|scores|rewards?|returns?|ret|throughput|ops|precision|recall|"
    r"bleu\d?|rouge\w*|map\d*|ap|r2|iou|miou|dice|win|wins|winrate|ndcg\w*|mrr|hits?\d*|psnr|ssim|elbo|likelihood|top[15]|"
    r"correct|kappa|mcc|correlation|pearson|spearman|fitness|success|silhouette|modularity|epret|accuracy_score"
)
_HELD_OUT = re.compile(r"val|valid|validation|eval\w*|test\w*|dev|holdout|heldout|cv|oof|cross")
_TRAINING = re.compile(r"train\w*|running|batch|minibatch|step|iter\w*")
_NO_QUALITY = re.compile(
    r"time|runtime|duration|seconds|secs|latency|throughput|ops|ms|size|params?|entropy|kl|divergence|distance|bits|cost"
)
_PART = re.compile(
    r"kl|kld|recon\w*|bce|reg|aux|adv\w*|d|g|disc\w*|gen\w*|gan|style|content|box|obj|cls|policy|value|pi|v|q\d?|"
    r"qf\d?|actor|critic|alpha|grad"
)
_NO_OBJECTIVE = re.compile(
    r"^(best|lowest|highest|min|max|old|prev|initial|target|start|total)\b|learning.?rate|\blr\b|num_|number of|"
    r"loss_?fn|\beta\b|scale|weight|coef|threshold|patience|\bsps\b|_std$|\bstd\b|per.?sec|early|improve",
    re.IGNORECASE,
)


def direction_of(name: str) -> str:
    """Return whether a metric of this name is to be minimized or maximized, "" if the name is none of a metric."""
    if re.search(r"[A-Z]\w{0,80}(Error|Exception)$", name) and " " not in name and not name.isupper():
        return ""  # an exception
    tokens = _tokens(re.split(r"[/:]", name)[-1]) or _tokens(name)
    for token in reversed(tokens):
        if token == "likelihood" and {"negative", "neg"} & set(tokens):
            return "minimize"
        if _LARGE.fullmatch(token):
            return "maximize"
        if _SMALL.fullmatch(token):
            return "minimize"
    return ""


def is_no_objective(name: str) -> bool:
    """Return whether a name that sounds like a metric is something else, such as the best one so far."""
    return _NO_OBJECTIVE.search(name) is not None


def is_held_out(name: str) -> bool:
    """Return whether a metric's name says that it is measured on held-out data."""
    return any(_HELD_OUT.fullmatch(token) for token in _tokens(name))


def is_training(name: str) -> bool:
    """Return whether a metric's name says that it is measured on training data."""
    return any(_TRAINING.fullmatch(token) for token in _tokens(name)) and not is_held_out(name)


def is_cost(name: str) -> bool:
    """Return whether a metric measures time, throughput or size, not the quality of a result."""
    return any(_NO_QUALITY.fullmatch(token) for token in _tokens(name))


def rank(name: str, domains: frozenset[str] = frozenset()) -> float:
    """Return how well a metric suits as an objective: measured on held-out data, of the whole, and smooth."""
    tokens = _tokens(name)
    rewards = any(re.fullmatch(r"rewards?|returns?|score|epret|ret", token) for token in tokens)
    return (
        4.0 * is_held_out(name)
        - 0.8 * any(token.startswith("test") for token in tokens)
        - 3.0 * is_training(name)
        + 1.0 * any(token.endswith("loss") for token in tokens)
        - 4.0 * is_cost(name)
        - 1.5 * any(_PART.fullmatch(token) for token in tokens)
        + 6.0 * (rewards and "rl" in domains)
        + 0.5 * any(token in ("average", "avg", "mean") for token in tokens)
        - 0.1 * len(tokens)
    )


def _tokens(name: str) -> list[str]:
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [token.lower() for token in re.split(r"[^A-Za-z0-9]+", parted) if token]
