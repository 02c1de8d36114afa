"""ShotCoL on a few films' own vectors, without labels: their shots learn to tell scenes apart.

A small network on top of frozen vectors learns, for each shot, to be close to its most similar
neighbour and far from other shots. What it learns serves the films that it learned from.
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
from vujax.models.projection import ShotContrast
from vujax.models.shot_encoder import build_shot_encoder
from vujax.training.fit import program, shapes_of
from vujax.utils.mesh import make_global_batch, make_mesh

ENCODE_CHUNK = 4096  # shots at once
MIN_STEPS = 10


@dataclass(frozen=True)
class AdaptationConfig:
    """How vectors are adapted; chosen on BBC Planet Earth, see experiments/scene_adaptation.py.

    Attributes:
      mode: see `vujax.methods.shotcol.ShotCoL`.
      neighbours: shots on each side among which a positive is sought.
      temperature: of the contrast.
      mask_radius: nearer shots of the same film are no negatives; -1: all are.
      steps: of training, at most.
      passes: over all shots, at most: with more, a small network knows few shots by heart.
      windows: of a step.
      block: queries of a window.
      queue: earlier keys that are negatives, a multiple of windows x block.
      momentum: of the key encoder.
      lr: greatest learning rate.
      weight_decay: of kernels.
      dropout: share of a vector's numbers that a view loses.
      hidden: width of the network's layer.
      dim: of the adapted vectors.
    """

    mode: str = "nearest"
    neighbours: int = 1
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
        """Steps of a training on so many shots."""
        passes = math.ceil(self.passes * shots / (self.windows * self.block))
        return min(self.steps, max(passes, MIN_STEPS))

    def model(self) -> ShotContrast:
        """The network: vectors, divided by their length, through one hidden layer."""
        feature = dict(hidden=(self.hidden,), dim=self.dim, unit=True)
        return ShotContrast(build_shot_encoder(feature=feature), None)


@dataclass(frozen=True)
class Adapter:
    """A trained network.

    Attributes:
      how: it was trained.
      variables: of `how.model()`.
    """

    how: AdaptationConfig
    variables: dict = field(repr=False)

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors float32 `[n d]` -> adapted ones, float32 `[n dim]`."""
        starts = range(0, len(vectors), ENCODE_CHUNK)
        return np.concatenate([self._encode(vectors[at : at + ENCODE_CHUNK]) for at in starts])

    def _encode(self, vectors: np.ndarray) -> np.ndarray:
        """Rows are filled up to a power of two, so that few shapes are compiled."""
        more = (1 << (len(vectors) - 1).bit_length()) - len(vectors)
        filled = np.pad(vectors, ((0, more), (0, 0)))
        return np.asarray(_encode(self.how, self.variables, filled))[: len(vectors)]


def train_adapter(films: Sequence[np.ndarray], how: AdaptationConfig, *, seed: int = 0) -> Adapter:
    """Trains on films' vectors, float32 `[n d]` each; the same arguments give the same network.

    Raises:
      ValueError: there is no film, one has no shot, or vectors are not finite or of several widths.
    """
    opened = _films(films)
    inputs = {"feature": films[0].shape[1:]}
    windows = ShotWindows(opened, inputs, **_cut(how))
    method = ShotCoL(
        how.model(),
        mode=how.mode,
        queue=0 if how.mode == "simclr" else how.queue,
        momentum=how.momentum,
        temperature=how.temperature,
        mask_radius=how.mask_radius,
        augment=FrozenDict(dropout=how.dropout),
    )
    batch = batch_spec(inputs, how.windows, **_cut(how))
    steps = how.steps_for(windows.examples)
    recipe = dict(steps=steps, lr=how.lr, weight_decay=how.weight_decay)
    init, step = program(method, shapes_of(batch), **recipe, warmup=steps // 20)
    state, mesh = init(jax.random.key(seed)), make_mesh(jax.devices()[:1])
    with closing(windows.train_batches(batch_size=how.windows, seed=seed)) as batches:
        for _ in range(steps):
            state, _ = step(state, make_global_batch(mesh, next(batches)))
    return Adapter(how, {"params": jax.device_get(state.params)})


def adapt_embeddings(
    films: Sequence[np.ndarray], how: AdaptationConfig | None = None, *, seed: int = 0
) -> list[np.ndarray]:
    """Each film's vectors, adapted to all of them; films of one shot each stay as they are.

    Args:
      films: float32 `[n d]` each, one vector a shot.
      how: to learn.
      seed: of the start and the order.

    Raises:
      ValueError: there is no film, one has no shot, or vectors are not finite or of several widths.
    """
    if max(map(len, _films(films))) < 2:
        return list(films)
    trained = train_adapter(films, how or AdaptationConfig(), seed=seed)
    return [trained(film) for film in films]


def _films(films: Sequence[np.ndarray]) -> list[FeatureFilm]:
    """Times are of no account here: a second a shot."""
    if not films:
        raise ValueError("there are no films to adapt to")
    if empty := [number for number, vectors in enumerate(films) if not len(vectors)]:
        raise ValueError(f"film {empty[0]} has no shots: leave it out")
    return [
        FeatureFilm(f"film {number}", _seconds(len(vectors)), vectors=vectors)
        for number, vectors in enumerate(films)
    ]


def _seconds(shots: int) -> np.ndarray:
    return np.arange(shots)[:, None] + np.array([0.0, 1.0])


def _cut(how: AdaptationConfig) -> dict[str, int]:
    return dict(neighbours=how.neighbours, block=how.block)


@functools.partial(jax.jit, static_argnums=0)
def _encode(how: AdaptationConfig, variables: dict, vectors: jax.Array) -> jax.Array:
    return how.model().apply(variables, {"feature": vectors})[0]
