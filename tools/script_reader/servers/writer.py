"""Writes a study.toml for a server that was read, with a reason for each range and each rule."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from tunesmith.study.config.space_tables import parameter_document
from tunesmith.tools.script_reader.servers.reading import ServerReading
from tunesmith.tools.toml_text import toml_line

TRIALS = 40
TTFT_S, TPOT_S = 1.0, 0.1
"""Bounds of a new study, in seconds: the first token within one, then ten tokens a second, faster than people read."""
OWN_CLIENT = "tunesmith load-test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The benchmark of a new study: number of requests, at once, and their approximate tokens."""

    requests: int = 128
    concurrency: int = 32
    input_tokens: int = 512
    output_tokens: int = 128

    @property
    def tokens(self) -> int:
        """Tokens of one request."""
        return self.input_tokens + self.output_tokens


ON_GPU, ON_CPU = Load(), Load(requests=32, concurrency=8, input_tokens=128, output_tokens=32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """Which benchmark clients this machine has, and how many GPUs."""

    vllm: bool = False
    guidellm: bool = False
    gpus: int = 0

    @property
    def load(self) -> Load:
        """A load that this machine may take within a minute."""
        return ON_GPU if self.gpus else ON_CPU


def serving_study(reading: ServerReading, *, name: str, installed: Installed) -> str:
    """Return the text of study.toml.

    Args:
        reading: of the server's command.
        name: of the study; characters that a name may not have become dashes.
        installed: decides which client measures.
    """
    parts = (_forbid(reading), _study(reading, name), _serve(reading, installed), _run(reading, installed),
             _space(reading), _scale(reading), _bounds(), _end())  # fmt: skip
    blocks = ["\n".join(part) for part in parts]
    return "\n\n".join(block for block in blocks if block) + "\n"


def bench_command(reading: ServerReading, installed: Installed) -> str:
    """Return the command that measures the server: a client that is installed, else our own."""
    load = installed.load
    if installed.vllm and reading.server == "vLLM" and reading.model:
        named = f"--served-model-name {reading.served_name} " if reading.served_name else ""
        return (
            f"vllm bench serve --backend vllm --base-url http://127.0.0.1:{{port}} "
            f"--model {shlex.quote(reading.model)} {named}"
            f"--dataset-name random --random-input-len {load.input_tokens} --random-output-len {load.output_tokens} "
            f"--num-prompts {load.requests} --max-concurrency {load.concurrency} --seed {{seed}} --percentile-metrics "
            "ttft,tpot,itl,e2el --metric-percentiles 50,95,99 --save-result --result-filename {result}"
        )
    if installed.guidellm and reading.server != "a server of your own":
        return (
            "guidellm benchmark --target http://127.0.0.1:{port} --rate-type concurrent "
            f"--rate {load.concurrency} --max-requests {load.requests} --random-seed {{seed}} "
            f"--data prompt_tokens={load.input_tokens},output_tokens={load.output_tokens} --output-path {{result}}"
        )
    return (
        f"{OWN_CLIENT} http://127.0.0.1:{{port}} --requests {load.requests} --concurrency {load.concurrency} "
        f"--input-tokens {load.input_tokens} --output-tokens {load.output_tokens} --seed {{seed}} --result {{result}}"
    )


def _forbid(reading: ServerReading) -> Iterator[str]:
    if not reading.rules:
        return
    yield f"# Combinations with which {reading.server} does not start, or that another one equals."
    yield "forbid = ["
    yield from (f"    {toml_line('x', rule.formula)[4:]},  # {rule.why} ({rule.source})" for rule in reading.rules)
    yield "]"


def _study(reading: ServerReading, name: str) -> Iterator[str]:
    yield "[study]"
    yield toml_line("name", re.sub(r"[^A-Za-z0-9._-]", "-", name).lstrip(".-_")[:80] or "study")
    model = f" with {reading.model}" if reading.model else ""
    yield toml_line("description", f"Options of {reading.server}{model}, for the load in [serve].bench")
    yield 'metric = "throughput"              # output tokens per second'
    yield 'direction = "maximize"'


def _serve(reading: ServerReading, installed: Installed) -> Iterator[str]:
    yield "[serve]                            # started for each trial, on its own port, and ended after it"
    yield toml_line("command", reading.template)
    yield f"{toml_line('ready', reading.ready):<34} # answers once the server is ready"
    yield 'start_timeout = "10m"'
    yield "# The load decides what is fast: give it the lengths, the rate and the prompts of your own traffic."
    yield toml_line("bench", bench_command(reading, installed))
    yield "max_errors = 0.05                  # a trial fails if more of its requests do"


def _run(reading: ServerReading, installed: Installed) -> Iterator[str]:
    yield "[run]"
    yield "parallel = 1                       # servers that run at once slow each other; more where each has its GPU"
    if reading.needs_gpu and installed.gpus:
        yield f"gpus = {_gpus(reading, installed)}"


def _gpus(reading: ServerReading, installed: Installed) -> int:
    shares = any(tuned.setting.name == "tensor_parallel_size" for tuned in reading.tuned)
    return installed.gpus if shares else 1


def _space(reading: ServerReading) -> Iterator[str]:
    yield "[space]"
    for tuned in reading.tuned:
        yield f"# {tuned.why[:1].upper()}{tuned.why[1:]}"
        yield toml_line(tuned.setting.name, parameter_document(tuned.parameter))


def _scale(reading: ServerReading) -> Iterator[str]:
    if reading.constants:
        yield "[scale]                            # fixed in this study; the rules use it"
        yield from (toml_line(name, value) for name, value in reading.constants.items())


def _bounds() -> Iterator[str]:
    yield "# What users accept, in seconds: configurations beyond it cannot be the best. Adjust both."
    yield "[[constraints]]"
    yield 'metric = "ttft_p95"                # time to the first token, of 95 in 100 requests'
    yield f"max = {TTFT_S}"
    yield ""
    yield "[[constraints]]"
    yield 'metric = "tpot_p95"                # time for each further token'
    yield f"max = {TPOT_S}"


def _end() -> Iterator[str]:
    yield "[budget]"
    yield f"trials = {TRIALS}"
    yield ""
    yield "[confirm]                          # at the end, measures the best and the default again with fresh load"
    yield "top = 1"
    yield "seeds = 3"
