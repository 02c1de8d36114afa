"""Inference of boundary heads: from shot embeddings to a probability per shot boundary."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vujax.data.shot_similarity import compute_local_similarity, normalize_rows
from vujax.models import release
from vujax.models.boundary import BoundaryModel, SimilarityHead, build_boundary_model
from vujax.utils.trees import flatten_tree

Tree = Any
HEADS_DIR = Path(__file__).parent / "heads"
DEFAULT_HEAD = "default"
CHUNK = 256  # boundaries or shots per step, so that memory does not grow with a film


@dataclasses.dataclass(frozen=True)
class BoundaryHead:
    """A boundary model with its weights.

    Attributes:
      model: see `vujax.models.boundary`; its encoder, if any, reads embeddings.
      variables: parameters and, if any, batch statistics.
      threshold: probability above which a scene boundary is predicted.
      config: configuration stored beside the weights.
    """

    model: BoundaryModel
    variables: Tree
    threshold: float
    config: dict[str, Any]

    @property
    def num_parameters(self) -> int:
        """Number of parameters."""
        return sum(np.size(leaf) for leaf in jax.tree.leaves(self.variables["params"]))

    @property
    def saved_config(self) -> dict[str, Any]:
        """`config` with the threshold, as `save_head` writes it."""
        return self.config | {"threshold": self.threshold}

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the weights and of `saved_config`, equal before saving and after loading."""
        digest = hashlib.sha256(json.dumps(self.saved_config, sort_keys=True).encode())
        for name, leaf in sorted(flatten_tree(self.variables).items()):
            array = np.asarray(leaf, order="C")
            digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    def scores(self, vectors: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """Compute the probability of a scene boundary at each shot boundary.

        Classes are balanced in training, so these probabilities are not calibrated: compare them
        with `threshold`.

        Args:
          vectors: shot embeddings, `[n d]`, of any norm. The similarity head accepts any encoder;
            other heads require the one that they were trained with.
          seconds: start and end of each shot, float64 `[n 2]`.

        Returns:
          float32 `[n-1]`, empty for one shot.

        Raises:
          ValueError: the width differs from the training's, shapes do not match, or a value is not
            finite.
        """
        vectors = np.asarray(vectors)
        normalize_rows(vectors)  # checks them
        scores = [
            np.asarray(_judge(self.model, self.variables, rows))
            for rows in self._rows(vectors.astype(np.float32), np.asarray(seconds, np.float64))
        ]
        return np.concatenate([np.zeros(0, np.float32), *scores])[: len(vectors) - 1]

    def _rows(self, vectors: np.ndarray, seconds: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """Yield the head's inputs, CHUNK boundaries at a time; the last one pads the last chunk."""
        last = len(vectors) - 2
        chunks = (np.minimum(np.arange(i, i + CHUNK), last) for i in range(0, last + 1, CHUNK))
        if isinstance(self.model.head, SimilarityHead):
            reach, scale = self.model.head.reach, self.model.head.scale
            yield from map(
                compute_local_similarity(vectors, seconds, reach, scale=scale).rows, chunks
            )
            return
        self._check_width(vectors.shape[1])
        vectors = self._encode(vectors)
        offsets = np.arange(1 - self.model.head.before, self.model.head.after + 1)
        for boundaries in chunks:
            shots = boundaries[:, None] + offsets
            mask = (shots >= 0) & (shots < len(vectors))
            yield {"vectors": vectors[np.clip(shots, 0, len(vectors) - 1)], "mask": mask}

    def _check_width(self, width: int) -> None:
        shots = self.model.head.before + self.model.head.after
        rows = {"feature": jnp.zeros((1, shots, width)), "mask": jnp.ones((1, shots), bool)}
        wanted = jax.eval_shape(self.model.init, jax.random.key(0), rows)["params"]
        shapes = lambda tree: jax.tree.map(np.shape, tree)  # noqa: E731
        if shapes(wanted) != shapes(self.variables["params"]):
            raise ValueError(
                f"the head was not trained on embeddings of dim {width}; use the encoder of its "
                f"training, or the head '{DEFAULT_HEAD}', which accepts any"
            )

    def _encode(self, vectors: np.ndarray) -> np.ndarray:
        """Return the head's inputs, `[n d]`: embeddings, or the output of the model's encoder."""
        if self.model.encoder is None:
            return vectors
        padded = np.pad(vectors, ((0, -len(vectors) % CHUNK), (0, 0)))
        parts = padded.reshape(-1, CHUNK, vectors.shape[1])
        encoded = [np.asarray(_encode(self.model, self.variables, part)) for part in parts]
        return np.concatenate(encoded)[: len(vectors)]


# Outside the class, so that heads of one architecture share their compiled programs.
@functools.partial(jax.jit, static_argnums=0)
def _judge(model: BoundaryModel, variables: Tree, rows: dict[str, jax.Array]) -> jax.Array:
    return jax.nn.sigmoid(model.apply(variables, rows, method="predict"))


@functools.partial(jax.jit, static_argnums=0)
def _encode(model: BoundaryModel, variables: Tree, vectors: jax.Array) -> jax.Array:
    rows = {"feature": vectors[:, None], "mask": jnp.ones((len(vectors), 1), bool)}
    inputs, _ = model.apply(variables, rows, method="encode")
    return inputs["vectors"][:, 0]


def load_head(name_or_path: str | Path = DEFAULT_HEAD) -> BoundaryHead:
    """Load a head.

    Args:
      name_or_path: 'default' for the head of the package, or a folder written by `save_head` or by
        a training with configs/boundary.py.

    Raises:
      FileNotFoundError: the head is not found.
      ValueError: the folder holds another kind of model, or is damaged.
    """
    path = HEADS_DIR / DEFAULT_HEAD if str(name_or_path) == DEFAULT_HEAD else Path(name_or_path)
    config, variables = release.load_host(path)
    settings = config.get("model", {})
    if "head" not in settings:
        raise ValueError(
            f"{path} holds a model without a boundary head; train one with configs/boundary.py, or "
            f"use '{DEFAULT_HEAD}'"
        )
    threshold = float(config.get("threshold", 0.5))
    return BoundaryHead(build_boundary_model(**settings), variables, threshold, config)


def save_head(folder: Path, head: BoundaryHead) -> Path:
    """Write `folder/release`, from which `load_head(folder)` loads the head."""
    return release.save(folder, head.saved_config, head.variables)
