"""`tunesmith init`: from real-looking scripts to a study.toml that loads and runs."""

from __future__ import annotations

import textwrap
import tomllib
from pathlib import Path

import pytest
from fakes.projects import command, events
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.study.config.spec import StudySpec
from tunesmith.study.errors import InputError, ProjectError
from tunesmith.study.space.parameters import Bool, Choice, Float, Int
from tunesmith.tools.script_reader.meanings.ranges import guess_range
from tunesmith.tools.script_reader.reader import read_script
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.writer import study_toml

ROOT = Path(__file__).parents[3]

ARGPARSE = """
import argparse
HIDDEN = 2 ** 7
OPTIMIZERS = {"adam": object, "sgd": object}
parser = argparse.ArgumentParser()
parser.add_argument("--data-dir", default="./data")
group = parser.add_argument_group("model")
group.add_argument("--hidden", "-w", type=int, default=HIDDEN, help="width")
group.add_argument("--drop-out", type=float, default=0.1, dest="dropout")
parser.add_argument("--lr", type=float, default=3e-4)
parser.add_argument("--optimizer", choices=sorted(OPTIMIZERS), default="adam")
parser.add_argument("--nesterov", action="store_true")
parser.add_argument("--no-bias", action="store_false", dest="bias")
parser.add_argument("--amp", action=argparse.BooleanOptionalAction, default=False)
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--num-workers", type=int, default=4)
parser.add_argument("--layers", nargs="+", type=int, default=[1, 2])
args, _ = parser.parse_known_args()
for epoch in range(args.epochs):
    print(f"epoch {epoch} train_loss={1.0:.4f} val_loss={0.5:.4f} val_acc: {0.9}")
"""
CLICK = """
import click
@click.command()
@click.option("--learning-rate", "lr", default=1e-3, help="rate")
@click.option("--batch-size", default=64, type=int)
@click.option("--depth", type=click.IntRange(1, 12), default=4)
@click.option("--act", type=click.Choice(["relu", "gelu"]), default="relu")
@click.option("--shuffle/--no-shuffle", default=True)
@click.option("--augment", is_flag=True)
@click.option("--output", default="out.pt")
def main(lr, batch_size, depth, act, shuffle, augment, output):
    click.echo("test accuracy=%.3f" % 0.9)
"""
TYPER = """
from typing import Annotated
import typer
app = typer.Typer()
@app.command()
def train(
    source: str,
    lr: Annotated[float, typer.Option(help="rate", min=1e-6, max=0.5)] = 0.01,
    momentum: float = typer.Option(0.9, "--mom"),
    bias: bool = True,
    steps: int = 500,
):
    print({"val_rmse": 0.3})
"""
DATACLASS = """
from dataclasses import dataclass, field
from transformers import HfArgumentParser, TrainingArguments
@dataclass
class Arguments:
    model_name: str = field(default="bert", metadata={"help": "which"})
    learning_rate: float = field(default=5e-5, metadata={"help": "peak rate"})
    warmup_ratio: float = 0.1
    lora_r: int = 16
    lora_alpha: int = 32
    num_train_epochs: int = 3
args, = HfArgumentParser(Arguments).parse_args_into_dataclasses()
print("eval_loss", 0.4)
"""
TYRO = """
import tyro
from dataclasses import dataclass
from typing import Literal
@dataclass
class Config:
    weight_decay: float = 0.1
    use_ema: bool = False
    schedule: Literal["cosine", "linear"] = "cosine"
tyro.cli(Config)
print("reward: {:.2f}".format(1.0))
"""
CONFIG = """
from dataclasses import dataclass
@dataclass
class Config:
    lr: float = 1e-3
    hidden: int = 64
config = Config()
print(f"loss={config.lr}")
"""
CONSTANTS = """
LR = 0.02
HIDDEN = 32
NAME = "run"
EPOCHS = 3
VERBOSE = True
import json, sys
for epoch in range(EPOCHS):
    print(json.dumps({"epoch": epoch, "val_loss": (LR - 0.05) ** 2 + HIDDEN / 1000 + 1 / (epoch + 1)}))
"""
NANOGPT = """
eval_interval = 2000
learning_rate = 6e-4
max_iters = 600
weight_decay = 1e-1
beta2 = 0.95
grad_clip = 1.0
n_layer = 12
dropout = 0.0
device = 'cuda'
config_keys = [k for k, v in globals().items()]
exec(open('configurator.py').read())
print(f"step {1}: train loss {2:.4f}, val loss {3:.4f}")
"""
SKLEARN = """
import argparse
def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--C", type=float, default=1.0)
    p.add_argument("--gamma", type=float, default=0.1)
    p.add_argument("--max-depth", type=int, default=6)
    p.add_argument("--n-estimators", type=int, default=100)
    p.add_argument("--min-samples-leaf", type=int, default=1)
    p.add_argument("--subsample", type=float, default=1.0)
    p.add_argument("--max-iter", type=int, default=200)
    p.add_argument("--offset", type=float, default=-3)
    return p.parse_args()
print("cv_score:", 0.8)
"""
SCRIPTS = {
    "argparse": ARGPARSE, "click": CLICK, "typer": TYPER, "hf": DATACLASS, "tyro": TYRO, "config": CONFIG,
    "constants": CONSTANTS, "nanogpt": NANOGPT, "sklearn": SKLEARN,
    "typer.run": "import typer\ndef main(alpha: float = 0.5, k: int = 5): print(f'auc={alpha}')\ntyper.run(main)\n",
    "click with numbers": "import click\n"
    "@click.command()\n"
    "@click.option('--l2', type=click.FloatRange(0, 1), default=0.0)\ndef f(l2): print('mse=%f' % l2)\n",
    "defaults by arithmetic": "import argparse\nB=32\np=argparse.ArgumentParser()\n"
    "p.add_argument('--batch', type=int, default=B*2)\np.add_argument('--tau', type=float, default=1/4)\n",
    "no metric": "import argparse\np=argparse.ArgumentParser()\np.add_argument('--lr', default=0.1, type=float)\n",
}  # fmt: skip
EXAMPLES = ("digits/train.py", "boosting/train.py", "sqlite_knobs/workload.py")


def spec_of(tmp_path: Path, text: str) -> StudySpec:
    script = tmp_path / "train.py"
    script.write_text(text, encoding="utf-8")
    return parse_spec(tomllib.loads(study_toml(read_script(script), name="some study")))


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_init_writes_loads(name: str, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, SCRIPTS[name])
    assert spec.space.default is not None
    assert spec.study.name == "some-study"


@pytest.mark.parametrize("example", EXAMPLES)
def test_our_own_examples_can_be_read(example: str) -> None:
    script = ROOT / "examples" / example
    spec = parse_spec(tomllib.loads(study_toml(read_script(script), name="x")))
    assert len(spec.space) >= 6


def test_argparse_is_read_with_groups_names_and_switches(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, ARGPARSE)
    assert list(spec.space.names) == [
        "hidden",
        "dropout",
        "lr",
        "optimizer",
        "nesterov",
        "bias",
        "layers_0",
        "layers_1",
    ]
    assert spec.space.default == {
        "hidden": 128, "dropout": 0.1, "lr": 3e-4, "optimizer": "adam", "nesterov": False, "bias": True, "layers_0": 1,
        "layers_1": 2,
    }  # fmt: skip
    assert spec.run.command == (
        "python train.py --hidden {hidden} --drop-out {dropout} --lr {lr} --optimizer {optimizer} "
        "{nesterov?--nesterov} {bias?:--no-bias} --layers {layers_0} {layers_1} --epochs {epochs} --seed {seed}"
    )
    assert (spec.study.metric, spec.study.direction[0].value) == (["val_loss"], "minimize")
    assert spec.fidelity is not None
    assert (spec.fidelity.name, spec.fidelity.max) == ("epochs", 20)
    lr = spec.space.parameters["lr"]
    assert isinstance(lr, Float)
    assert lr.log


def test_click_options_keep_their_names_bounds_and_switches(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, CLICK)
    assert "--learning-rate {lr}" in spec.run.command
    assert "{augment?--augment}" in spec.run.command
    depth = spec.space.parameters["depth"]
    assert isinstance(depth, Int)
    assert (depth.low, depth.high) == (2, 12) or (depth.low, depth.high) == (1, 12)
    assert (spec.study.metric, spec.study.direction[0].value) == (["test accuracy"], "maximize")


def test_typer_functions_are_read(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, TYPER)
    assert spec.run.command == "python train.py --lr {lr} --mom {momentum} {bias?--bias:--no-bias} --steps {steps}"
    lr = spec.space.parameters["lr"]
    assert isinstance(lr, Float)
    assert lr.high <= 0.5
    assert lr.help == "rate"
    assert spec.study.metric == ["val_rmse"]


def test_dataclasses_become_options_where_a_package_makes_them(tmp_path: Path) -> None:
    hf = spec_of(tmp_path, DATACLASS)
    assert "--learning_rate {learning_rate}" in hf.run.command
    assert "--lora_r {lora_r}" in hf.run.command
    assert "model_name" not in hf.space.parameters
    assert isinstance(hf.space.parameters["lora_r"], Choice)
    tyro = spec_of(tmp_path, TYRO)
    assert tyro.run.command == (
        "python train.py --weight-decay {weight_decay} {use_ema?--use-ema:--no-use-ema} --schedule {schedule}"
    )
    assert (tyro.study.metric, tyro.study.direction[0].value) == (["reward"], "maximize")


def test_a_configurator_takes_every_global(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, NANOGPT)
    assert "--learning_rate={learning_rate}" in spec.run.command
    assert "--max_iters={max_iters}" in spec.run.command
    assert "eval_interval" not in spec.space.parameters


def test_a_script_of_constants_runs_and_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(CONSTANTS, encoding="utf-8")
    shown = command("init", "train.py", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "your own files stay as they are" in shown.stdout
    assert "✓ metric     val_loss: read" in shown.stdout
    done = command("run", "--trials", "4", "--sampler", "random", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    status = command("status", "--json", cwd=tmp_path)
    assert '"failures": {}' in status.stdout
    losses = [event["values"]["val_loss"] for event in events(done.stdout) if event["event"] == "finished"]
    # Replicates repeat a configuration; four different ones must give four different losses.
    assert len(set(losses)) == 4
    assert (tmp_path / "train.py").read_text(encoding="utf-8") == CONSTANTS


def test_a_study_runs_after_init_without_edits(tmp_path: Path) -> None:
    script = """
    import argparse
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=0.1)
    p.add_argument("--nesterov", action="store_true")
    p.add_argument("--quick", action="store_true")
    a = p.parse_args()
    print(f"val_loss={(a.lr - 0.02) ** 2 + 0.1 * a.nesterov}")
    """
    (tmp_path / "train.py").write_text(textwrap.dedent(script), encoding="utf-8")
    shown = command("init", "train.py", cwd=tmp_path)
    assert "2 parameters from argparse" in shown.stdout
    assert "quick: a switch for debugging" in shown.stdout
    assert "✓ metric     val_loss: read once" in shown.stdout
    assert "Read the file, then start: tunesmith run" in shown.stdout
    done = command("run", "--trials", "3", "--sampler", "random", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Best: val_loss" in done.stdout or "Nothing beat the default" in done.stdout


def test_a_study_file_is_only_replaced_with_force(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SKLEARN, encoding="utf-8")
    (tmp_path / "study.toml").write_text("mine", encoding="utf-8")
    refused = command("init", "train.py", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert (tmp_path / "study.toml").read_text(encoding="utf-8") == "mine"
    assert command("init", "train.py", "--force", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        (b"def f(:\n", "line 1"),
        (b"\xff\xfe\x00bad", "UTF-8"),
        (b"print('hello')\n", "found nothing to tune"),
        (b"x = 1\0", "not valid Python"),
    ],
    ids=["missing", "syntax", "encoding", "nothing to tune", "null byte"],
)
def test_a_script_that_cannot_be_used_is_refused_with_the_reason(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    if content is not None:
        script.write_bytes(content)
    with pytest.raises(ProjectError, match=message):
        read_script(script)
    with pytest.raises(ProjectError, match="is a folder"):
        read_script(tmp_path)


@given(text=st.text(max_size=200))
def test_any_text_is_read_or_refused_as_wrong_input(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    script = tmp_path_factory.mktemp("s") / "train.py"
    script.write_text(text, encoding="utf-8", errors="replace")
    try:
        read_script(script)
    except InputError:
        return


@given(
    name=st.sampled_from(
        ["lr", "weight_decay", "dropout", "batch_size", "hidden", "layers", "momentum", "warmup", "C", "zeta"]
    ),
    default=st.one_of(st.floats(-1e12, 1e12), st.integers(-(10**12), 10**12)),
)
def test_the_default_always_lies_in_the_range(name: str, default: float) -> None:
    kind = "int" if isinstance(default, int) else "float"
    parameter = guess_range(Setting(name=name, kind=kind, word="", default=default)).parameter
    assert parameter.default == default
    assert not isinstance(parameter, Bool)
    assert parameter.invalid_reason(default) is None


HEAD = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--lr', type=float, default=0.1)\n"


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("p.add_argument('--clip', type=float, default=float('inf'))", "--lr {lr}"),
        ("p.add_argument('--huge', type=float, default=1e400)", "--lr {lr}"),
        ("p.add_argument('--big', type=int, default=10**40)", "--lr {lr}"),
        ("p.add_argument('--größe', type=int, default=4)", "--lr {lr}"),
        ("p.add_argument('-v', action='count', default=0)", "--lr {lr}"),
        ("p.add_argument('--amp', type=bool, default=False)", "--lr {lr}"),
        ("p.add_argument('--shift', type=float, default=-1e-5)", "--lr {lr} --shift={shift}"),
        ("p.add_argument('--k', type=int, default=3, help='a \\x7f b')", "--lr {lr} --k {k}"),
        ("p.add_argument('--rate', default=3)", "--lr {lr}"),
    ],
)
def test_odd_options_are_left_out_or_spelled_so_that_the_script_takes_them(
    line: str, command: str, tmp_path: Path
) -> None:
    assert spec_of(tmp_path, HEAD + line).run.command == f"python train.py {command}"


def test_init_asks_for_what_the_script_requires(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        HEAD + "p.add_argument('--data', required=True)\np.add_argument('--lrs', nargs=2)\n"
        "p.add_argument('--epochs', type=int, default=5)\n",
        encoding="utf-8",
    )
    shown = command("init", "train.py", cwd=tmp_path).stdout
    assert "the script also needs --data" in shown
    assert "dry run" not in shown
    assert "also needs --data" in (tmp_path / "study.toml").read_text(encoding="utf-8")
    words = ("--data", "a b", "--lr", "0.5", "--epochs", "1")
    given = command("init", "train.py", "--force", "--seconds", "0", "--", *words, cwd=tmp_path)
    assert "also needs" not in given.stdout
    spec = load_spec(tmp_path)
    assert spec.run.command == "python train.py --data 'a b' --epochs 1 --lr {lr}"
    assert spec.space.default == {"lr": 0.5}
