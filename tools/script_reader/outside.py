"""Finds the folders that trials must share: what a script reads outside its project, and where it downloads to."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from tunesmith.evaluator.filling.python_source import called
from tunesmith.study.config.tables.field_types import shared_folder
from tunesmith.tools.script_reader.literals import keyword, literal_or
from tunesmith.tools.script_reader.reading import Setting
from tunesmith.tools.script_reader.sources import Sources

_DATA = re.compile(r"data|root|cache|download|corpus|datasets", re.IGNORECASE)
_PATH = re.compile(r"(\.{1,2}/)?[\w./-]{1,80}")
_DOWNLOADERS = re.compile(
    r"^(MNIST|FashionMNIST|KMNIST|EMNIST|CIFAR10|CIFAR100|SVHN|STL10|Planetoid|TUDataset|QM9|Flickr|Reddit|Amazon|PygNodePropPredDataset|WikiText2|WikiText103|IMDB|AG_NEWS|fetch_\w+|urlretrieve|VOC\w+|CelebA|LSUN|Caltech101|Food101|Omniglot)$"
)


def shared_folders(sources: Sources, settings: Sequence[Setting]) -> tuple[str, ...]:
    """Return folders next to the project that the code names, and folders in it that data are downloaded to."""
    found: list[str] = []
    outside = (text for text in _outside(sources, settings) if not _is_inside(sources, text))
    for text in (*outside, *_downloads(sources, settings)):
        folder = _folder(text)
        if folder and not any(folder == other or folder.startswith(f"{other}/") for other in found):
            found.append(folder)
    return tuple(found)


def _outside(sources: Sources, settings: Sequence[Setting]) -> Iterator[str]:
    yield from (str(s.default) for s in settings if isinstance(s.default, str) and s.default.startswith("../"))
    yield from (word.partition("=")[2] or word for word in sources.given if "../" in word)
    for node in ast.walk(sources.main.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("../"):
            yield node.value
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            yield from _beside_parents(node)


def _beside_parents(node: ast.BinOp) -> Iterator[str]:
    """Yield `../data` for `Path(__file__).parents[1] / "data"` and `Path(__file__).parent.parent / "data"`."""
    if not isinstance(node.right, ast.Constant) or not isinstance(node.right.value, str):
        return
    match node.left:
        case ast.Subscript(value=ast.Attribute(attr="parents"), slice=ast.Constant(value=int() as above)):
            levels = above
        case ast.Attribute(attr="parent", value=ast.Attribute(attr="parent")):
            levels = 1
        case _:
            return
    if levels:
        yield f"{'../' * levels}{node.right.value}/"


def _is_inside(sources: Sources, text: str) -> bool:
    """Return whether a path relative to the script is in the project."""
    return (sources.main.file.parent / text).resolve().is_relative_to(sources.root.resolve())


def _downloads(sources: Sources, settings: Sequence[Setting]) -> Iterator[str]:
    """Yield the folders that a known function downloads to, and those of settings for data where one is called."""
    downloads = False
    for module in sources.modules:
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            is_downloader = bool(_DOWNLOADERS.match(called(node)))
            downloads = downloads or is_downloader or literal_or(keyword(node, "download"), module.names, False) is True
            if is_downloader or keyword(node, "download") is not None:
                for argument in (
                    *node.args[:1],
                    *(k.value for k in node.keywords if k.arg in ("root", "data_dir", "cache_dir", "data_home")),
                ):
                    text = literal_or(argument, module.names, None)
                    if isinstance(text, str):
                        yield text
    if downloads:
        for setting in settings:
            text = setting.default
            if isinstance(text, str) and _DATA.search(setting.name) and ("/" in text or _DATA.search(text.strip("./"))):
                yield text


def _folder(text: str) -> str:
    """Return a path as [run].shared takes it: of a file its folder; "" if it is none."""
    if not _PATH.fullmatch(text) or "." in text.rsplit("/", 1)[-1].strip("."):
        text = text.rpartition("/")[0] if text.startswith("../") else ""
    try:
        return shared_folder(text.removeprefix("./").rstrip("/")) if text.strip("./") else ""
    except ValueError:
        return ""
