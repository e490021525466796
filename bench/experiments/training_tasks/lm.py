"""A small GPT on source code: 15 parameters, a memory limit, and the same training time for every run.

Time is counted by a model of this network's cost (`seconds_per_pass`), not by a clock, so that what else the machine
does changes no result: a larger model takes fewer steps. Memory is what autograd keeps for the first step plus
weights, gradients and moments, counted as torch reports it; a run beyond the limit fails as a GPU would let it fail.
The optimizer has a rate for embeddings, matrices and head, a warm-up and a warm-down, as in speed runs of small GPTs.
"""

from __future__ import annotations

import math
import sys
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunesmith.bench.experiments.training_tasks.task_family import Family, Params, Result, choice, number

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "examples" / "charlm"))
from data import VOCABULARY, held_out_text, training_text  # type: ignore[import-not-found]  # found by path

CONTEXT = 32
SECONDS = 1.8
"""Training time of a run by the cost model, in seconds of one quiet core."""
MEMORY_MIB = 16.0
"""Memory limit of a run."""
VALIDATION_ROWS = 768
SHORTEST_STEPS = 2
"""A run with fewer steps than this has no result within its time."""

ENTRIES = [
    number("depth", 1, 8, kind="int"),
    number("aspect", 8, 64, log=True, kind="int"),
    choice("head_size", 8, 16, 32, ordered=True),
    choice("device_batch", 2, 4, 8, 16, 32, ordered=True),
    choice("total_batch", 4, 8, 16, 32, 64, ordered=True),
    number("embedding_lr", 1e-4, 1.0, log=True),
    number("matrix_lr", 1e-4, 1e-1, log=True),
    number("head_lr", 1e-4, 1e-1, log=True),
    number("weight_decay", 1e-4, 1.0, log=True),
    number("warmup", 0.0, 0.5),
    number("warmdown", 0.0, 1.0),
    number("final_lr", 0.0, 0.5),
    number("beta1", 0.5, 0.98),
    number("beta2", 0.8, 0.999),
    number("init_scale", 0.1, 3.0, log=True),
]
DEFAULT = {
    "depth": 2, "aspect": 32, "head_size": 16, "device_batch": 8, "total_batch": 8, "embedding_lr": 0.05,
    "matrix_lr": 8e-3, "head_lr": 0.01, "weight_decay": 0.1, "warmup": 0.05, "warmdown": 0.4, "final_lr": 0.1,
    "beta1": 0.9, "beta2": 0.95, "init_scale": 1.0,
}  # fmt: skip


class OutOfMemory(Exception):
    """A run needs more than the memory limit."""


class Block(nn.Module):
    """Attention and a feed-forward layer, each after a norm without weights."""

    def __init__(self, width: int, head_size: int, init_scale: float) -> None:
        super().__init__()
        self.heads = width // head_size
        self.qkv = _linear(width, 3 * width, init_scale)
        self.out = _linear(width, width, 0.0)
        self.up = _linear(width, 4 * width, init_scale)
        self.down = _linear(4 * width, width, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, length, width) to the same shape."""
        rows, length, width = x.shape
        q, k, v = self.qkv(_norm(x)).view(rows, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(rows, length, width))
        found: Tensor = x + self.down(functional.relu(self.up(_norm(x))).square())
        return found


class Gpt(nn.Module):
    """(n, length) bytes to (n, length, VOCABULARY) logits."""

    def __init__(self, depth: int, width: int, head_size: int, init_scale: float) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.positions = nn.Embedding(CONTEXT, width)
        self.blocks = nn.ModuleList([Block(width, head_size, init_scale) for _ in range(depth)])
        self.head = _linear(width, VOCABULARY, 0.1 * init_scale)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of the byte after each."""
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        found: Tensor = self.head(_norm(x))
        return found


def _linear(inputs: int, outputs: int, scale: float) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=scale / math.sqrt(inputs)) if scale else nn.init.zeros_(layer.weight)
    return layer


def _norm(x: Tensor) -> Tensor:
    return functional.rms_norm(x, (x.shape[-1],))


def train(params: Params, seed: int) -> Result:
    """Train for `SECONDS` of the cost model; return the bits per byte of held-out text."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    head_size = int(params["head_size"])
    width = max(round(params["depth"] * params["aspect"] / head_size), 1) * head_size
    device_batch = min(int(params["device_batch"]), int(params["total_batch"]))
    passes = int(params["total_batch"]) // device_batch
    steps = int(
        SECONDS
        / (passes * seconds_per_pass(int(params["depth"]), width, device_batch) + seconds_per_update(params, width))
    )
    if steps < SHORTEST_STEPS:
        return Result(math.nan, "timeout", SECONDS)
    model = Gpt(int(params["depth"]), width, head_size, float(params["init_scale"]))
    try:
        _train(model, params, steps, device_batch, passes)
    except OutOfMemory:
        return Result(math.nan, "oom", 0.1 * SECONDS)
    except FloatingPointError:
        return Result(math.nan, "nan", 0.5 * SECONDS)
    loss = _held_out_bits(model)
    return Result(loss, "", SECONDS) if math.isfinite(loss) else Result(math.nan, "nan", SECONDS)


def _train(model: Gpt, params: Params, steps: int, device_batch: int, passes: int) -> None:
    optimizer = _optimizer(model, params)
    base = [group["lr"] for group in optimizer.param_groups]
    text = _text(held_out=False)
    for step in range(steps):
        rate = _rate(step / steps, params)
        for group, lr in zip(optimizer.param_groups, base, strict=True):
            group["lr"] = lr * rate
        optimizer.zero_grad()
        for part in range(passes):
            inputs, targets = _sample(text, device_batch)
            loss = _loss_within_memory(model, inputs, targets) if step == part == 0 else _loss(model, inputs, targets)
            (loss / passes).backward()  # type: ignore[no-untyped-call]
        if not math.isfinite(loss.item()) or loss.item() > 30:
            raise FloatingPointError
        optimizer.step()


def _rate(share: float, params: Params) -> float:
    """Return the learning rate at a share of the training, as a part of the highest."""
    if share < params["warmup"]:
        return (share + 1e-3) / float(params["warmup"])
    left = (1 - share) / max(float(params["warmdown"]), 1e-6)
    return min(1.0, float(params["final_lr"]) + (1 - float(params["final_lr"])) * left)


def _optimizer(model: Gpt, params: Params) -> torch.optim.Optimizer:
    groups = [
        {
            "params": [*model.tokens.parameters(), *model.positions.parameters()],
            "lr": params["embedding_lr"],
            "weight_decay": 0.0,
        },
        {"params": list(model.blocks.parameters()), "lr": params["matrix_lr"], "weight_decay": params["weight_decay"]},
        {"params": list(model.head.parameters()), "lr": params["head_lr"], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(params["beta1"], params["beta2"]), foreach=True)


def _loss(model: Gpt, inputs: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


def _loss_within_memory(model: Gpt, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of a first pass, unless weights, moments and what autograd keeps are beyond the limit."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = _loss(model, inputs, targets)
    weights = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    if (sum(kept.values()) + 3 * weights) / 2**20 > MEMORY_MIB:
        raise OutOfMemory
    return loss


def seconds_per_pass(depth: int, width: int, device_batch: int) -> float:
    """Return the model's seconds for one forward and backward pass on one core, fitted to measured passes."""
    flops = 6.0 * device_batch * CONTEXT * (12 * depth * width**2 + VOCABULARY * width + depth * width * CONTEXT)
    return 0.0008 + 0.0007 * depth + float(flops) / 4.5e10


def seconds_per_update(params: Params, width: int) -> float:
    """Return the model's seconds for one step of the optimizer."""
    return 0.0006 + 6e-9 * float(12 * params["depth"] * width**2 + 2 * VOCABULARY * width)


@torch.no_grad()
def _held_out_bits(model: Gpt) -> float:
    text = _text(held_out=True)
    starts = torch.linspace(0, len(text) - CONTEXT - 1, VALIDATION_ROWS).long().tolist()
    total = 0.0
    for first in range(0, VALIDATION_ROWS, 64):
        inputs, targets = _pieces(text, starts[first : first + 64])
        total += float(_loss(model, inputs, targets)) * 64
    return total / VALIDATION_ROWS / math.log(2)


@cache
def _text(*, held_out: bool) -> Tensor:
    return torch.from_numpy((held_out_text() if held_out else training_text()).copy())


def _sample(text: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    return _pieces(text, torch.randint(len(text) - CONTEXT - 1, (rows,)).tolist())


def _pieces(text: Tensor, starts: list[int]) -> tuple[Tensor, Tensor]:
    """Return (n, CONTEXT) bytes and the byte after each."""
    pieces = torch.stack([text[start : start + CONTEXT + 1] for start in starts]).long()
    return pieces[:, :-1], pieces[:, 1:]


FAMILY = Family(
    name="lm",
    entries=ENTRIES,
    default=DEFAULT,
    train=train,
    description=(
        "Pretraining of a small GPT on Python source code for a fixed time on one core; the width is depth * aspect, "
        "rounded to "
        "heads. Configurations beyond the memory limit fail. Minimize bits per byte on held-out files."
    ),
    source="rates, betas, decay and schedule of the nanoGPT and nanochat scripts, scaled to this size",
)
