"""A small convolutional network on 8x8 digits: 16 parameters, an optimizer choice with conditional parameters,
augmentation.

Every run trains for five epochs on 900 images and is judged by its log loss on 450 others.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.bench.experiments.training_tasks.task_family import Family, Params, Result, choice, number

EPOCHS = 5
TRAINING_IMAGES, VALIDATION_IMAGES = 900, 450
SECONDS_PER_IMAGE = 1.6e-6
"""Seconds of training per image, channel and block: what a run costs by the family's own clock."""

AUGMENTED = {"augmentation": ["shift", "noise", "mixup"]}
ENTRIES = [
    choice("optimizer", "adam", "sgd", "rmsprop"),
    number("lr", 1e-5, 1.0, log=True),
    number("momentum", 0.0, 0.99, condition={"optimizer": ["sgd", "rmsprop"]}),
    choice("nesterov", "no", "yes", condition={"optimizer": ["sgd"]}),
    number("beta2", 0.9, 0.9999, condition={"optimizer": ["adam"]}),
    number("weight_decay", 1e-6, 0.1, log=True),
    number("channels", 4, 48, log=True, kind="int"),
    number("blocks", 1, 3, kind="int"),
    choice("kernel", 3, 5, ordered=True),
    choice("norm", "none", "batch", "group"),
    number("dropout", 0.0, 0.8),
    choice("batch", 16, 32, 64, 128, 256, ordered=True),
    number("label_smoothing", 0.0, 0.3),
    choice("augmentation", "none", "shift", "noise", "mixup"),
    number("strength", 0.05, 1.0, condition=AUGMENTED),
    choice("schedule", "constant", "cosine", "step"),
]
DEFAULT = {
    "optimizer": "adam", "lr": 3e-3, "beta2": 0.999, "weight_decay": 1e-4, "channels": 32, "blocks": 2, "kernel": 3,
    "norm": "none",
    "dropout": 0.25, "batch": 32, "label_smoothing": 0.0, "augmentation": "none", "schedule": "constant",
}  # fmt: skip


def train(params: Params, seed: int) -> Result:
    """Train a network; return its log loss in nats on images that it has not seen."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    images, labels, held_out, held_out_labels = _data()
    model = _network(params)
    optimizer = _optimizer(model, params)
    batch = int(params["batch"])
    steps = EPOCHS * math.ceil(len(images) / batch)
    seconds = (
        EPOCHS * TRAINING_IMAGES * SECONDS_PER_IMAGE * int(params["channels"]) * int(params["blocks"]) + steps * 2e-3
    )
    for step in range(steps):
        if step % math.ceil(len(images) / batch) == 0:
            order = torch.randperm(len(images))
        rows = order[torch.arange(step * batch, (step + 1) * batch) % len(images)]
        for group in optimizer.param_groups:
            group["lr"] = float(params["lr"]) * _rate(step / steps, params)
        loss = _loss(model, images[rows], labels[rows], params)
        if not torch.isfinite(loss):
            return Result(math.nan, "nan", seconds * step / steps)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()
    with torch.no_grad():
        value = float(functional.cross_entropy(model(held_out), held_out_labels))
    return Result(min(value, 10.0), "", seconds) if math.isfinite(value) else Result(math.nan, "nan", seconds)


@cache
def _data() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return images (n, 1, 8, 8) and labels (n,) to train on, and the same to judge by."""
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(digits.images, dtype=torch.float32)[order, None] / 8 - 1
    labels = torch.tensor(digits.target)[order]
    end = TRAINING_IMAGES + VALIDATION_IMAGES
    return images[:TRAINING_IMAGES], labels[:TRAINING_IMAGES], images[TRAINING_IMAGES:end], labels[TRAINING_IMAGES:end]


def _network(params: Params) -> nn.Sequential:
    channels, kernel = int(params["channels"]), int(params["kernel"])
    layers: list[nn.Module] = []
    inputs = 1
    for block in range(int(params["blocks"])):
        layers.append(nn.Conv2d(inputs, channels, kernel, padding=kernel // 2))
        if params["norm"] != "none":
            layers.append(nn.BatchNorm2d(channels) if params["norm"] == "batch" else nn.GroupNorm(1, channels))
        layers.append(nn.ReLU())
        if block < 2:
            layers.append(nn.MaxPool2d(2))
        inputs = channels
    side = 8 // 2 ** min(int(params["blocks"]), 2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(float(params["dropout"])), nn.Linear(channels * side**2, 10))


def _optimizer(model: nn.Module, params: Params) -> torch.optim.Optimizer:
    weights, lr, decay = model.parameters(), float(params["lr"]), float(params["weight_decay"])
    if params["optimizer"] == "adam":
        return torch.optim.AdamW(weights, lr=lr, betas=(0.9, float(params["beta2"])), weight_decay=decay)
    momentum = float(params["momentum"])
    if params["optimizer"] == "rmsprop":
        return torch.optim.RMSprop(weights, lr=lr, momentum=momentum, weight_decay=decay)
    nesterov = params["nesterov"] == "yes" and momentum > 0
    return torch.optim.SGD(weights, lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=decay)


def _rate(share: float, params: Params) -> float:
    if params["schedule"] == "cosine":
        return 0.5 * (1 + math.cos(math.pi * share))
    return 0.2 ** int(share * 3) if params["schedule"] == "step" else 1.0


def _loss(model: nn.Module, images: Tensor, labels: Tensor, params: Params) -> Tensor:
    smoothing, strength = float(params["label_smoothing"]), float(params.get("strength", 0.0))
    if params["augmentation"] == "shift":
        images = _shifted(images, strength)
    elif params["augmentation"] == "noise":
        images = images + strength * torch.randn_like(images)
    elif params["augmentation"] == "mixup":
        other = torch.randperm(len(images))
        part = float(torch.distributions.Beta(strength, strength).sample())
        outputs = model(part * images + (1 - part) * images[other])
        first = functional.cross_entropy(outputs, labels, label_smoothing=smoothing)
        second = functional.cross_entropy(outputs, labels[other], label_smoothing=smoothing)
        return part * first + (1 - part) * second
    return functional.cross_entropy(model(images), labels, label_smoothing=smoothing)


def _shifted(images: Tensor, strength: float) -> Tensor:
    """Shift a part of the images by one pixel in a random direction."""
    dx, dy = (int(x) for x in torch.randint(-1, 2, (2,)))
    chosen = (torch.rand(len(images)) < strength)[:, None, None, None]
    return torch.where(chosen, torch.roll(images, (dx, dy), (2, 3)), images)


FAMILY = Family(
    name="vision",
    entries=ENTRIES,
    default=DEFAULT,
    train=train,
    description="A small convolutional network on 8x8 digits, five epochs. Minimize the log loss on held-out images.",
    source="the PyTorch MNIST example's layers and dropout with Adam's own defaults",
)
