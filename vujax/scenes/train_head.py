"""Training of boundary heads on labeled films with embeddings, in about a minute on one core.

To train the encoder too, or for many films or devices, use `vujax.main` with configs/boundary.py,
which shares the loss, the step and the inputs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from vujax.data.boundary_windows import BoundaryWindows
from vujax.data.films import Film
from vujax.data.pipeline import derive_seed
from vujax.methods.boundary import Boundary
from vujax.models.boundary import BoundaryModel, build_boundary_head
from vujax.scenes.head import BoundaryHead
from vujax.training.fit import build_program, get_shapes
from vujax.utils.mesh import make_global_batch, make_mesh

Tree = Any
THRESHOLDS = np.linspace(0.05, 0.98, 94)


def train_head(
    films: Sequence[Film],
    head: Mapping[str, Any],
    *,
    steps: int = 200,
    batch_size: int = 1024,
    lr: float = 3e-3,
    weight_decay: float = 0.1,
    labels_percent: float = 100.0,
    folds: int = 4,
    seed: int = 0,
) -> BoundaryHead:
    """Train a head and choose its threshold; the result is deterministic.

    The threshold maximizes F1 (mean over films) on held-out films: `folds` additional heads are
    trained, each without one fold of the films.

    Args:
      films: labeled films with the input 'feature'.
      head: arguments of `build_head`.
      steps: number of AdamW steps, with cosine decay from `lr` to 0.
      batch_size: boundaries per step.
      lr: peak learning rate.
      weight_decay: weight decay of kernels, multiplied by the learning rate.
      labels_percent: percentage of the scenes whose labels are used.
      folds: number of folds; with 0, or for a single film, the threshold is 0.5.
      seed: seed of the initialization, the order and the choice of labels.

    Raises:
      ValueError: see `BoundaryWindows`.
    """
    recipe = dict(steps=steps, batch_size=batch_size, lr=lr, weight_decay=weight_decay)
    module = build_boundary_head(**head)

    def train(films: Sequence[Film], threshold: float = 0.5) -> BoundaryHead:
        rows = BoundaryWindows(films, **module.window, labels_percent=labels_percent, seed=seed)
        config = {
            "model": {"head": dict(head)},
            "training": recipe | {"labels_percent": labels_percent, "seed": seed},
        }
        variables = {"params": fit_head(rows, module, **recipe, seed=seed)}
        return BoundaryHead(BoundaryModel(None, module), variables, threshold, config)

    parts = [films[i::folds] for i in range(min(folds, len(films)))]
    if len(parts) < 2:
        return train(films)
    scores, starts = [], []
    for held_out in parts:
        fold_head = train([film for film in films if film not in held_out])
        scores += [score_film(fold_head, film) for film in held_out]
        starts += [film.starts for film in held_out]
    return train(films, choose_threshold(scores, starts))


def score_film(head: BoundaryHead, film: Film) -> np.ndarray:
    """Score the shot boundaries of a film by its input 'feature'."""
    return head.scores(film.inputs(np.arange(len(film)))["feature"], film.seconds)


def choose_threshold(scores: Sequence[np.ndarray], starts: Sequence[np.ndarray]) -> float:
    """Choose the threshold (of 0.05, 0.06, ... 0.98) with the best mean F1 over films.

    Films without a scene boundary are left out. F1 is first smoothed over 0.05 on both sides,
    because single peaks of its curve are noise.

    Args:
      scores: probabilities `[n-1]` of each film.
      starts: whether a scene starts after each boundary, bool `[n-1]` of each film.
    """
    totals = np.zeros(len(THRESHOLDS))
    for score, start in zip(scores, starts, strict=True):
        if not np.any(start):
            continue
        predicted = np.asarray(score)[None, :] > THRESHOLDS[:, None]
        hits = (predicted & np.asarray(start, bool)).sum(axis=1)
        totals += 2 * hits / (predicted.sum(axis=1) + np.sum(start))
    smooth = np.convolve(totals, np.ones(11) / 11, mode="same")
    return round(float(THRESHOLDS[smooth.argmax()]), 2)


def fit_head(
    rows: BoundaryWindows,
    head: nn.Module,
    *,
    steps: int,
    batch_size: int,
    lr: float,
    weight_decay: float,
    seed: int,
) -> Tree:
    """Train `BoundaryModel(None, head)` and return its parameters as numpy arrays."""
    method = Boundary(BoundaryModel(None, head))
    recipe = dict(steps=steps, lr=lr, weight_decay=weight_decay)
    init, step = build_program(method, get_shapes(rows.batch_spec(batch_size)), **recipe)
    state, mesh = init(jax.random.key(seed)), make_mesh(jax.devices()[:1])
    for number, examples in zip(range(steps), _draws(rows.examples, batch_size, seed)):  # noqa: B905
        index = np.arange(number * batch_size, (number + 1) * batch_size, dtype=np.int32)
        state, _ = step(state, make_global_batch(mesh, rows.load(examples) | {"index": index}))
    return jax.device_get(state.params)


def _draws(examples: int, size: int, seed: int) -> Iterator[np.ndarray]:
    """Yield batches of `size` from endless shuffled passes."""
    rng = np.random.default_rng(derive_seed(seed, "order of borders"))
    pending = np.zeros(0, np.int64)
    while True:
        while len(pending) < size:
            pending = np.concatenate([pending, rng.permutation(examples)])
        yield pending[:size]
        pending = pending[size:]
