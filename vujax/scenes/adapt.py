"""Adaptation of shot embeddings to a few films without labels, by ShotCoL.

A small network on top of frozen embeddings is trained to move each shot close to its most similar
neighbor and away from other shots. The result is meant for the films that it was trained on.
"""

import functools
import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

import jax
import numpy as np
from flax.core import FrozenDict

from vujax.data.datasets.features import FeatureFilm
from vujax.data.shot_windows import ShotWindows, batch_spec
from vujax.methods.shotcol import ShotCoL
from vujax.models.projection import ContrastModel
from vujax.models.shot_encoder import build_shot_encoder
from vujax.training.fit import build_program, get_shapes
from vujax.utils.mesh import make_global_batch, make_mesh

ENCODE_CHUNK = 4096  # shots per step
MIN_STEPS = 10


@dataclass(frozen=True)
class AdaptationConfig:
    """Hyperparameters, chosen on BBC Planet Earth (experiments/scene_adaptation.py).

    Attributes:
      mode: see `vujax.methods.shotcol.ShotCoL`.
      neighbours: shots on each side that are candidates for the positive.
      walls: share of the boundaries that no positive crosses, see `vujax.data.shot_windows`.
      soft_temperature: of mode 'soft'.
      temperature: temperature of the contrastive loss.
      mask_radius: shots of the same film within this distance are not negatives; -1 for none.
      steps: maximum number of training steps.
      passes: maximum number of passes over all shots, against overfitting to few shots.
      windows: windows per step.
      block: queries per window.
      queue: number of queued keys that are negatives, a multiple of windows x block.
      momentum: momentum of the key encoder.
      lr: peak learning rate.
      weight_decay: weight decay of kernels.
      dropout: share of the components of an embedding that a view drops.
      hidden: width of the hidden layer.
      dim: dimension of the adapted embeddings.
    """

    mode: str = "nearest"
    neighbours: int = 1
    walls: float = 0.0
    soft_temperature: float = 0.1
    temperature: float = 0.1
    mask_radius: int = -1
    steps: int = 400
    passes: float = 50.0
    windows: int = 32
    block: int = 8
    queue: int = 4096
    momentum: float = 0.99
    lr: float = 1e-3
    weight_decay: float = 1e-4
    dropout: float = 0.2
    hidden: int = 512
    dim: int = 128

    def steps_for(self, shots: int) -> int:
        """Return the number of training steps for a number of shots."""
        passes = math.ceil(self.passes * shots / (self.windows * self.block))
        return min(self.steps, max(passes, MIN_STEPS))

    def model(self) -> ContrastModel:
        """Build the network: normalized embeddings through one hidden layer."""
        feature = dict(hidden=(self.hidden,), dim=self.dim, unit=True)
        return ContrastModel(build_shot_encoder(feature=feature), None)


@dataclass(frozen=True)
class Adapter:
    """A trained network.

    Attributes:
      config: hyperparameters of the training.
      variables: variables of `config.model()`.
    """

    config: AdaptationConfig
    variables: dict = field(repr=False)

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Adapt embeddings, float32 `[n d]` -> `[n dim]`."""
        starts = range(0, len(vectors), ENCODE_CHUNK)
        return np.concatenate([self._encode(vectors[i : i + ENCODE_CHUNK]) for i in starts])

    def _encode(self, vectors: np.ndarray) -> np.ndarray:
        """Encode rows, padded to a power of two so that few shapes are compiled."""
        missing = (1 << (len(vectors) - 1).bit_length()) - len(vectors)
        padded = np.pad(vectors, ((0, missing), (0, 0)))
        return np.asarray(_encode(self.config, self.variables, padded))[: len(vectors)]


def train_adapter(
    films: Sequence[np.ndarray], config: AdaptationConfig, *, seed: int = 0
) -> Adapter:
    """Train a network on films; the result is deterministic.

    Args:
      films: shot embeddings of each film, float32 `[n d]`.
      config: hyperparameters.
      seed: seed of the initialization and the order of examples.

    Raises:
      ValueError: there is no film, a film has no shot, or embeddings are not finite or differ in
        width.
    """
    opened = _open_films(films)
    inputs = {"feature": films[0].shape[1:]}
    windows = ShotWindows(opened, inputs, **_window_options(config), walls=config.walls)
    method = ShotCoL(
        config.model(),
        mode=config.mode,
        queue=0 if config.mode == "simclr" else config.queue,
        momentum=config.momentum,
        temperature=config.temperature,
        mask_radius=config.mask_radius,
        soft_temperature=config.soft_temperature,
        augment=FrozenDict(dropout=config.dropout),
    )
    batch = batch_spec(inputs, config.windows, **_window_options(config))
    steps = config.steps_for(windows.examples)
    recipe = dict(steps=steps, lr=config.lr, weight_decay=config.weight_decay)
    init, step = build_program(method, get_shapes(batch), **recipe, warmup=steps // 20)
    state, mesh = init(jax.random.key(seed)), make_mesh(jax.devices()[:1])
    with closing(windows.train_batches(batch_size=config.windows, seed=seed)) as batches:
        for _ in range(steps):
            state, _ = step(state, make_global_batch(mesh, next(batches)))
    return Adapter(config, {"params": jax.device_get(state.params)})


def adapt_embeddings(
    films: Sequence[np.ndarray], config: AdaptationConfig | None = None, *, seed: int = 0
) -> list[np.ndarray]:
    """Adapt the embeddings of films to these films; films of one shot each remain unchanged.

    Args:
      films: shot embeddings of each film, float32 `[n d]`.
      config: hyperparameters; None for the defaults.
      seed: seed of the initialization and the order of examples.

    Raises:
      ValueError: there is no film, a film has no shot, or embeddings are not finite or differ in
        width.
    """
    if max(map(len, _open_films(films))) < 2:
        return list(films)
    adapter = train_adapter(films, config or AdaptationConfig(), seed=seed)
    return [adapter(film) for film in films]


def _open_films(films: Sequence[np.ndarray]) -> list[FeatureFilm]:
    """Wrap embeddings as films of one second per shot, since times do not matter."""
    if not films:
        raise ValueError("there are no films to adapt to; name at least one")
    if empty := [number for number, vectors in enumerate(films) if not len(vectors)]:
        raise ValueError(f"film {empty[0]} has no shots; leave it out")
    return [
        FeatureFilm(f"film {number}", _seconds(len(vectors)), vectors=vectors)
        for number, vectors in enumerate(films)
    ]


def _seconds(shots: int) -> np.ndarray:
    return np.arange(shots)[:, None] + np.array([0.0, 1.0])


def _window_options(config: AdaptationConfig) -> dict[str, int]:
    return dict(neighbours=config.neighbours, block=config.block)


@functools.partial(jax.jit, static_argnums=0)
def _encode(config: AdaptationConfig, variables: dict, vectors: jax.Array) -> jax.Array:
    return config.model().apply(variables, {"feature": vectors})[0]
