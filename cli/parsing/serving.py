"""Commands about servers. Each parses its options and calls one other function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tunesmith.cli.exits import readable_errors
from tunesmith.cli.parsing.options import Json

PANEL = "Look"
commands = typer.Typer()


@commands.command(name="load-test", rich_help_panel=PANEL)
def load_test(  # noqa: PLR0913  # one argument per option
    url: Annotated[str, typer.Argument(help="The server's address, for example http://127.0.0.1:8000.")],
    *,
    requests: Annotated[int, typer.Option(min=1, help="Number of measured requests.")] = 64,
    concurrency: Annotated[int, typer.Option(min=1, help="Most requests at once.")] = 8,
    rate: Annotated[
        float | None,
        typer.Option(min=1e-6, help="Mean requests per second, at random times. Default: as the server permits."),
    ] = None,
    input_tokens: Annotated[int, typer.Option(min=1, help="Approximate length of made-up prompts.")] = 256,
    output_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of an answer.")] = 64,
    prompts: Annotated[
        Path | None, typer.Option(help="Prompts instead of made-up ones: a text file with one per line, or JSON lines.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of prompts, their order and arrival times.")] = 0,
    warmup: Annotated[int, typer.Option(min=0, help="Requests before, which are not measured.")] = 2,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds after which a request has failed.")] = 120.0,
    api: Annotated[Literal["chat", "completions"], typer.Option(help="Which of the two APIs is asked.")] = "chat",
    model: Annotated[str, typer.Option(help="The model's name. Default: the first that the server lists.")] = "",
    body: Annotated[str, typer.Option(help="Further keys of every request, as a JSON object.")] = "",
    stops_early: Annotated[
        bool, typer.Option("--stops-early", help="Answers may end before --output-tokens, as in real traffic.")
    ] = False,
    result: Annotated[Path | None, typer.Option(help="Write what was measured to this file, as JSON.")] = None,
    as_json: Json = False,
) -> None:
    """Measure a server with OpenAI's API: tokens per second, time to first token, time per token, errors."""
    with readable_errors():
        from tunesmith.cli.commands.serving.load_test import extra_body, measure_server
        from tunesmith.tools.load_test.workload import LoadSpec

        spec = LoadSpec(
            requests=requests, concurrency=concurrency, rate=rate, input_tokens=input_tokens,
            output_tokens=output_tokens, prompts=prompts, seed=seed, warmup=warmup, timeout_s=timeout,
            is_chat=api == "chat", model=model, body=extra_body(body), stops_early=stops_early,
        )  # fmt: skip
        measure_server(url, spec, result=result, as_json=as_json)
