"""Reads folders that trackers and tuners leave behind: Ray Tune results, an MLflow file store, TensorBoard logs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunesmith.study.errors import ProjectError
from tunesmith.study.optional_packages import require
from tunesmith.study.trials.trial import TrialState
from tunesmith.tools.interop.importing.imported_table import VALUE, Found, FoundRow

_MLFLOW_STATES = {"1": TrialState.RUNNING, "2": TrialState.WAITING, "3": TrialState.COMPLETE,
                  "4": TrialState.FAILED, "5": TrialState.STOPPED}  # fmt: skip


def read_folder(folder: Path) -> Found:
    """Return the trials of whichever of these the folder is.

    Raises:
        ProjectError: it is none of them, or a file in it is damaged.
    """
    readers = {"Ray Tune": _ray, "MLflow": _mlflow, "TensorBoard": _tensorboard}
    for kind, read in readers.items():
        rows = list(read(folder))
        if rows:
            return Found(f"{kind} results in {folder}", folder.absolute().name, rows)
    raise ProjectError(
        f"{folder} holds no trials: Ray Tune leaves params.json and result.json, MLflow mlruns, TensorBoard events "
        "with hparams"
    )


def _ray(folder: Path) -> Iterator[FoundRow]:
    for params in sorted(folder.rglob("params.json")):
        result = params.with_name("result.json")
        lines = result.read_text(encoding="utf-8").splitlines() if result.exists() else []
        cells = dict(_flat(_object(params, params.read_text(encoding="utf-8"))))
        if params.with_name("error.txt").exists():
            yield FoundRow(cells, TrialState.FAILED)
        elif lines:
            last = _object(result, lines[-1])
            numbers = {f"{VALUE}{n}": v for n, v in _flat(last) if isinstance(v, int | float)}
            yield FoundRow({**cells, **numbers}, TrialState.COMPLETE, float(last.get("time_total_s") or 0.0))


def _mlflow(folder: Path) -> Iterator[FoundRow]:
    for meta in sorted(folder.rglob("meta.yaml")):
        run = meta.parent
        if not (run / "params").is_dir():
            continue
        text = meta.read_text(encoding="utf-8")
        status = re.search(r"^status:\s*(\d)", text, re.MULTILINE)
        begun, ended = (re.search(rf"^{name}_time:\s*(\d+)", text, re.MULTILINE) for name in ("start", "end"))
        seconds = (int(ended[1]) - int(begun[1])) / 1000 if begun and ended else 0.0
        cells = {p.name: p.read_text(encoding="utf-8").strip() for p in sorted((run / "params").iterdir())}
        for metric in sorted((run / "metrics").glob("*")):
            # A line is: time in ms, value, step.
            lines = metric.read_text(encoding="utf-8").split("\n")
            last = next((line.split() for line in reversed(lines) if line.strip()), [])
            if len(last) > 1:
                cells[f"{VALUE}{metric.name}"] = last[1]
        yield FoundRow(cells, _MLFLOW_STATES.get(status[1]) if status else None, seconds)


def _tensorboard(folder: Path) -> Iterator[FoundRow]:
    runs = sorted({path.parent for path in folder.rglob("events.out.tfevents.*")})
    if not runs:
        return
    require("tensorboard", purpose=f"reading the TensorBoard logs in {folder}")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # 1 s
    from tensorboard.plugins.hparams import plugin_data_pb2

    for run in runs:
        events = EventAccumulator(str(run))
        events.Reload()
        tags = events.Tags()
        cells: dict[str, Any] = {}
        for content in _hparams(events):
            data = plugin_data_pb2.HParamsPluginData.FromString(content)
            cells |= {name: _plain(value) for name, value in data.session_start_info.hparams.items()}
        if cells:
            scalars = {f"{VALUE}{tag}": events.Scalars(tag)[-1].value for tag in tags["scalars"]}
            yield FoundRow({**cells, **scalars})


def _hparams(events: Any) -> list[bytes]:
    try:
        found: Mapping[str, bytes] = events.PluginTagToContent("hparams")
    except KeyError:
        return []
    return [content for tag, content in found.items() if tag.endswith("session_start_info")]


def _plain(value: Any) -> Any:
    return getattr(value, value.WhichOneof("kind"))


def _object(path: Path, text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ProjectError(f"{path} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ProjectError(f"{path} holds no object")
    return found


def _flat(nested: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{start}{name}/")
        else:
            yield f"{start}{name}", value
