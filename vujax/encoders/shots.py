"""Models that see shots, as encoders: those that ShotCoL trains, and those of Movies2Scenes.

Both keep what they learned with, a projection, only for the training: vectors are the encoder's.

Scenes, or shots as scenes of one, through an encoder of shots.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from numpy.typing import ArrayLike

from vujax.data.scene_batches import SceneRows, batch_spec
from vujax.data.scenes import Scenes, select_scenes
from vujax.encoders.base import ShotEncoder, digest_of
from vujax.encoders.devices import ShardedFunction
from vujax.models.scene_encoder import build_scene_encoder
from vujax.models.shot_encoder import build_shot_encoder

Tree = Any

KNOWN_INPUTS = ("image", "feature")


class ReleasedShotEncoder(ShotEncoder):
    """A `ShotEncoder` of a release; its vectors are not normalised."""

    def __init__(
        self, name: str, config: Mapping[str, Any], variables: Tree, max_shots: int
    ) -> None:
        """Checks what it sees of a shot.

        Args:
          name: of the encoder.
          config: of the release: `inputs`, and `vectors` where features are among them.
          variables: of the release; those of its encoder are kept.
          max_shots: of a scene.

        Raises:
          ValueError: the release does not say what it sees, or a catalogue does not have it.
        """
        self.name, self.digest, self.max_shots = name, digest_of(config, variables), max_shots
        self.inputs = read_inputs(name, config)
        self.vectors = config.get("vectors") if "feature" in self.inputs else None
        own = {key: tree["encoder"] for key, tree in variables.items() if "encoder" in tree}
        self._network = ShardedFunction(self._vectors, own)
        self.dim = self._network.dim(batch_spec(self.inputs, 1, width=max_shots, most=max_shots))

    def encode(self, rows: Mapping[str, np.ndarray]) -> jax.Array:
        """See `ShotEncoder`."""
        return self._network(dict(rows))

    def _vectors(self, variables: Tree, rows: Mapping[str, jax.Array]) -> jax.Array:
        """Rows of scenes to `[r s dim]`."""
        raise NotImplementedError


class SingleShotEncoder(ReleasedShotEncoder):
    """The shot encoder that ShotCoL trained: it sees one shot at a time."""

    sees = ("shot",)

    def __init__(self, name: str, config: Mapping[str, Any], variables: Tree) -> None:
        """Builds the model; see `OfShots`."""
        self._model = build_shot_encoder(**config["model"]["encoder"])
        super().__init__(name, config, variables, 1)

    def _vectors(self, variables: Tree, rows: Mapping[str, jax.Array]) -> jax.Array:
        shots = {key: rows[key][:, 0] for key in self.inputs}  # a row has one scene of one shot
        return self._model.apply(variables, shots)[0][:, None]


class SceneEncoder(ReleasedShotEncoder):
    """The scene model that Movies2Scenes trained: it sees single shots and scenes alike."""

    sees = ("shot", "scene")

    def __init__(self, name: str, config: Mapping[str, Any], variables: Tree) -> None:
        """Builds the model; see `OfShots`."""
        self._model: nn.Module = build_scene_encoder(**config["model"]["encoder"])
        super().__init__(name, config, variables, self._model.max_shots)

    def _vectors(self, variables: Tree, rows: Mapping[str, jax.Array]) -> jax.Array:
        return self._model.apply(variables, rows)[0]


def read_inputs(name: str, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """What a release's model sees of a shot, see `ShotEncoder.inputs`.

    Raises:
      ValueError: it does not say, or a catalogue does not have it.
    """
    inputs = {key: tuple(shape) for key, shape in (config.get("inputs") or {}).items()}
    if not inputs:
        raise ValueError(
            f"{name} does not say in its config.json what it sees of a shot (inputs): release it "
            "again from its training's folder"
        )
    if unknown := sorted(set(inputs) - set(KNOWN_INPUTS)):
        raise ValueError(
            f"{name} takes {unknown[0]} of shots, and vectors are made of "
            f"{' or '.join(KNOWN_INPUTS)} alone: train it without"
        )
    if len(inputs.get("feature", (0,))) != 1:
        raise ValueError(
            f"{name} takes features of single keyframes, and a catalogue gives vectors of shots: "
            "train it with model.frame_layers 0"
        )
    if "feature" in inputs and not config.get("vectors"):
        raise ValueError(
            f"{name} does not say in its config.json whose vectors of shots it takes (vectors): "
            "name the encoder there, such as 'lite'"
        )
    return inputs


def encode_scenes(
    encoder: ShotEncoder,
    scenes: Scenes,
    batch: int = 32,
    done: Callable[[int], None] = lambda count: None,
) -> np.ndarray:
    """Vectors of scenes; of one with more shots than the encoder sees, `max_shots` stand for it.

    These are the middles of as many equal parts, as `select_scenes` thins.

    Args:
      encoder: that makes them.
      scenes: at least one.
      batch: shots that it sees at once, about.
      done: told how many scenes have their vector.

    Returns:
      float32 `[n dim]`.

    Raises:
      ValueError: a scene has other inputs than the encoder takes, or cannot be read.
    """
    chosen, most = select_scenes(scenes, max_shots=encoder.max_shots), encoder.max_shots
    rows = SceneRows(chosen, encoder.inputs, width=most, most=most)
    found = np.full((len(chosen.keys), encoder.dim), np.nan, np.float32)
    with closing(rows.eval_batches(batch_size=count_rows(encoder, batch))) as batches:
        pending, known = None, 0
        for given in batches:
            made = encoder.encode(select_inputs(encoder, given)), given["scene"]
            if pending:  # fetched one batch late: the device never waits for the host
                known += _put(found, *pending)
                done(known)
            pending = made
    done(known + _put(found, *pending))
    return found


def run_trial(encoder: ShotEncoder, batch: int) -> np.ndarray:
    """What it makes of empty rows, float32 `[r s dim]`: compiles what `encode_scenes` runs."""
    most, count = encoder.max_shots, count_rows(encoder, batch)
    empty = batch_spec(encoder.inputs, count, width=most, most=most)
    zeros = {name: np.zeros(array.shape, array.dtype) for name, array in empty.items()}
    return np.asarray(encoder.encode(select_inputs(encoder, zeros)))


def select_inputs(encoder: ShotEncoder, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What an encoder needs of rows."""
    return {name: rows[name] for name in (*encoder.inputs, "segment", "place", "time", "scene")}


def count_rows(encoder: ShotEncoder, batch: int) -> int:
    """Rows of about so many shots."""
    return max(1, batch // encoder.max_shots)


def _put(found: np.ndarray, made: ArrayLike, scenes: np.ndarray) -> int:
    """Puts a batch's vectors in their places; how many there are."""
    there = scenes >= 0
    found[scenes[there]] = np.asarray(made, np.float32)[there]
    return int(there.sum())
