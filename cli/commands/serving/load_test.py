"""`tunesmith load-test`: measures a server that runs, and writes what it measured."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from tunesmith.cli.display.format import show
from tunesmith.study.errors import ProjectError
from tunesmith.study.optional_packages import require
from tunesmith.tools.load_test.workload import LoadSpec

KEY_VARIABLE = "OPENAI_API_KEY"


def measure_server(url: str, spec: LoadSpec, *, result: Path | None, as_json: bool) -> None:
    """Send the requests and print the summary.

    Args:
        url: address of the server.
        spec: what is sent.
        result: file for the metrics, as JSON.
        as_json: whether the metrics are printed as JSON instead of text.

    Raises:
        ProjectError: the package httpx is missing, the server does not answer, no request succeeded, or the file cannot
            be written.
    """
    require("httpx", purpose="tunesmith load-test", extra="serve")
    from tunesmith.tools.load_test.client import run_load
    from tunesmith.tools.load_test.summary import summarize, summary_lines

    address = url if "://" in url else f"http://{url}"
    summary = summarize(asyncio.run(run_load(spec, address, key=os.environ.get(KEY_VARIABLE, ""))))
    document = {**summary.metrics, "errors_by_reason": dict(summary.errors)}
    if result is not None:
        try:
            result.write_text(json.dumps(document), encoding="utf-8")
        except OSError as error:
            raise ProjectError(f"{result} cannot be written: {error.strerror}") from None
    show(json.dumps(document) if as_json else "\n".join(summary_lines(summary, address)))
    if not summary.metrics["completed"]:
        raise ProjectError(f"no request succeeded: {summary.errors[0][0]}")


def extra_body(text: str) -> dict[str, Any]:
    """Return the keys that --body adds to every request.

    Raises:
        ProjectError: the text is not a JSON object.
    """
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise ProjectError(f"--body is not JSON: {error}; write for example '{{\"top_p\": 0.9}}'") from None
    if not isinstance(found, dict):
        raise ProjectError("--body must be a JSON object, for example '{\"top_p\": 0.9}'")
    return found
