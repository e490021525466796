"""A trained model as plain data: its operations as JSON, its weights as arrays.

Loading it runs neither code of the script that made it nor a pickle, only operations of PyTorch's library
(ATen), so a judge may load what an edited script saved. Edits must not change this file ([edits].protect).
"""

from __future__ import annotations

import copy
import json
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import CONTEXT, ROWS
from torch import nn

GRAPH, WEIGHTS = "model.json", "model.npz"

_REFUSED = frozenset({"from_file"})
"""Operations of ATen that reach beyond their arguments."""
_CONSTANTS = {torch.dtype: "dtype", torch.layout: "layout", torch.memory_format: "memory_format"}


def save(model: nn.Module, folder: Path) -> None:
    """Write a model that turns (ROWS, CONTEXT) int64 bytes into (ROWS, CONTEXT, 256) logits of the byte after each.

    Raises:
        ValueError: the model uses something other than operations of ATen.
    """
    model = copy.deepcopy(model).float().cpu().eval()
    with torch.no_grad():
        program = torch.export.export(model, (torch.zeros(ROWS, CONTEXT, dtype=torch.int64),))
    signature = program.graph_signature
    stored = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    tensors = {**program.constants, **program.state_dict}
    steps = [_step(node) for node in program.graph.nodes if node.op not in ("placeholder", "output")]
    inputs = [name for name in signature.user_inputs if isinstance(name, str)]
    graph = {"input": inputs[0], "steps": steps, "output": signature.user_outputs[0]}
    np.savez(folder / WEIGHTS, **{name: tensors[target].detach().numpy() for name, target in stored.items()})
    (folder / GRAPH).write_text(json.dumps(graph), encoding="utf-8")


def load(folder: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the model as a function of (ROWS, CONTEXT) int64 bytes. It keeps nothing from one call to the next.

    Raises:
        OSError, ValueError, KeyError: the file is missing, or `save` did not write it.
    """
    graph = json.loads((folder / GRAPH).read_text(encoding="utf-8"))
    with np.load(folder / WEIGHTS, allow_pickle=False) as arrays:
        weights = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    steps = [(step["name"], _operation(step["operation"]), step) for step in graph["steps"]]

    @torch.no_grad()
    def model(tokens: torch.Tensor) -> torch.Tensor:
        # Copies: an operation that writes into its argument must not carry one text over to the next.
        values: dict[str, Any] = {name: weight.clone() for name, weight in weights.items()}
        values[graph["input"]] = tokens.clone()
        for name, operation, step in steps:
            arguments = [_decoded(argument, values) for argument in step["arguments"]]
            options = {key: _decoded(option, values) for key, option in step["options"].items()}
            values[name] = operation(*arguments, **options)
        output: torch.Tensor = values[graph["output"]]
        return output

    return model


def _step(node: torch.fx.Node) -> dict[str, Any]:
    name = str(node.target)
    if node.target is operator.getitem:
        name = "getitem"
    elif node.op != "call_function" or not name.startswith("aten."):
        raise ValueError(f"{name} cannot be saved: the model's forward may only use operations of PyTorch")
    return {
        "name": node.name,
        "operation": name,
        "arguments": [_encoded(argument) for argument in node.args],
        "options": {key: _encoded(value) for key, value in node.kwargs.items()},
    }


def _encoded(value: Any) -> Any:
    if isinstance(value, torch.fx.Node):
        return {"value": value.name}
    if isinstance(value, list | tuple):
        return [_encoded(item) for item in value]
    if isinstance(value, torch.device):
        return {"device": "cpu"}
    for kind, name in _CONSTANTS.items():
        if isinstance(value, kind):
            return {name: str(value).removeprefix("torch.")}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"{value!r} cannot be saved")


def _decoded(value: Any, values: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_decoded(item, values) for item in value]
    if not isinstance(value, dict):
        return value
    if "value" in value:
        return values[value["value"]]
    if "device" in value:
        return torch.device("cpu")
    for kind, name in _CONSTANTS.items():
        if name in value and isinstance(found := getattr(torch, value[name], None), kind):
            return found
    raise ValueError(f"{value!r} is not an argument that `save` writes")


def _operation(name: str) -> Callable[..., Any]:
    if name == "getitem":
        return operator.getitem
    library, _, rest = name.partition(".")
    packet, _, overload = rest.partition(".")
    found = getattr(getattr(torch.ops.aten, packet, None), overload, None)
    if library != "aten" or packet in _REFUSED or not isinstance(found, torch._ops.OpOverload):
        raise ValueError(f"{name} is not an operation that a model may use")
    return found
