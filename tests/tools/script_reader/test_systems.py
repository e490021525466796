"""Where settings come from: projects of our own in the shapes of public ones, and what init makes of them."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes.projects import command

from tunesmith.study.config.load import load_spec, parse_spec
from tunesmith.tools.script_reader.reader import read_script
from tunesmith.tools.script_reader.writer import study_toml

LOSS = "print(f'val_loss={1.0}')\n"


@dataclass(frozen=True)
class Project:
    """Files of a project, and what init should write: the command, and what it fills in files."""

    files: dict[str, str]
    command: str
    filled: dict[str, list[str]] = field(default_factory=dict)
    fidelity: str | None = None
    given: tuple[str, ...] = ()
    script: str = "train.py"


PROJECTS = {
    "hydra": Project(
        {
            "train.py": "import hydra\n@hydra.main(config_path='conf', config_name='main')\ndef run(cfg):\n    " + LOSS,
            "conf/main.yaml": "defaults:\n  - optimizer: adam\n  - model: mlp\n  - _self_\nepochs: 10\nseed: 1\n"
            "device: cpu\nlogger:\n  rate: 0.5\n",
            "conf/optimizer/adam.yaml": "_target_: torch.optim.Adam\nlr: 1e-3\nweight_decay: 0.0\n",
            "conf/optimizer/sgd.yaml": "_target_: torch.optim.SGD\nlr: 0.1\nmomentum: 0.9\n",
            "conf/model/mlp.yaml": "hidden_size: 64\n",
        },
        "python train.py optimizer={optimizer} optimizer.lr={lr} optimizer.weight_decay={weight_decay} "
        "model.hidden_size={hidden_size} epochs={epochs} seed={seed}",
        fidelity="epochs",
    ),
    "lightning cli": Project(
        {
            "train.py": "from lightning.pytorch.cli import LightningCLI\nfrom model import Net\n"
            "class Data:\n    def __init__(self, batch_size: int = 32, data_dir: str = 'x'): pass\n"
            "LightningCLI(Net, Data, trainer_defaults={'max_epochs': 20})\n",
            "model.py": "class Net:\n"
            "    def __init__(self, lr: float = 1e-3, depth: int = 2, bias: bool = True): pass\n",
        },
        "python train.py fit --model.lr={lr} --model.depth={depth} --model.bias={bias?true:false} "
        "--data.batch_size={batch_size} --trainer.max_epochs={max_epochs} --seed_everything={seed}",
        fidelity="max_epochs",
    ),
    "jsonargparse": Project(
        {"train.py": f"from jsonargparse import CLI\ndef main(lr: float = 0.1, units: int = 8): {LOSS}CLI(main)\n"},
        "python train.py --lr {lr} --units {units}",
    ),
    "fire": Project(
        {"train.py": f"import fire\ndef train(lr=0.1, dropout=0.1, epochs=4, data=''): {LOSS}fire.Fire(train)\n"},
        "python train.py --lr={lr} --dropout={dropout} --epochs={epochs}",
        fidelity="epochs",
    ),
    "absl": Project(
        {
            "train.py": "from absl import app, flags\nF = flags.FLAGS\nflags.DEFINE_float('lr', 0.1, 'rate')\n"
            "flags.DEFINE_bool('nesterov', False, 'x')\n"
            "flags.DEFINE_enum('optimizer', 'adam', ['adam', 'sgd'], 'which')\n"
            "flags.DEFINE_string('workdir', None, 'where')\nflags.mark_flags_as_required(['workdir'])\n" + LOSS
        },
        "python train.py --workdir={artifacts} --lr={lr} {nesterov?--nesterov:--nonesterov} --optimizer={optimizer}",
    ),
    "config flags": Project(
        {
            "train.py": "from absl import flags\nfrom ml_collections import config_flags\n"
            "config_flags.DEFINE_config_file('config', None, 'x')\nflags.mark_flags_as_required(['config'])\n" + LOSS,
            "configs/default.py": "import ml_collections\ndef get_config():\n    config = ml_collections.ConfigDict()\n"
            "    config.learning_rate = 0.1\n    config.num_epochs = 10\n    return config\n",
        },
        "python train.py --config=configs/default.py --config.learning_rate={learning_rate} "
        "--config.num_epochs={num_epochs}",
        fidelity="num_epochs",
    ),
    "nested tyro": Project(
        {
            "train.py": "import tyro\nfrom dataclasses import dataclass, field\n@dataclass\nclass Optim:\n"
            "    learning_rate: float = 1e-3\n    '''the rate'''\n    use_ema: bool = False\n"
            "@dataclass\nclass Config:\n    optim: Optim = field(default_factory=Optim)\n    hidden: int = 8\n"
            "tyro.cli(Config)\n" + LOSS
        },
        "python train.py --optim.learning-rate {learning_rate} {use_ema?--optim.use-ema:--optim.no-use-ema} "
        "--hidden {hidden}",
    ),
    "options in another module": Project(
        {
            "train.py": "from options.train_options import TrainOptions\nopt = TrainOptions().parse()\n" + LOSS,
            "options/base_options.py": "import argparse\nclass Base:\n    def add(self, parser):\n"
            "        parser.add_argument('--ngf', type=int, default=64)\n",
            "options/train_options.py": "from .base_options import Base\nclass TrainOptions(Base):\n"
            "    def add(self, parser):\n        parser.add_argument('--lr', type=float, default=0.1)\n",
        },
        "python train.py --lr {lr} --ngf {ngf}",
    ),
    "options from a dict": Project(
        {
            "train.py": "import argparse\ndef defaults():\n    return dict(lr=1e-4, dropout=0.1, use_fp16=False)\n"
            "p = argparse.ArgumentParser()\nfor k, v in defaults().items():\n    p.add_argument(f'--{k}', default=v)\n"
            + LOSS
        },
        "python train.py --lr {lr} --dropout {dropout}",
    ),
    "subcommands": Project(
        {
            "train.py": "import argparse\np = argparse.ArgumentParser()\ns = p.add_subparsers()\n"
            "t = s.add_parser('train')\nt.add_argument('--lr', type=float, default=0.1)\n"
            "t.add_argument('--width', type=int, default=8)\ne = s.add_parser('eval')\n"
            "e.add_argument('--temperature', type=float, default=1.0)\n" + LOSS
        },
        "python train.py train --lr {lr} --width {width}",
    ),
    "words by position": Project(
        {
            "train.py": "import sys\nalpha = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5\n"
            "lr = float(sys.argv[2]) if len(sys.argv) > 2 else 0.1\n" + LOSS
        },
        "python train.py {alpha} {lr}",
    ),
    "configurator": Project(
        {
            "train.py": "lr = 6e-4 # max learning rate\nmax_iters = 600\nlr_decay_iters = 600\ndecay_lr = True\n"
            "eval_only = False\nexec(open('configurator.py').read())\niter_num = 0\nbest_val_loss = 1e9\n" + LOSS,
            "config/small.py": "lr = 1\nmax_iters = 100\nlr_decay_iters = 100\n",
        },
        "python train.py config/small.py --device=cpu --lr={lr} --decay_lr={decay_lr?True:False} "
        "--max_iters={max_iters} --lr_decay_iters={max_iters}",
        fidelity="max_iters",
        given=("config/small.py", "--device=cpu"),
    ),
    "yaml named by an option": Project(
        {
            "train.py": "import argparse\np = argparse.ArgumentParser()\n"
            "p.add_argument('-c', '--config', required=True)\n"
            "import yaml\n" + LOSS,
            "configs/base.yaml": "optim:\n  lr: 0.1\n  betas: [0.9, 0.99]\ntrainer:\n  epochs: 9\n  save_dir: x\n",
        },
        "python train.py --config configs/base.yaml",
        {"configs/base.yaml": ["optim.lr", "optim.betas.0", "optim.betas.1", "trainer.epochs"]},
        fidelity="epochs",
    ),
    "json named in the code": Project(
        {
            "train.py": "import json\ncfg = json.load(open('settings.json'))\n" + LOSS,
            "settings.json": '{"lr": 0.1, "batch_size": 8, "seed": 3, "num_classes": 10}',
        },
        "python train.py",
        {"settings.json": ["lr", "batch_size", "seed"]},
    ),
    "dotenv": Project(
        {
            "train.py": "from dotenv import load_dotenv\nload_dotenv()\n" + LOSS,
            ".env": "LR=0.1\nBATCH_SIZE=8\nAPI_KEY=x\n",
        },
        "python train.py",
        {".env": ["LR", "BATCH_SIZE"]},
    ),
    "constants": Project(
        {
            "train.py": "import torch\ntorch.manual_seed(1337)\nbatch_size = 16\n"
            "learning_rate = 1e-3\nmax_iters = 500\n"
            "eval_interval = 50\nvocab_size = len('abc')\nrunning_loss = 0.0\nrunning_loss += 1\n" + LOSS
        },
        "python train.py",
        {"train.py": ["batch_size", "learning_rate", "max_iters", "manual_seed.seed"]},
        fidelity="max_iters",
    ),
    "a dict of parameters": Project(
        {
            "train.py": "import xgboost as xgb\n"
            "params = {'eta': 0.3, 'max_depth': 6, 'objective': 'reg', 'nthread': 4}\n"
            "m = xgb.train(params, d, num_boost_round=50)\n" + LOSS
        },
        "python train.py",
        {"train.py": ["params.eta", "params.max_depth"]},
    ),
    "a function's arguments": Project(
        {
            "train.py": "import torch\n"
            "def ppo(env, lr=3e-4, gamma=0.99, clip_ratio=0.2, seed=0): pass\nppo('x', seed=1)\n" + LOSS
        },
        "python train.py",
        {"train.py": ["ppo.lr", "ppo.gamma", "ppo.clip_ratio", "ppo.seed#2"]},
    ),
    "calls and options": Project(
        {
            "train.py": "import argparse, torch\np = argparse.ArgumentParser()\n"
            "p.add_argument('--lr', type=float, default=0.1)\nargs = p.parse_args()\n"
            "opt = torch.optim.SGD(w, lr=args.lr, momentum=0.9, nesterov=True)\n"
            "loader = DataLoader(d, batch_size=128, num_workers=2)\ntest = DataLoader(e, batch_size=100)\n"
            "for epoch in range(0, 0 + 20): pass\n" + LOSS
        },
        "python train.py --lr {lr}",
        {"train.py": ["SGD.momentum", "SGD.nesterov", "DataLoader.batch_size", "epoch.range"]},
        fidelity="epochs",
    ),
    "a configuration class in another module": Project(
        {
            "train.py": "from trainer import Trainer\nC = Trainer.get_default_config()\nC.learning_rate = 5e-4\n"
            + LOSS,
            "trainer.py": "class CN: pass\nclass Trainer:\n    @staticmethod\n"
            "    def get_default_config():\n        C = CN()\n"
            "        C.learning_rate = 3e-4\n        C.batch_size = 64\n        C.num_workers = 4\n        return C\n",
        },
        "python train.py",
        {"train.py": ["C.learning_rate"], "trainer.py": ["C.batch_size"]},
    ),
    "keras": Project(
        {
            "train.py": "import keras\nm = keras.Sequential([Dense(64), Dropout(0.5), Dense(10)])\n"
            "m.compile(optimizer=keras.optimizers.Adam(learning_rate=1e-3))\n"
            "m.fit(x, y, batch_size=128, epochs=5, validation_split=0.1)\n"
        },
        "python train.py",
        {"train.py": ["Dense.units", "Dropout.rate", "Adam.learning_rate", "fit.batch_size", "fit.epochs"]},
        fidelity="epochs",
    ),
    "environment variables": Project(
        {
            "train.py": "import os\nlr = float(os.environ.get('LR', '1e-3'))\nn = int(os.getenv('HIDDEN_SIZE', 32))\n"
            + LOSS
        },
        "python train.py",
    ),
}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_becomes_a_study(name: str, tmp_path: Path) -> None:
    project = PROJECTS[name]
    write(tmp_path, project.files)
    reading = read_script(tmp_path / project.script, project.given)
    spec = parse_spec(tomllib.loads(study_toml(reading, name="s")))
    assert spec.run.command == project.command
    assert {path: list(table) for path, table in spec.run.files.items()} == project.filled
    assert (spec.fidelity.name if spec.fidelity else None) == project.fidelity


def test_options_of_a_group_apply_only_where_it_has_them(tmp_path: Path) -> None:
    write(tmp_path, PROJECTS["hydra"].files)
    found = {t.setting.name: t.parameter.when for t in read_script(tmp_path / "train.py").tuned}
    assert found["weight_decay"] == "optimizer == 'adam'"
    assert found["lr"] is None


def test_environment_variables_are_filled(tmp_path: Path) -> None:
    write(tmp_path, PROJECTS["environment variables"].files)
    spec = parse_spec(tomllib.loads(study_toml(read_script(tmp_path / "train.py"), name="s")))
    assert spec.run.env == {"LR": "{lr}", "HIDDEN_SIZE": "{hidden_size}"}


def test_a_library_s_arguments_are_known(tmp_path: Path) -> None:
    text = (
        "from transformers import HfArgumentParser, TrainingArguments, Trainer\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Data:\n    path: str = 'x'\nHfArgumentParser((Data, TrainingArguments))\n"
        "Trainer(model=m, args=a, eval_dataset=d)\n"
    )
    write(tmp_path, {"train.py": text})
    reading = read_script(tmp_path / "train.py")
    names = {t.setting.name for t in reading.tuned}
    assert {"learning_rate", "weight_decay", "per_device_train_batch_size", "warmup_ratio"} <= names
    assert reading.fidelity is not None
    assert reading.fidelity.name == "num_train_epochs"
    assert reading.metrics[0].name == "eval_loss"
    assert "--output_dir {artifacts}" in " ".join(reading.command)


def test_a_notebook_runs_without_jupyter(tmp_path: Path) -> None:
    sources = ["%matplotlib inline\nlr = 0.5\nepochs = 3", "!pip install x", "print(f'val_loss={(lr - 0.1) ** 2}')"]
    cells = [{"cell_type": "code", "source": s, "metadata": {}, "outputs": []} for s in sources]
    write(tmp_path, {"train.ipynb": json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}})})
    shown = command("init", "train.ipynb", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "✓ metric     val_loss: read once, last 0.1600" in shown.stdout
    assert load_spec(tmp_path).run.files == {"train.ipynb": {"lr": "{lr}", "epochs": "{epochs}"}}
    done = command("run", "--trials", "2", "--sampler", "random", cwd=tmp_path)
    assert done.returncode == 0, done.stdout


def test_data_outside_the_project_and_downloads_are_shared(tmp_path: Path) -> None:
    text = (
        "import argparse, torch\nfrom torchvision import datasets\np = argparse.ArgumentParser()\n"
        "p.add_argument('--lr', type=float, default=0.1)\np.add_argument('--cache-dir', default='./cache')\n"
        "datasets.MNIST('./data', download=True)\nopen('../corpus/text.txt')\nopen('../../other/x.csv')\n"
    )
    write(tmp_path, {"a/b/train.py": text})
    assert set(read_script(tmp_path / "a/b/train.py").shared) == {"../corpus", "../../other", "data", "cache"}
