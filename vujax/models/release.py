"""Released models: a folder `release/` of config.json and weights.safetensors.

Every command that takes a model takes such a folder, or a workdir that holds one.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

from vujax.utils.io import write_bytes, write_json
from vujax.utils.trees import compare_shapes, flatten_tree, unflatten_tree

Tree = Any
FOLDER, CONFIG, WEIGHTS = "release", "config.json", "weights.safetensors"
INPUTS = ("preprocess", "tokenizer")  # of a config: see `vujax.models.tokenizers.huggingface`


def save(
    workdir: Path, config: dict[str, Any], variables: Tree, parent: str | Path | None = None
) -> Path:
    """Writes `workdir/release`.

    Args:
      workdir: of the run.
      config: JSON-ready; `config['model']` builds the module.
      variables: `{'params': ..., maybe 'batch_stats': ...}` of host arrays.
      parent: release or workdir that it was fine-tuned from, whose way with pictures and texts it
        keeps; None or '': there is none.
    """
    folder = Path(workdir) / FOLDER
    if parent:
        config = _inputs_of(find(Path(parent)), folder) | config
    arrays = {name: np.asarray(leaf, order="C") for name, leaf in flatten_tree(variables).items()}
    write_bytes(folder / WEIGHTS, to_bytes(arrays))
    write_json(folder / CONFIG, config)
    return folder


def _inputs_of(parent: Path, folder: Path) -> dict[str, Any]:
    """What a release's config says of its inputs; the tokenizer's file is copied to `folder`."""
    config = read_config(parent)
    file = (config.get("tokenizer") or {}).get("file")
    if file and parent.resolve() != folder.resolve():
        data = (parent / Path(file).name).read_bytes()
        write_bytes(folder / Path(file).name, data)
    return {name: config[name] for name in INPUTS if name in config}


def find(path: Path) -> Path:
    """The release folder that `path` is or holds.

    Raises:
      FileNotFoundError: neither.
    """
    for folder in (Path(path), Path(path) / FOLDER):
        if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
            return folder
    raise FileNotFoundError(
        f"{path} is no model: neither it nor its folder '{FOLDER}' holds {CONFIG} and {WEIGHTS}; "
        "a training that ran to its end writes them"
    )


def load(path: Path) -> tuple[dict[str, Any], Tree]:
    """`(config, variables)` of a release folder or a workdir; variables are numpy arrays."""
    folder = find(path)
    config = read_config(folder)
    try:
        arrays = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise _damaged(folder, error) from error
    return config, unflatten_tree(arrays)


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a release folder.

    Raises:
      ValueError: it is damaged.
    """
    try:
        return json.loads((folder / CONFIG).read_text())
    except json.JSONDecodeError as error:
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> ValueError:
    return ValueError(f"{folder} is damaged ({error}): copy the release again")


def start_from(
    path: Path,
    tree: Tree,
    fresh: tuple[str, ...],
    part: str = "params",
    moved: tuple[str, str] | tuple[()] = (),
) -> Tree:
    """`tree` with the values of a released model, for fine-tuning.

    Args:
      path: release folder or workdir.
      tree: to fill (shapes are read).
      fresh: names or name prefixes ('text/') that keep their new values, whatever the release has.
      part: of the release, 'params' or 'batch_stats'.
      moved: (prefix there, prefix here): only what the release has under the first one is taken, as
        what `tree` has under the second one; all else is fresh.

    Raises:
      ValueError: any other leaf is missing there, left over or of another shape, or nothing is left
        to take.
    """
    _, variables = load(path)
    there, here = moved or ("", "")
    keep = lambda name: name.startswith(tuple(fresh)) if fresh else False  # noqa: E731
    found = {k: v for k, v in flatten_tree(variables.get(part, {})).items() if k.startswith(there)}
    saved = {here + k.removeprefix(there): v for k, v in found.items()}
    saved = {k: v for k, v in saved.items() if not keep(k)}
    mine = flatten_tree(tree)
    wanted = {k: v for k, v in mine.items() if k.startswith(here) and not keep(k)}
    if moved and not wanted:
        raise ValueError(
            f"init_part: nothing here is named {here}...: it is {', '.join(_tops(mine))}"
        )
    remedy = "take its config.model, or name a prefix in init_fresh to start those anew"
    compare_shapes(saved, wanted, f"release {path}", remedy)
    return unflatten_tree({name: saved.get(name, leaf) for name, leaf in mine.items()})


def _tops(names: Iterable[str]) -> list[str]:
    """The first two words of names, each once."""
    return sorted({"/".join(name.split("/")[:2]) for name in names})


def to_host(tree: Tree) -> Tree:
    """Arrays that may be divided among devices and hosts as whole numpy arrays."""
    whole = jax.sharding.PartitionSpec()

    def gather(x: jax.Array) -> np.ndarray:
        if x.is_fully_addressable:
            return np.asarray(x)
        sharding = jax.sharding.NamedSharding(x.sharding.mesh, whole)  # type: ignore[attr-defined]
        return np.asarray(jax.jit(lambda v: v, out_shardings=sharding)(x).addressable_data(0))

    return jax.tree.map(gather, tree)
