"""Released models: a folder `release/` of config.json and weights.safetensors.

The weights carry their config in the file's metadata, so that one rename replaces both together;
config.json is a copy for people and other programs.

    config, variables = release.load("runs/mine")
    model = models.build_clip(**config["model"])
    embeddings, _ = model.apply(variables, images, method="encode_image")

Every command that takes a model takes such a folder, or a workdir that holds one.
"""

import hashlib
import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

from vujax.utils.io import check_local, write_atomically, write_bytes, write_json
from vujax.utils.trees import compare_shapes, flatten_tree, unflatten_tree

Tree = Any
FOLDER, CONFIG, WEIGHTS = "release", "config.json", "weights.safetensors"
EMBEDDED = "config"  # key of the metadata of the weights
INPUT_KEYS = ("preprocess", "tokenizer")  # of a config, see `vujax.models.inputs`


def save(
    workdir: Path, config: dict[str, Any], variables: Tree, parent: str | Path | None = None
) -> Path:
    """Write `workdir/release`.

    Args:
      workdir: of the run.
      config: JSON-ready; `config['model']` builds the module.
      variables: `{'params': ..., 'batch_stats': ...}` of host arrays; the latter is optional.
      parent: release or workdir that it was fine-tuned from, whose preprocessing and tokenizer it
        inherits; None or '': trained from scratch.

    Returns:
      The release folder.
    """
    folder = Path(workdir) / FOLDER
    if parent:
        config = _inherit_inputs(find(Path(parent)), folder) | config
    arrays = {name: np.asarray(leaf, order="C") for name, leaf in flatten_tree(variables).items()}
    metadata = {EMBEDDED: json.dumps(config, sort_keys=True)}
    write_atomically(folder / WEIGHTS, lambda p: p.write_bytes(to_bytes(arrays, metadata)))
    write_json(folder / CONFIG, config)
    return folder


def _inherit_inputs(parent: Path, folder: Path) -> dict[str, Any]:
    """Return the input settings of a parent release; copy its tokenizer's file to `folder`."""
    config = read_config(parent)
    inputs = {name: config[name] for name in INPUT_KEYS if name in config}
    file = (config.get("tokenizer") or {}).get("file")
    if file and parent.resolve() != folder.resolve():
        name = _write_beside(folder / Path(file).name, (parent / Path(file).name).read_bytes())
        inputs["tokenizer"] = inputs["tokenizer"] | {"file": name}
    return inputs


def _write_beside(path: Path, data: bytes) -> str:
    """Write a file under a name that no other content has, and return the name."""
    if path.exists() and path.read_bytes() != data:
        digest = hashlib.sha256(data).hexdigest()[:8]
        path = path.with_name(f"{path.stem}-{digest}{path.suffix}")
    return write_bytes(path, data).name


def is_model(path: Path) -> bool:
    """Return True if `path` is or holds a release folder."""
    try:
        find(path)
    except FileNotFoundError:
        return False
    return True


def find(path: Path) -> Path:
    """Return the release folder that `path` is or holds.

    Raises:
      FileNotFoundError: `path` is not a model.
      ValueError: `path` is the address of a bucket.
    """
    check_local(path)
    for folder in (Path(path), Path(path) / FOLDER):
        if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
            return folder
    raise FileNotFoundError(
        f"{path} is no model: neither it nor its folder '{FOLDER}' holds {CONFIG} and {WEIGHTS}; "
        "a training that ran to its end writes them"
    )


def load(path: Path) -> tuple[dict[str, Any], Tree]:
    """Load a release folder or a workdir.

    Returns:
      `(config, variables)`; variables are jax arrays on the default device, ready for
      `model.apply` with or without jit.

    Raises:
      FileNotFoundError: `path` is not a model.
      ValueError: the release is damaged.
    """
    config, variables = load_host(path)
    return config, jax.tree.map(jnp.asarray, variables)


def load_host(path: Path) -> tuple[dict[str, Any], Tree]:
    """Load a release as `load` does, with numpy arrays for callers that place them themselves."""
    folder = find(path)
    config = read_config(folder)
    try:
        arrays = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise _damage_error(folder, error) from error
    return config, unflatten_tree(arrays)


def read_config(folder: Path) -> dict[str, Any]:
    """Read the config of a release folder: that in the weights, where they have one.

    Raises:
      ValueError: it is damaged.
    """
    try:
        with safe_open(folder / WEIGHTS, "np") as weights:
            embedded = (weights.metadata() or {}).get(EMBEDDED)
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        if embedded is None:  # of 0.1.0
            return config
        own = json.loads(embedded)
    except (ValueError, SafetensorError) as error:
        raise _damage_error(folder, error) from error
    if config != own:
        warnings.warn(
            f"{folder / CONFIG} is not the config of the weights beside it, whose own is used: the "
            "release was not written to its end, or the file was edited",
            stacklevel=2,
        )
    return own


def _damage_error(folder: Path, error: Exception) -> ValueError:
    return ValueError(f"{folder} is damaged ({error}): copy the release again")


def init_from_release(
    path: Path,
    tree: Tree,
    fresh: tuple[str, ...],
    collection: str = "params",
    moved: tuple[str, str] | tuple[()] = (),
) -> Tree:
    """Return `tree` with the values of a released model, for fine-tuning.

    Args:
      path: release folder or workdir.
      tree: to fill (shapes are read).
      fresh: names or name prefixes ('text/') that keep their new values in any case.
      collection: of the release, 'params' or 'batch_stats'.
      moved: (prefix in the release, prefix in `tree`): only the leaves under the first are taken,
        for those under the second; all others are fresh.

    Raises:
      ValueError: any other leaf is missing in the release, left over or of another shape, or no
        leaf remains to be taken.
    """
    _, variables = load_host(path)
    source, target = moved or ("", "")
    is_fresh = lambda name: name.startswith(tuple(fresh)) if fresh else False  # noqa: E731
    leaves = flatten_tree(variables.get(collection, {}))
    leaves = {name: leaf for name, leaf in leaves.items() if name.startswith(source)}
    saved = {target + name.removeprefix(source): leaf for name, leaf in leaves.items()}
    saved = {name: leaf for name, leaf in saved.items() if not is_fresh(name)}
    mine = flatten_tree(tree)
    wanted = {k: v for k, v in mine.items() if k.startswith(target) and not is_fresh(k)}
    if moved and not wanted:
        raise ValueError(
            f"init_part: no parameter is named {target}...; expected one of: "
            f"{', '.join(_list_prefixes(mine))}"
        )
    remedy = "take its config.model, or name a prefix in init_fresh to initialize those"
    compare_shapes(saved, wanted, f"release {path}", remedy)
    return unflatten_tree({name: saved.get(name, leaf) for name, leaf in mine.items()})


def _list_prefixes(names: Iterable[str]) -> list[str]:
    """Return the first two words of names, each once."""
    return sorted({"/".join(name.split("/")[:2]) for name in names})


def gather_to_host(tree: Tree) -> Tree:
    """Return arrays that may be divided among devices and hosts as complete numpy arrays."""
    replicated = jax.sharding.PartitionSpec()

    def gather(x: jax.Array) -> np.ndarray:
        if x.is_fully_addressable:
            return np.asarray(x)
        assert isinstance(x.sharding, jax.sharding.NamedSharding)  # of a mesh over several hosts
        sharding = jax.sharding.NamedSharding(x.sharding.mesh, replicated)
        return np.asarray(jax.jit(lambda v: v, out_shardings=sharding)(x).addressable_data(0))

    return jax.tree.map(gather, tree)
