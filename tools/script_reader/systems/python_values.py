"""Reads numbers that stand in the code: constants, configuration classes and dicts, and arguments of known calls.

They are set in the trial's copy of the file ([run.files]).
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunesmith.evaluator.filling.python_source import Place, places
from tunesmith.tools.script_reader.literals import dotted, literal_or
from tunesmith.tools.script_reader.meanings.names import spelled
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Module, Sources
from tunesmith.tools.script_reader.systems.base import Found, comments, found, kind_of, scalar

_CONFIGURATION = re.compile(
    r"conf|cfg|param|arg|opt|setting|hyper|hps|flag|const|default|common|options?$|^C$", re.IGNORECASE
)
_ENTRY = re.compile(r"^(main|train\w*|fit|run\w*|experiment|learn|(build|get|create|make)_model|model_fn|objective)$")
_MAKERS = re.compile(r"^(get_(default_)?config|default_config|config\w*|\w*defaults?|hparams|get_args)$")
_LEARNERS = re.compile(
    r"^(SGD|AdamW?|Adam[A-Z]\w*|NAdam|RAdam|Adagrad|Adadelta|RMSprop|Adamax|LBFGS|ASGD|Lion|LAMB|Muon|adamw?|sgd|rmsprop|"
    r"lion|\w*LR|ReduceLROnPlateau|\w*(Decay|Schedule)|\w*Dropout\w*|LSTM|GRU|\w*RNN|Dense|DataLoader|fit|compile|"
    r"fit_generator|clip_grad_norm_|clip_grad_value_|CrossEntropyLoss|CategoricalCrossentropy|SVC|SVR|NuSVC|LinearSV[CR]|"
    r"\w+(Classifier|Regressor|Regression|Forest|Boosting\w*|Trees|NB|PCA)|Ridge|Lasso|ElasticNet|KMeans|PCA|NMF|"
    r"TfidfVectorizer|CatBoost|\w+(Config|Args|Arguments|Params)|PPO|A2C|DQN|SAC|TD3|DDPG|TransformerEncoderLayer)$"
)
"""Calls whose arguments decide what is learnt."""
_OTHERS = re.compile(
    r"^(make_\w+|load_\w+|train_test_split|\w*KFold|\w+Split|\w+SearchCV|EarlyStopping|ModelCheckpoint)$"
)
_REPEATED = re.compile(r"^(SGD|Adam\w*|adamw?|sgd|RMSprop|\w*Dropout\w*|Dense|LSTM|GRU|\w*RNN)$")
"""Calls of which a script has several that all matter: of others, such as estimators, the first is tuned."""
_GRID = re.compile(r"grid|search|space|distributions?\b|tune", re.IGNORECASE)
_SEEDERS = re.compile(r"^(manual_seed|seed|set_seed|set_random_seed|seed_everything|PRNGKey|default_rng|RandomState)$")
_EPOCHS = re.compile(r"^(n_|i_|cur_)?(epochs?|ep|e|epoch_(idx|num|i|number))$")
_STEPS = re.compile(r"^(iteration|iter|step|it|i_iter|global_step|update)$")
_LEAST_UNITS = 16
"""Number of units below which a layer is taken for the output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """One file, and what its code does with its names.

    Attributes:
        stored: how often each name is assigned; what code changes later is its state.
        entries: functions that are called outside of functions, with the arguments that they are given.
        last_layer: the address of the last dense layer's size, which the data decide.
    """

    module: Module
    path: str
    is_main: bool
    stored: Mapping[str, int]
    entries: Mapping[str, frozenset[str]]
    last_layer: str


def read(sources: Sources, *, is_only_source: bool) -> Found | None:
    """Return the numbers in the code that may be settings.

    Args:
        sources: the script and its modules.
        is_only_source: whether nothing else has settings; otherwise only arguments of known calls count.
    """
    by_name: dict[str, Setting] = {}
    for module in sources.modules:
        is_main = module is sources.main
        if not is_main and not _is_configuration(module):
            continue
        settings = _settings(_file(module, sources.script if is_main else module.path, is_main), is_only_source)
        own = {s.name: s for s in settings if is_main or s.path.rpartition(".")[2] not in _last_names(by_name)}
        by_name |= own
    name = "code" if is_only_source else "calls in the code"
    result = found(name, iter(by_name.values()))
    return None if result is None else Found(system=name, settings=result.settings, is_command_line=False)


def _last_names(settings: Mapping[str, Setting]) -> set[str]:
    """Return the last parts of the names; the script's own values replace the defaults of its modules."""
    return {setting.path.rpartition(".")[2] for setting in settings.values()}


def _is_configuration(module: Module) -> bool:
    has_maker = any(isinstance(n, ast.FunctionDef) and _MAKERS.match(n.name) for n in ast.walk(module.tree))
    return has_maker or bool(_CONFIGURATION.search(module.path.rpartition("/")[2]))


def _file(module: Module, path: str, is_main: bool) -> _File:  # noqa: FBT001  # as in _File
    layers = [p.address for p in places(module.tree) if (p.owner, p.name) == ("Dense", "units")]
    return _File(
        module=module, path=path, is_main=is_main, stored=_store_counts(module.tree), entries=_entries(module.tree),
        last_layer=layers[-1] if layers else "",
    )  # fmt: skip


def _settings(file: _File, is_only: bool) -> Iterator[Setting]:  # noqa: FBT001  # as in read
    helps = comments(file.module.file) if is_only else {}
    for place in places(file.module.tree):
        value = scalar(literal_or(place.node, file.module.names, None))
        if value is None or not (_counts_always(place, file, value) or (is_only and _counts_alone(place, file))):
            continue
        path = _path(place)
        yield Setting(
            name=re.sub(r"\W", "_", path), kind=kind_of("", value), default=value, file=file.path, key=place.address,
            is_literal=True, path=path, help=helps.get(place.node.lineno, ""), choices=_choices(place, value),
            uses=(place.address.partition("#")[0],) if place.form == "argument" else (),
        )  # fmt: skip


def _path(place: Place) -> str:
    """Return the dotted name under which a value is looked up in the tables of names."""
    address, _, occurrence = place.address.partition("#")
    if "ropout" in place.owner and place.form == "argument":
        address = f"{place.owner}.dropout"
    elif place.form == "loop":
        address = "epochs" if _EPOCHS.match(place.owner.lower()) else "iterations"
    return f"{address}_{occurrence}" if occurrence else address


def _counts_always(place: Place, file: _File, value: Any) -> bool:
    """Return whether a value may be a setting even if there are options: an argument of a known call."""
    if not file.is_main or place.form not in ("argument", "loop"):
        return False
    if place.form == "loop":
        owner = place.owner.lower()
        return "#" not in place.address and bool(_EPOCHS.match(owner) or _STEPS.match(owner))
    if _SEEDERS.match(place.owner) or place.name in ("seed", "random_state"):
        return not _OTHERS.search(place.owner)
    if isinstance(value, bool):
        return place.name in ("nesterov", "amsgrad")
    # The second loader is for validation, and the last layer is the output.
    is_other = place.owner == "DataLoader" and "#" in place.address
    is_other = is_other or ("#" in place.address and not _REPEATED.search(place.owner))
    is_output = place.address == file.last_layer or (place.name == "units" and value < _LEAST_UNITS)
    return bool(_LEARNERS.search(place.owner)) and not (_OTHERS.search(place.owner) or is_other or is_output)


def _counts_alone(place: Place, file: _File) -> bool:
    """Return whether a value may be a setting where nothing else has any."""
    match place.form:
        case "constant":
            scope = place.address.rpartition(".")[0]
            is_entry = not scope or bool(_ENTRY.search(scope) or _MAKERS.search(scope))
            return is_entry and file.stored.get(place.name, 0) == 1
        case "default":
            is_called = place.name not in file.entries.get(place.owner, frozenset([place.name]))
            return is_called or bool(_ENTRY.search(place.owner) or _CONFIGURATION.search(place.owner))
        case "field":
            return file.is_main or bool(_CONFIGURATION.search(place.owner))
        case "attribute":
            return bool(_CONFIGURATION.search(place.address.partition(".")[0]))
        case "entry":
            return "#" not in place.address and not _GRID.search(place.address)
    return False


def _choices(place: Place, value: Any) -> tuple[Any, ...]:
    """Return the optimizers that Keras knows by name, where the code names one of them."""
    names = ("adam", "sgd", "rmsprop", "adamw", "nadam")
    return names if place.owner == "compile" and spelled(place.name) == "optimizer" and value in names else ()


def _entries(tree: ast.Module) -> dict[str, frozenset[str]]:
    """Return the functions that the module itself calls, with the names of the arguments that they are given."""
    found_calls: dict[str, frozenset[str]] = {}
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.Call) and (name := dotted(node.func)):
            found_calls[name] = frozenset(keyword.arg or "" for keyword in node.keywords)
        waiting += ast.iter_child_nodes(node)
    return found_calls


def _store_counts(tree: ast.AST) -> Counter[str]:
    counts: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            counts[node.id] += 1
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            counts[node.target.id] += 1
    return counts
