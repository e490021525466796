"""Opens the LLM of [planner]: with its fallbacks, with a recording of its answers, or replayed from a recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunesmith.agent.llm.client.types import LanguageModel
from tunesmith.study.config.tables.planner import PlannerTable


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFiles:
    """Files of questions and answers: `record` is written, `replay` is answered from without a network."""

    record: Path | None = None
    replay: Path | None = None


def open_model(planner: PlannerTable, recording: RecordingFiles | None = None) -> LanguageModel:
    """Return the model of [planner]; a file to replay replaces it.

    Raises:
        SpecError: the user's price list cannot be read.
        ProjectError: the file to replay cannot be read.
    """
    from tunesmith.agent.llm.client.client import LangChainModel
    from tunesmith.agent.llm.client.fallbacks import FallbackModel
    from tunesmith.agent.llm.client.options import RequestOptions
    from tunesmith.agent.llm.client.recording import RecordingModel, ReplayModel

    recording = recording or RecordingFiles()
    names = [planner.model or "", *planner.fallbacks]
    if recording.replay is not None:
        return ReplayModel(recording.replay, names[0])
    options = RequestOptions.from_planner(planner)
    models = [LangChainModel(name, base_url=planner.base_url, options=options) for name in names]
    model: LanguageModel = models[0] if len(models) == 1 else FallbackModel(models)
    return RecordingModel(model, recording.record) if recording.record else model
