"""A tool that writes the report and returns its text; MCP clients read the same text as a resource."""

from __future__ import annotations

from tunesmith.history.read import History
from tunesmith.prompts.untrusted import fenced
from tunesmith.study.errors import ToolRefused
from tunesmith.study.files import write_atomic
from tunesmith.tools.llm_tools.context import ToolContext
from tunesmith.tools.llm_tools.tool import StudyTool
from tunesmith.tools.llm_tools.trials import NoArguments

MAX_REPORT_CHARS = 4000
"""Maximum length of the report in an answer."""
MAX_RESOURCE_CHARS = 100_000
"""Maximum length of the report as a resource, which a client reads on its user's demand."""


def report(context: ToolContext, args: NoArguments) -> str:  # noqa: ARG001
    """Return the report's text, after writing report.html and report.md to the study's folder where that is allowed."""
    if not context.may_write:
        return _fenced(markdown(context))
    from tunesmith.tools.report import report_input, to_markdown, write_html  # plotly: 1 s

    name = context.study.spec.study.name
    if context.history is None or context.folder is None or not context.history.is_file():
        raise ToolRefused("the study has not run yet, so there is nothing to report")
    with History.open(context.history) as history:
        found = report_input(history, history.study(name))
    text, text_for_models = to_markdown(found), to_markdown(found.for_models)
    page = context.folder / "report.html"
    try:
        context.folder.mkdir(parents=True, exist_ok=True)
        write_html(found, page)
        write_atomic(page.with_suffix(".md"), text)
    except OSError as error:
        raise ToolRefused(f"the report cannot be written to {context.folder}: {error.strerror}") from None
    return f"written: {page}\n{_fenced(text_for_models)}"


def _fenced(text: str, limit: int = MAX_REPORT_CHARS) -> str:
    """Return the beginning of a report as data: it quotes what scripts wrote, such as names and errors."""
    return fenced(text, "report", limit=limit, keep="start")


def report_resource(context: ToolContext) -> str:
    """Return the whole report as data, for clients that read it as a resource.

    Raises:
        ToolRefused: the study has not run.
    """
    return f"# {context.study.spec.study.name}\n\n{_fenced(markdown(context), MAX_RESOURCE_CHARS)}"


def markdown(context: ToolContext) -> str:
    """Return the report as Markdown; writes nothing.

    Raises:
        ToolRefused: the study has not run.
    """
    from tunesmith.tools.report import report_input, to_markdown

    name = context.study.spec.study.name
    if context.history is None or not context.history.is_file():
        raise ToolRefused("the study has not run yet, so there is nothing to report")
    with History.open(context.history) as history:
        return to_markdown(report_input(history, history.study(name)).for_models)


REPORT = StudyTool("report", NoArguments, report, leaves_files=True)
