"""`init --serve`: commands of real servers become studies whose options, defaults and rules fit them."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from fakes.projects import invoke
from fakes.servers import EXAMPLE, serving_document

from tunesmith.study.config.command import command_line
from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.study.errors import ProjectError, SpecError
from tunesmith.tools.interop.study_export import SERVED, build_export
from tunesmith.tools.llm_tools.approvals.study_table import run_lines
from tunesmith.tools.script_reader.servers.knowledge import FILES, OWN, Machine, load
from tunesmith.tools.script_reader.servers.reading import read_server
from tunesmith.tools.script_reader.servers.writer import Installed, bench_command, serving_study

ONE_GPU, FOUR_GPUS = Machine(cores=16, gpus=1), Machine(cores=16, gpus=4)


def study_of(command: str, machine: Machine = ONE_GPU, **installed: bool):
    reading = read_server(command, machine, tokens_per_request=640)
    text = serving_study(reading, name="a study", installed=Installed(gpus=machine.gpus, **installed))
    return parse_spec(tomllib.loads(text))


def test_a_vllm_command_keeps_what_is_fixed_and_tunes_the_rest() -> None:
    spec = study_of(
        "vllm serve Qwen/Qwen3-8B --max_model_len 8192 --max-num-seqs=64 --port 9 --no-enable-prefix-caching"
    )
    assert spec.serve is not None
    assert spec.serve.command.startswith("vllm serve Qwen/Qwen3-8B --max_model_len 8192 --port {port} --max-num-seqs {")
    default = spec.space.default
    assert default is not None
    assert (default["max_num_seqs"], default["enable_prefix_caching"]) == (64, False)
    assert "tensor_parallel_size" not in default
    assert spec.forbid == [
        "max_num_batched_tokens < max_num_seqs",
        "not enable_chunked_prefill and max_num_batched_tokens < max_model_len",
    ]
    assert command_line(spec, default).endswith(
        "--no-enable-prefix-caching --enable-chunked-prefill --stream-interval 1"
    )
    assert " --port 8000 " in command_line(spec, default)
    assert {(c.metric, c.max) for c in spec.constraints} == {("ttft_p95", 1.0), ("tpot_p95", 0.1)}


def test_heads_divide_among_gpus_and_the_context_is_the_models_own(tmp_path: Path) -> None:
    config = {"num_attention_heads": 14, "max_position_embeddings": 4096}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    spec = study_of(f"vllm serve {tmp_path}", FOUR_GPUS)
    assert "heads % tensor_parallel_size != 0" in spec.forbid
    assert dict(spec.scale) == {"max_model_len": 4096, "heads": 14}
    assert spec.run.gpus == 4
    allowed = {**(spec.space.default or {}), "tensor_parallel_size": 2}
    assert not spec.space.broken_rule(allowed)
    assert "heads=14" in spec.space.broken_rule({**allowed, "tensor_parallel_size": 4})


def test_without_a_known_context_chunked_prefill_is_left_alone() -> None:
    spec = study_of("vllm serve some/model --no-enable-chunked-prefill")
    assert "enable_chunked_prefill" not in spec.space.names
    assert "--no-enable-chunked-prefill" in spec.run.command


def test_llama_slots_share_the_context() -> None:
    spec = study_of("llama-server -m m.gguf -c 4096 -np 2 -t 3", Machine(cores=2, gpus=0))
    assert "ctx_size / parallel < tokens_per_request" in spec.forbid
    default = spec.space.default
    assert default is not None
    assert (default["parallel"], default["threads"]) == (2, 3)
    assert spec.run.command.startswith("llama-server -m m.gguf -c 4096 --port {port}")


def test_requests_to_llama_cpp_python_do_not_end_each_other() -> None:
    reading = read_server("python -m llama_cpp.server --model m.gguf", ONE_GPU)
    assert "--interrupt_requests false" in reading.template
    assert "each new request ends the one before" in reading.notes[0]
    given = read_server("python -m llama_cpp.server --model m.gguf --interrupt_requests=true", ONE_GPU)
    assert "--interrupt_requests false" not in given.template


@pytest.mark.parametrize(
    ("command", "server"),
    [
        ("python -m vllm.entrypoints.openai.api_server --model m", "vLLM"),
        ("/opt/venv/bin/vllm serve m", "vLLM"),
        ("python3 -m sglang.launch_server --model-path m --tp 2", "SGLang"),
        ("./build/bin/llama-server -hf ggml-org/gemma-3-1b-it-GGUF", "llama.cpp"),
        ("python -m llama_cpp.server --model m.gguf", "llama-cpp-python"),
    ],
)
def test_servers_are_recognized_and_their_studies_load(command: str, server: str) -> None:
    reading = read_server(command, ONE_GPU)
    assert reading.server == server
    spec = study_of(command)
    assert len(spec.space.names) >= 3
    assert spec.space.default is not None
    assert ("--tp 2" in spec.run.command) == ("--tp 2" in command)


@pytest.mark.parametrize("file", [*FILES, OWN])
def test_every_option_and_rule_has_its_source(file: str) -> None:
    known = load(file)
    assert known.options
    assert all(entry.why and entry.source for entry in (*known.options, *known.rules))
    names = {option.name for option in known.options}
    constants = {*known.constants, "heads", "tokens_per_request"}
    assert all(rule.names <= names | constants for rule in known.rules)


def test_a_client_that_is_installed_measures() -> None:
    reading = read_server("vllm serve m", ONE_GPU)
    assert bench_command(reading, Installed(vllm=True, gpus=1)).startswith("vllm bench serve")
    named = read_server("vllm serve m --served-model-name mine", ONE_GPU)
    assert " --model m --served-model-name mine " in bench_command(named, Installed(vllm=True))
    other = read_server("llama-server -m m.gguf", ONE_GPU)
    assert bench_command(other, Installed(vllm=True, guidellm=True)).startswith("guidellm benchmark")
    assert bench_command(reading, Installed()).startswith("tunesmith load-test")


@pytest.mark.parametrize(
    ("command", "message"),
    [("", "name the command"), ("vllm serve 'x", "quote"), ("trtllm-serve m", "not a server that is known")],
)
def test_a_command_that_cannot_be_read_is_refused(command: str, message: str) -> None:
    with pytest.raises(ProjectError, match=message):
        read_server(command, ONE_GPU)


def test_init_writes_a_study_that_the_dry_run_measures(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path / "server.py")
    done = invoke("init", "--serve", "python server.py --max-num-seqs 8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 parameters of a server of your own" in done.stdout
    assert "✓ metric     throughput: read once" in done.stdout
    assert "✗" not in done.stdout
    assert load_spec(tmp_path).space.default == {
        "max_num_seqs": 8, "max_num_batched_tokens": 256, "stream_interval": 1,
    }  # fmt: skip
    again = invoke("init", "--serve", "python server.py", cwd=tmp_path)
    assert (again.returncode, "exists; pass --force" in again.stderr) == (2, True)
    both = invoke("init", "server.py", "--serve", "python server.py", cwd=tmp_path)
    assert (both.returncode, "server.py does not go with it" in both.stderr) == (2, True)


@pytest.mark.parametrize(
    ("serve", "tables", "message"),
    [
        ({"command": "x"}, {}, "serve.command has no {port}"),
        ({"bench": "x"}, {}, "serve.bench has no {port}"),
        ({"command": "x {port} {result}"}, {}, "serve.command has {result}"),
        ({"command": "x {port} {lr}"}, {}, "space.lr is used in [serve].command, but not defined"),
        ({"ready": "ftp://x"}, {}, "serve.ready"),
        ({"ready": {"log": "("}}, {}, "serve.ready"),
        ({"max_errors": 2}, {}, "serve.max_errors"),
        ({"port": 80}, {}, "several may run at once"),
        ({"port": 80}, {"run": {"parallel": 2}}, "but 2 run at once"),
        ({}, {"run": {"command": "y"}}, "run.command is not used"),
        ({}, {"evaluate": {"command": "y"}}, "evaluate does not go with [serve]"),
        ({}, {"space": {"port": {"type": "int", "low": 1, "high": 2}}}, "space.port Tunesmith itself sets {port}"),
        ({}, {"run": {"files": {"a.yaml": {"x": "{port}"}}}}, "known only once a trial has started"),
    ],
)
def test_mistakes_in_serve_are_named(serve: dict[str, object], tables: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(serving_document(serve, **tables))
    assert message in " ".join(str(caught.value).split())


def test_approvals_name_both_commands_and_exports_none() -> None:
    spec = parse_spec(serving_document({}))
    lines = run_lines(spec)
    assert any("measured by" in line and "load-test" in line for line in lines)
    exported = build_export(spec, [], [])
    assert (exported.command, exported.remarks) == ("", (SERVED,))
