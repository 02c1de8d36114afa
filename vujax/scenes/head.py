"""A trained boundary head at work: the vectors of a film's shots in, a probability a border out."""

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
CHUNK = 256  # borders judged at once, and shots encoded at once: memory does not grow with a film


@dataclasses.dataclass(frozen=True)
class BoundaryHead:
    """A boundary model with its weights.

    Attributes:
      model: see `vujax.models.boundary`; its encoder, if it has one, reads vectors.
      variables: its parameters, and batch statistics if it has any.
      threshold: probability above which a border is called a scene border.
      config: what was saved beside the weights.
    """

    model: BoundaryModel
    variables: Tree
    threshold: float
    config: dict[str, Any]

    @property
    def parameters(self) -> int:
        """How many weights it has."""
        return sum(np.size(leaf) for leaf in jax.tree.leaves(self.variables["params"]))

    @property
    def saved(self) -> dict[str, Any]:
        """`config` with the threshold, as `save_head` writes it."""
        return self.config | {"threshold": self.threshold}

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of its weights and of `saved`, the same before it is saved and when loaded."""
        found = hashlib.sha256(json.dumps(self.saved, sort_keys=True).encode())
        for name, leaf in sorted(flatten_tree(self.variables).items()):
            array = np.asarray(leaf, order="C")
            found.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
            found.update(array.tobytes())
        return found.hexdigest()

    def scores(self, vectors: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """The probability of each border that a scene begins after it.

        The classes were balanced in training, so 0.5 is no border's true chance: compare with
        `threshold`.

        Args:
          vectors: `[n d]`, one per shot, of any length. The similarity head takes any encoder's;
            the others the one they learned on.
          seconds: float64 `[n 2]`, begin and end of each shot.

        Returns:
          float32 `[n-1]`, empty for one shot.

        Raises:
          ValueError: another width than the head learned on, shapes that do not fit, or a number
            that is not finite.
        """
        vectors = np.asarray(vectors)
        normalize_rows(vectors)  # says what is wrong with them
        scores = [
            np.asarray(_judge(self.model, self.variables, rows))
            for rows in self._rows(vectors.astype(np.float32), np.asarray(seconds, np.float64))
        ]
        return np.concatenate([np.zeros(0, np.float32), *scores])[: len(vectors) - 1]

    def _rows(self, vectors: np.ndarray, seconds: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """The head's arguments, CHUNK borders at a time; the last is repeated to fill a chunk."""
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
        for borders in chunks:
            shots = borders[:, None] + offsets
            mask = (shots >= 0) & (shots < len(vectors))
            yield {"vectors": vectors[np.clip(shots, 0, len(vectors) - 1)], "mask": mask}

    def _check_width(self, width: int) -> None:
        shots = self.model.head.before + self.model.head.after
        rows = {"feature": jnp.zeros((1, shots, width)), "mask": jnp.ones((1, shots), bool)}
        wanted = jax.eval_shape(self.model.init, jax.random.key(0), rows)["params"]
        shapes = lambda tree: jax.tree.map(np.shape, tree)  # noqa: E731
        if shapes(wanted) != shapes(self.variables["params"]):
            raise ValueError(
                f"the head did not learn on vectors of width {width}: take those of the encoder "
                f"that it was trained with, or the head '{DEFAULT_HEAD}', which takes any"
            )

    def _encode(self, vectors: np.ndarray) -> np.ndarray:
        """What the head reads, `[n d]`: the vectors, or what the model's encoder makes of them."""
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
    """A head that comes with the package, or one that was trained.

    Args:
      name_or_path: 'default'; or a folder that `save_head` or a training with configs/boundary.py
        wrote.

    Raises:
      FileNotFoundError: there is no such head.
      ValueError: the folder holds another kind of model, or is damaged.
    """
    path = HEADS_DIR / DEFAULT_HEAD if str(name_or_path) == DEFAULT_HEAD else Path(name_or_path)
    config, variables = release.load_host(path)
    settings = config.get("model", {})
    if "head" not in settings:
        raise ValueError(
            f"{path} holds a model without a boundary head: train one with configs/boundary.py, or "
            f"take '{DEFAULT_HEAD}'"
        )
    threshold = float(config.get("threshold", 0.5))
    return BoundaryHead(build_boundary_model(**settings), variables, threshold, config)


def save_head(folder: Path, head: BoundaryHead) -> Path:
    """Writes `folder/release`, from which `load_head(folder)` reads the head."""
    return release.save(folder, head.saved, head.variables)
