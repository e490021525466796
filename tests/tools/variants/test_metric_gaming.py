"""The gate refuses other seeds and an easier held-out set in any library's words, and lets honest edits pass."""

from __future__ import annotations

import ast
import textwrap

import pytest

from tunesmith.tools.variants.gaming.metric_gaming import gaming_problems

SCRIPT = textwrap.dedent("""
    import argparse, jax, keras, numpy as np, random, torch
    from itertools import islice
    from sklearn.model_selection import train_test_split
    from torch.utils.data import DataLoader, Subset, random_split

    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    n_held_out = int(0.2 * len(x))
    boundary = len(x) - n_held_out
    x_train, x_val = x[:boundary], x[boundary:]
    x_fit, x_test = train_test_split(x, test_size=0.2, random_state=42)
    train_set, dev_set = random_split(data, [900, 100], generator=torch.Generator().manual_seed(42))
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
    val_loader = DataLoader(dev_set, batch_size=64)
    model = Classifier(width=64, random_state=42)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
    settings = {"eta": 0.1, "seed": 42}
    for epoch in range(10):
        for batch in train_loader:
            loss = model(batch).mean()
            loss.backward()
            optimizer.step()
        total = 0.0
        for batch in val_loader:
            total += model(batch).item()
        print(f"val_loss={total / len(val_loader)}")
""")

SEED, HELD_OUT = "a seed is changed", "the evaluation set, its size or the evaluation itself is changed"


def problems(*edits: tuple[str, str]) -> list[str]:
    text = SCRIPT
    for search, replacement in edits:
        assert search in text
        text = text.replace(search, replacement)
    return gaming_problems(ast.parse(SCRIPT), ast.parse(text), metrics=["val_loss"])


@pytest.mark.parametrize(
    "form",
    [
        "torch.manual_seed(42)",
        "torch.cuda.manual_seed_all(42)",
        "rng = np.random.default_rng(42)",
        "rng = np.random.RandomState(42)",
        "rng = np.random.Generator(np.random.PCG64(42))",
        "rng = random.Random(42)",
        "key = jax.random.PRNGKey(42)",
        "key = jax.random.key(42)",
        "rngs = nnx.Rngs(42)",
        "keras.utils.set_random_seed(42)",
        "tf.random.set_seed(42)",
        "g = tf.random.Generator.from_seed(42)",
        "transformers.set_seed(42)",
        "L.seed_everything(42, workers=True)",
        "g = torch.Generator().manual_seed(42)",
        "g = torch.Generator(device='cuda').manual_seed(42)",
        "model = SGDClassifier(random_state=42)",
        "folds = KFold(5, shuffle=True, random_state=42)",
        "params = {'eta': 0.1, 'seed': 42}",
        "params = dict(eta=0.1, random_seed=42)",
        "params['seed'] = 42",
        "config.seed = 42",
        "os.environ['PYTHONHASHSEED'] = '42'",
        "def train(width, *, seed=42): pass",
        "def train(width, random_state=42): pass",
        "number = 42\nmodel = Classifier(random_state=number)",
        "for seed in range(42): train(seed)",
        "results = [train(seed) for seed in range(42)]",
        "parser.add_argument('--seed', type=int, default=42)",
    ],
)
def test_another_seed_is_refused_in_any_words(form: str) -> None:
    found = gaming_problems(ast.parse(form), ast.parse(form.replace("42", "137")))
    assert found
    assert found[0].startswith(SEED)


@pytest.mark.parametrize(
    ("search", "replacement"),
    [
        ("torch.manual_seed(args.seed)\n", ""),
        ("torch.manual_seed(args.seed)", "torch.manual_seed(args.seed + 7)"),
        ("args = parser.parse_args()", "args = parser.parse_args()\nargs.seed = 7"),
        ("width=64, random_state=42", "width=64, random_state=7"),
        ("for epoch in range(10)", "torch.manual_seed(7)\nfor epoch in range(10)"),
        ("generator=torch.Generator().manual_seed(42)", "generator=torch.Generator().manual_seed(43)"),
        (", generator=torch.Generator().manual_seed(42)", ""),
    ],
)
def test_a_seed_that_is_removed_or_added_is_refused(search: str, replacement: str) -> None:
    assert any(problem.startswith(SEED) for problem in problems((search, replacement)))


@pytest.mark.parametrize(
    ("search", "replacement"),
    [
        ("0.2 * len(x)", "0.02 * len(x)"),
        ("len(x) - n_held_out", "len(x) - 10"),
        ("x[boundary:]", "x[boundary:][:100]"),
        ("test_size=0.2", "test_size=0.01"),
        ("[900, 100]", "[990, 10]"),
        ("for batch in val_loader", "for batch in islice(val_loader, 3)"),
        ("for batch in val_loader", "for batch in list(val_loader)[:3]"),
        ("DataLoader(dev_set, batch_size=64)", "DataLoader(Subset(dev_set, range(10)), batch_size=64)"),
        ("DataLoader(dev_set, batch_size=64)", "DataLoader(dev_set.select(range(10)), batch_size=64)"),
        ("total += model(batch).item()", "total += model(batch).item()\n        if total > 1: break"),
        ("model = Classifier", "x_val = x_val[:50]\nmodel = Classifier"),
        ("model = Classifier", "evaluate(x_val.head(50))\nmodel = Classifier"),
        ("model = Classifier", "easy = x_test.sample(frac=0.1)\nmodel = Classifier"),
        ("model = Classifier", "trainer = Trainer(limit_val_batches=2)\nmodel = Classifier"),
        ("model = Classifier", "settings = {'test_size': 0.01}\nmodel = Classifier"),
    ],
)
def test_a_smaller_or_easier_held_out_set_is_refused(search: str, replacement: str) -> None:
    assert HELD_OUT in problems((search, replacement))


@pytest.mark.parametrize(
    ("search", "replacement"),
    [
        ("Classifier(width=64, random_state=42)", "Classifier(width=64, dropout=0.3, random_state=42)"),
        ("Classifier(width=64, random_state=42)", "Stack([Classifier(random_state=42), Forest(random_state=42)])"),
        ("Classifier(width=64, random_state=42)", "Forest(trees=200, random_state=42)"),
        (
            "Classifier(width=64, random_state=42)",
            "Classifier(width=64, random_state=42)\nother = Ridge(seed=args.seed)",
        ),
        (
            "Classifier(width=64, random_state=42)",
            "Classifier(width=64, random_state=42)\nmodel.shuffle(random_state=rng)",
        ),
        ("torch.optim.SGD(model.parameters(), lr=args.lr)", "torch.optim.AdamW(model.parameters(), lr=args.lr)"),
        ("    for batch in train_loader", "    scheduler.step(epoch)\n    for batch in train_loader"),
        ("loss = model(batch).mean()", "loss = model(batch + 0.1 * rng.normal(size=batch.shape)).mean()"),
        ("loss = model(batch).mean()", "loss = model(batch[torch.randperm(len(batch))]).mean()"),
        ("loss = model(batch).mean()", "loss = mix_up(model, batch, rng.beta(0.2, 0.2)).mean()"),
        ("batch_size=32, shuffle=True", "batch_size=64, shuffle=True, drop_last=True"),
        ("x_fit, x_test", "x_train = augment(x_train, rng)\nx_fit, x_test"),
        ("x_fit, x_test", "x_train = x_train[rng.permutation(len(x_train))]\nx_fit, x_test"),
        ("optimizer.step()", "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n        optimizer.step()"),
        ('{"eta": 0.1, "seed": 42}', '{"eta": 0.3, "depth": 6, "seed": 42}'),
        (
            "rng = np.random.default_rng(args.seed)",
            "rng = np.random.default_rng(args.seed)\nnoise = random.Random(args.seed)",
        ),
        ("model = Classifier", "validate_shape = True\nvalues = [v for v in x_fit if v > 0]\nmodel = Classifier"),
        ("model = Classifier", "latest = contest = interval = x_fit[:10]\nmodel = Classifier"),
    ],
)
def test_an_honest_edit_passes(search: str, replacement: str) -> None:
    assert problems((search, replacement)) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("dev = x[80:]\nscore(dev)", "dev = x[95:]\nscore(dev)"),
        ("dev = x[80:]\nscore(dev)", "dev = x[80:]\nscore(dev[:3])"),
        ("dev = load()\nfor a in dev:\n    f(a)", "dev = load()\nfor a in dev[:9]:\n    f(a)"),
        ("print(model.score(x_test, y_test))", "print(model.score(x_train, y_train))"),
        ("model.fit(x, validation_data=(a, b))", "model.fit(x, validation_data=(x, y))"),
        ("model.fit(x, validation_split=0.2)", "model.fit(x, validation_split=0.01)"),
        ("cross_val_score(model, x, y, cv=5)", "cross_val_score(model, x, y, cv=50)"),
        ("n = 80\ntrain, val = x[:n], x[n:]", "n = 95\ntrain, val = x[:n], x[n:]"),
        ("VAL_FRACTION = 0.2", "VAL_FRACTION = 0.01"),
        ("valLoader = make(data)", "valLoader = make(data[:10])"),
        ("x_val, y_val = batch(rows)", "x_val, y_val = batch(rows, 4)"),
        ("def evaluate(m):\n    return f(m)", "def evaluate(m):\n    return f(m) / 2"),
    ],
)
def test_the_held_out_set_has_many_names(before: str, after: str) -> None:
    assert HELD_OUT in gaming_problems(ast.parse(before), ast.parse(after))


def test_a_device_called_dev_is_not_a_held_out_set() -> None:
    before = "dev = torch.device('cuda')\nx = x.to(dev)"
    assert gaming_problems(ast.parse(before), ast.parse(f"{before}\nnoise = sample(9, device=dev)")) == []


def test_with_a_separate_judge_the_split_may_change_but_not_the_seed() -> None:
    before, after = ast.parse("x_val = x[80:]\nf(seed=1)"), ast.parse("x_val = x[90:]\nf(seed=1)")
    assert gaming_problems(before, after, has_judge=True) == []
    assert gaming_problems(before, ast.parse("x_val = x[80:]\nf(seed=2)"), has_judge=True)


TAKES_IMAGES = "from data import held_out, training\nx, y = training()\ntest_x, _ = held_out()\npredict(model, test_x)"


@pytest.mark.parametrize(
    ("search", "replacement"),
    [
        ("test_x, _ = held_out()", "test_x, test_y = held_out()"),
        ("predict(", "model.fit(*held_out())\npredict("),
        ("x, y = training()", "x, y = training()\nmore, labels = held_out()\nx = np.concatenate([x, more])"),
        ("predict(model, test_x)", "np.eye(10)[held_out()[1]]"),
        ("test_x, _ = held_out()", "both = held_out()\ntest_x = both[0]"),
        ("x, y = training()", "load = held_out\nx, y = load()"),
        ("test_x, _ = held_out()", "test_x, *_ = held_out()"),
    ],
)
def test_with_a_judge_no_further_part_of_the_held_out_data_is_taken(search: str, replacement: str) -> None:
    before, after = ast.parse(TAKES_IMAGES), ast.parse(TAKES_IMAGES.replace(search, replacement))
    assert gaming_problems(before, after, has_judge=True) == ["held-out data are read: only [evaluate] may use them"]


@pytest.mark.parametrize(
    ("search", "replacement"),
    [
        ("test_x, _ = held_out()", "test_x = held_out()[0] / 16"),
        ("test_x, _ = held_out()", "images, _ = held_out()\ntest_x = images / 16"),
        ("test_x, _ = held_out()", "test_x, _ = held_out()\ntest_x = (test_x - x.mean(axis=0)) / x.std(axis=0)"),
        ("predict(model, test_x)", "predict(model.eval(), test_x)"),
        ("x, y = training()", "x, y = training()\nx, y = np.concatenate([x, shift(x)]), np.concatenate([y, y])"),
    ],
)
def test_with_a_judge_the_inputs_may_be_prepared_in_another_way(search: str, replacement: str) -> None:
    before, after = ast.parse(TAKES_IMAGES), ast.parse(TAKES_IMAGES.replace(search, replacement))
    assert gaming_problems(before, after, has_judge=True) == []
