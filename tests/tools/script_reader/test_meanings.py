"""What settings mean: which are tuned and how, which are left alone and why. Scripts of our own in public shapes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunesmith.study.space.parameters import Choice, Float, Int
from tunesmith.tools.script_reader.meanings.names import reason_to_leave
from tunesmith.tools.script_reader.meanings.roles import sort_out
from tunesmith.tools.script_reader.reader import read_script
from tunesmith.tools.script_reader.reading import ScriptReading, Setting

LEFT_ALONE = [
    "eval",
    "evaluate",
    "eval_only",
    "sample_only",
    "dry_run",
    "no_plots",
    "noplots",
    "debug",
    "test",
    "do_eval",
    "only_test",
    "no_accel",
    "no_cuda",
    "no_mps",
    "cuda",
    "device",
    "gpu",
    "gpus",
    "use_gpu",
    "world_size",
    "rank",
    "local_rank",
    "node_rank",
    "dist_backend",
    "num_workers",
    "workers",
    "n_jobs",
    "nthread",
    "multiprocessing_distributed",
    "log_interval",
    "log_every",
    "print_freq",
    "eval_interval",
    "eval_iters",
    "save_model",
    "save_every",
    "save_steps",
    "checkpoint_path",
    "resume",
    "start_epoch",
    "fake_data",
    "dummy",
    "test_batch_size",
    "val_batch_size",
    "per_device_eval_batch_size",
    "eval_batch_size",
    "seed",
    "random_seed",
    "n_splits",
    "num_folds",
    "fold",
    "val_split",
    "test_size",
    "train_ratio",
    "num_classes",
    "vocab_size",
    "n_labels",
    "iter_num",
    "best_val_loss",
    "running_mfu",
    "data_dir",
    "output_dir",
    "model_name",
    "arch",
    "wandb_project",
    "run_name",
    "exp_name",
    "fp16",
    "bf16",
    "amp",
    "compile",
    "dtype",
    "pin_memory",
    "block_size",
    "max_seq_length",
    "image_size",
    "max_train_samples",
    "env_id",
    "capture_video",
    "verbose",
    "patience",
    "port",
    "url",
    "token",
]


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_what_is_no_hyperparameter_is_left_alone_with_the_reason(name: str) -> None:
    spellings = (name, name.replace("_", "-"), name.upper())
    for kind, default in (("int", 8), ("float", 0.3), ("bool", False)):
        for spelled in spellings:
            assert reason_to_leave(Setting(name=spelled, kind=kind, default=default)), spelled


TUNED = [
    "lr",
    "learning_rate",
    "base_lr",
    "lr_actor",
    "critic_lr",
    "min_lr",
    "weight_decay",
    "momentum",
    "beta1",
    "adam_beta2",
    "dropout",
    "attn_pdrop",
    "label_smoothing",
    "batch_size",
    "train_batch_size",
    "per_device_train_batch_size",
    "warmup_steps",
    "warmup_ratio",
    "grad_clip",
    "max_grad_norm",
    "hidden_size",
    "n_layer",
    "num_heads",
    "n_embd",
    "emsize",
    "nhid",
    "nlayers",
    "lora_r",
    "lora_alpha",
    "gae_lambda",
    "ent_coef",
    "clip_coef",
    "num_minibatches",
    "update_epochs",
    "tau",
    "subsample",
    "colsample_bytree",
    "num_leaves",
    "max_depth",
    "min_child_weight",
    "reg_lambda",
    "C",
    "mixup",
    "drop_path_rate",
    "smoothing",
    "lr_decay",
]


@pytest.mark.parametrize("name", TUNED)
def test_what_an_expert_tunes_is_not_left_alone(name: str) -> None:
    assert not reason_to_leave(Setting(name=name, kind="float", default=0.5))


def tuned(name: str, default: float, *, help: str = "", domains: frozenset[str] = frozenset(), **more: object):  # type: ignore[no-untyped-def]  # noqa: A002, E501
    kind = "int" if isinstance(default, int) else "float"
    setting = Setting(name=name, kind=kind, default=default, help=help, **more)  # type: ignore[arg-type]
    return next((t.parameter for t in sort_out([setting], domains).tuned), None)


def test_gamma_means_what_help_and_use_say() -> None:
    decay = tuned("gamma", 0.7, help="Learning rate step gamma (default: 0.7)")
    assert (decay.low, decay.high) == (0.01, 1.0)
    assert tuned("gamma", 0.1, uses=("StepLR.gamma",)).high == 1.0
    discount = tuned("gamma", 0.99, domains=frozenset({"rl"}))
    assert discount.choices == (0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
    kernel = tuned("gamma", 0.1, domains=frozenset({"svm"}))
    assert (kernel.log, kernel.high) == (True, 100.0)
    assert tuned("gamma", 0.95, help="discount factor", domains=frozenset({"decay"})).ordered


@pytest.mark.parametrize(
    "name", ["lr", "base_lr", "pi_lr", "lrG", "generator_lr", "vf_lr", "lr_backbone", "learningRate"]
)
def test_every_learning_rate_is_searched_by_factors(name: str) -> None:
    parameter = tuned(name, 1e-3)
    assert parameter.log
    assert parameter.low < 1e-4


@pytest.mark.parametrize("name", ["weight_decay", "l2", "ent_coef", "min_lr", "grad_clip", "lambda_l1", "aux_weight"])
def test_a_default_of_zero_is_off_or_upward_by_factors(name: str) -> None:
    parameter = tuned(name, 0.0, domains=frozenset({"rl"}))
    assert isinstance(parameter, Choice)
    assert parameter.ordered
    assert parameter.choices[0] == 0.0
    assert all(value > 0 for value in parameter.choices[1:])  # type: ignore[operator]


def test_betas_stay_below_one_and_unknown_numbers_are_asked_about() -> None:
    assert max(tuned("beta2", 0.999).choices) < 1
    assert isinstance(tuned("dropout", 0.1), Float)
    assert tuned("n_critic", 5).high == 10
    assert tuned("mystery", 7) is None
    assert tuned("n_layer", -1) is None
    left = sort_out([Setting(name="mystery", kind="int", default=7), Setting(name="swirl", kind="bool", default=False)])
    assert [item.why for item in left.left_alone] == [
        "its name and help do not say what it does",
        "a switch; its name does not say that it changes what is learnt",
    ]


@pytest.mark.parametrize(
    ("settings", "domains", "fidelity"),
    [
        ({"max_steps": 1000, "epochs": 10}, (), "epochs"),
        ({"max_iters": 600, "warmup_iters": 20, "eval_iters": 200}, (), "max_iters"),
        ({"num_train_epochs": 3, "save_steps": 500}, (), "num_train_epochs"),
        ({"total_timesteps": 10**6, "num_steps": 128, "update_epochs": 4}, ("rl",), "total_timesteps"),
        ({"steps_per_epoch": 4000, "epochs": 50}, ("rl",), "epochs"),
        ({"niter": 25}, (), "niter"),
        ({"train_steps": 400, "logging_steps": 10}, (), "train_steps"),
        ({"MAX_EPOCH": 200}, (), "MAX_EPOCH"),
        ({"start_epoch": 5, "n_layer": 3}, (), None),
    ],
)
def test_the_right_budget_is_the_fidelity(
    settings: dict[str, int], domains: tuple[str, ...], fidelity: str | None
) -> None:
    found = sort_out([Setting(name=n, kind="int", default=v) for n, v in settings.items()], frozenset(domains)).fidelity
    assert (found.name if found else None) == fidelity


def test_a_schedule_as_long_as_the_run_follows_it() -> None:
    settings = {"max_iters": 600, "lr_decay_iters": 600, "learning_rate": 1}
    roles = sort_out([Setting(name=n, kind="int", default=v) for n, v in settings.items()])
    assert [s.name for s in roles.follows] == ["lr_decay_iters"]


def read(tmp_path: Path, text: str) -> ScriptReading:
    script = tmp_path / "train.py"
    script.write_text(text, encoding="utf-8")
    return read_script(script)


def test_conditions_come_from_the_code(tmp_path: Path) -> None:
    reading = read(
        tmp_path,
        """
import argparse, torch
p = argparse.ArgumentParser()
p.add_argument("--optimizer", default="adam", help="adam|sgd|lion")
p.add_argument("--lr", type=float, default=0.1)
p.add_argument("--momentum", type=float, default=0.9)
p.add_argument("--beta2", type=float, default=0.99)
p.add_argument("--a", type=float, default=0.1)
p.add_argument("--use-warmup", action="store_true")
p.add_argument("--warmup-steps", type=int, default=100)
args = p.parse_args()
if args.optimizer.lower() == "sgd":
    opt = torch.optim.SGD(w, lr=args.lr, momentum=args.momentum)
elif args.optimizer == "lion":
    opt = Lion(w, lr=args.lr, momentum=args.momentum)
else:
    opt = torch.optim.Adam(w, lr=args.lr, betas=(0.9, args.beta2), weight_decay=args.a)
if args.use_warmup:
    schedule(args.warmup_steps)
""",
    )
    found = {t.setting.name: t for t in reading.tuned}
    assert isinstance(found["optimizer"].parameter, Choice)
    assert found["optimizer"].parameter.choices == ("adam", "sgd", "lion")
    assert found["momentum"].parameter.when == "optimizer in ['lion', 'sgd']"
    assert found["lr"].parameter.when is None
    assert found["warmup_steps"].parameter.when == "use_warmup == true"
    assert isinstance(found["warmup_steps"].parameter, Int)
    # `--a` says nothing, but it becomes the weight decay.
    assert found["a"].why.startswith("weight decay")


def test_the_width_of_a_transformer_stays_a_multiple_of_its_heads(tmp_path: Path) -> None:
    text = (
        "import argparse, torch\np = argparse.ArgumentParser()\np.add_argument('--n-embd', type=int, default={width})\n"
        "p.add_argument('--n-head', type=int, default={heads})\n"
    )
    for width, heads in ((768, 12), (384, 6), (200, 2), (64, 4), (100, 5)):
        found = {t.setting.name: t.parameter for t in read(tmp_path, text.format(width=width, heads=heads)).tuned}
        wide, number = found["n_embd"], found["n_head"]
        assert isinstance(wide, Int)
        assert isinstance(number, Choice)
        assert len(number.choices) > 1
        assert (wide.default, number.default) == (width, heads)
        for unit in (0.0, 0.3, 0.71, 1.0):
            assert all(wide.from_unit(unit) % choice == 0 for choice in number.choices)  # type: ignore[operator]
