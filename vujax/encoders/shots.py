"""Encoders of shots and scenes: releases of ShotCoL and Movies2Scenes, also of its linear form.

Both methods train through a projection. Embeddings are the encoder's output, or that of the
projection where the release was opened as 'NAME:projection'.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from numpy.typing import ArrayLike

from vujax.data.scene_batches import SceneRows, batch_spec
from vujax.data.scenes import Scenes, select_scenes
from vujax.encoders.base import PROJECTION, ShotEncoder, compute_release_digest, get_input_encoder
from vujax.models.inference import ShardedFunction
from vujax.models.projection import build_contrast_model
from vujax.models.scene_encoder import build_scene_encoder
from vujax.models.shot_encoder import build_shot_encoder

Tree = Any

KNOWN_INPUTS = ("image", "feature")


class ReleasedShotEncoder(ShotEncoder):
    """`ShotEncoder` of a release; its embeddings are not normalized."""

    def __init__(
        self, name: str, config: Mapping[str, Any], variables: Tree, max_shots: int
    ) -> None:
        """Check the inputs of the release.

        Args:
          name: name of the encoder.
          config: config of the release, with `inputs`, and `vectors` if features are among them.
          variables: variables of the release; those of its encoder are used, and of its projection
            if that is the output.
          max_shots: maximum number of shots of a scene.

        Raises:
          ValueError: the release does not declare its inputs, or a catalog does not have them.
        """
        self.name, self.max_shots = name, max_shots
        self.digest = compute_release_digest(config, variables)
        self.inputs = read_inputs(name, config)
        self.input_encoder = get_input_encoder(config)
        self._network = ShardedFunction(self._embed, _select_variables(name, config, variables))
        self.dim = self._network.dim(batch_spec(self.inputs, 1, width=max_shots, most=max_shots))

    def encode(self, rows: Mapping[str, np.ndarray]) -> jax.Array:
        """Return the embeddings of packed scenes, see `ShotEncoder`."""
        return self._network(dict(rows))

    def _embed(self, variables: Tree, rows: Mapping[str, jax.Array]) -> jax.Array:
        """Return the embeddings `[r s dim]` of rows of packed scenes."""
        raise NotImplementedError


class SingleShotEncoder(ReleasedShotEncoder):
    """Shot encoder trained by ShotCoL: it takes one shot at a time."""

    native_levels = ("shot",)

    def __init__(self, name: str, config: Mapping[str, Any], variables: Tree) -> None:
        """Build the model; see `ReleasedShotEncoder`."""
        self._apply = _build_apply(config, build_shot_encoder)
        super().__init__(name, config, variables, 1)

    def _embed(self, variables: Tree, rows: Mapping[str, jax.Array]) -> jax.Array:
        shots = {key: rows[key][:, 0] for key in self.inputs}  # a row has one scene of one shot
        return self._apply(variables, shots)[:, None]


class SceneEncoder(ReleasedShotEncoder):
    """Scene encoder trained by Movies2Scenes: it takes single shots and scenes."""

    native_levels = ("shot", "scene")

    def __init__(self, name: str, config: Mapping[str, Any], variables: Tree) -> None:
        """Build the model; see `ReleasedShotEncoder`."""
        self._apply = _build_apply(config, build_scene_encoder)
        encoder = build_scene_encoder(**config["model"]["encoder"])
        super().__init__(name, config, variables, encoder.max_shots)

    def _embed(self, variables: Tree, rows: Mapping[str, jax.Array]) -> jax.Array:
        return self._apply(variables, rows)


def _build_apply(
    config: Mapping[str, Any], build_encoder: Callable[..., nn.Module]
) -> Callable[[Tree, Mapping[str, jax.Array]], jax.Array]:
    """Return `(variables, inputs) -> embeddings` of the release's output."""
    if config.get("output") != PROJECTION:
        encoder = build_encoder(**config["model"]["encoder"])
        return lambda variables, inputs: encoder.apply(variables, inputs)[0]
    model = build_contrast_model(config["model"], build_encoder)
    return lambda variables, inputs: model.apply(variables, inputs)[1]


def _select_variables(name: str, config: Mapping[str, Any], variables: Tree) -> Tree:
    """Return the variables of the encoder, or of the encoder and its projection."""
    if config.get("output") != PROJECTION:
        return {key: tree["encoder"] for key, tree in variables.items() if "encoder" in tree}
    if PROJECTION not in variables.get("params", {}):
        raise ValueError(
            f"{name}: the release has no weights of its projection: use it without "
            f"':{PROJECTION}', or release it again from its workdir"
        )
    return variables


class LinearSceneEncoder(ReleasedShotEncoder):
    """Linear map of the mean of a scene's shot embeddings, see `vujax.methods.linear_guide`."""

    native_levels = ("shot", "scene")

    def __init__(self, name: str, config: Mapping[str, Any], variables: Tree) -> None:
        """Check the release; see `ReleasedShotEncoder`."""
        super().__init__(name, config, variables, config["model"]["encoder"]["max_shots"])

    def _embed(self, variables: Tree, rows: Mapping[str, jax.Array]) -> jax.Array:
        number = jnp.arange(1, rows["scene"].shape[1] + 1)
        is_shot = (rows["segment"][:, None] == number[:, None]).astype(jnp.float32)  # [r s w]
        count = jnp.maximum(is_shot.sum(axis=2, keepdims=True), 1)
        mean = jnp.matmul(is_shot, rows["feature"], precision="highest") / count
        centered = mean - variables["params"]["mean"]
        return jnp.matmul(centered, variables["params"]["matrix"], precision="highest")


def read_inputs(name: str, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the inputs per shot of a release's model, see `ShotEncoder.inputs`.

    Args:
      name: name of the encoder, for messages.
      config: config of the release.

    Raises:
      ValueError: the release does not declare its inputs, or a catalog does not have them.
    """
    inputs = {key: tuple(shape) for key, shape in (config.get("inputs") or {}).items()}
    if not inputs:
        raise ValueError(
            f"{name} does not declare its inputs per shot in its config.json (inputs); release it "
            "again from its workdir"
        )
    if unknown := sorted(set(inputs) - set(KNOWN_INPUTS)):
        raise ValueError(
            f"{name} takes {unknown[0]} of shots, and a catalog has only "
            f"{' and '.join(KNOWN_INPUTS)}; train it without"
        )
    if len(inputs.get("feature", (0,))) != 1:
        raise ValueError(
            f"{name} takes features of single keyframes, and a catalog has embeddings of shots; "
            "train it with model.frame_layers 0"
        )
    if "feature" in inputs and not config.get("vectors"):
        raise ValueError(
            f"{name} does not declare the encoder of its input embeddings in its config.json "
            "(vectors); name it there, such as 'lite'"
        )
    return inputs


def encode_scenes(
    encoder: ShotEncoder,
    scenes: Scenes,
    batch: int = 32,
    done: Callable[[int], None] = lambda count: None,
) -> np.ndarray:
    """Compute the embeddings of scenes.

    Of a scene with more shots than the encoder takes, `max_shots` are used: the middles of as many
    equal parts, see `select_scenes`.

    Args:
      encoder: encoder of shots.
      scenes: at least one scene.
      batch: approximate number of shots per batch.
      done: called with the number of scenes that are done.

    Returns:
      float32 `[n dim]`.

    Raises:
      ValueError: a scene has other inputs than the encoder takes, or is not readable.
    """
    chosen, most = select_scenes(scenes, max_shots=encoder.max_shots), encoder.max_shots
    rows = SceneRows(chosen, encoder.inputs, width=most, most=most)
    found = np.full((len(chosen.keys), encoder.dim), np.nan, np.float32)
    with closing(rows.eval_batches(batch_size=count_rows(encoder, batch))) as batches:
        pending: tuple[Any, np.ndarray] | None = None
        count = 0
        for given in batches:
            submitted = encoder.encode(select_inputs(encoder, given)), given["scene"]
            if pending:  # fetched one batch late: the device never waits for the host
                count += _store(found, pending)
                done(count)
            pending = submitted
    done(count + _store(found, pending))
    return found


def run_trial(encoder: ShotEncoder, batch: int) -> np.ndarray:
    """Run the encoder on zeros, float32 `[r s dim]`, to compile what `encode_scenes` runs."""
    most, count = encoder.max_shots, count_rows(encoder, batch)
    empty = batch_spec(encoder.inputs, count, width=most, most=most)
    zeros = {name: np.zeros(array.shape, array.dtype) for name, array in empty.items()}
    return np.asarray(encoder.encode(select_inputs(encoder, zeros)))


def select_inputs(encoder: ShotEncoder, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of packed rows that an encoder takes."""
    return {name: rows[name] for name in (*encoder.inputs, "segment", "place", "time", "scene")}


def count_rows(encoder: ShotEncoder, batch: int) -> int:
    """Return the number of rows that hold about `batch` shots."""
    return max(1, batch // encoder.max_shots)


def _store(found: np.ndarray, batch: tuple[ArrayLike, np.ndarray]) -> int:
    """Store a batch, its embeddings and their scenes, in `found`; return the number of scenes."""
    embeddings, scenes = batch
    is_scene = scenes >= 0
    found[scenes[is_scene]] = np.asarray(embeddings, np.float32)[is_scene]
    return int(is_scene.sum())
