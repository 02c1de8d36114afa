"""Trains a boundary head on labelled films with vectors: a minute or so on one core.

For encoders that learn too, many films or many devices there is `vujax.main` with
configs/boundary.py; the loss, the step and the rows are the same.
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
from vujax.training.fit import program, shapes_of
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
    """A head and its threshold; the same films and seed give the same head.

    The threshold is the one with the best F1 (mean over films) on films that the head did not learn
    from: `folds` further heads are trained, each without its part of the films.

    Args:
      films: labelled, with 'feature'.
      head: arguments of `build_head`.
      steps: of AdamW, half a cosine from `lr` to 0.
      batch_size: borders in a step.
      lr: greatest learning rate.
      weight_decay: of kernels, multiplied by the learning rate.
      labels_percent: share of the scenes whose labels are used.
      folds: parts of the films; 0, or a single film: no further heads, and the threshold is 0.5.
      seed: of the start, the order and the choice of labels.

    Raises:
      ValueError: see `BoundaryWindows`.
    """
    recipe = dict(steps=steps, batch_size=batch_size, lr=lr, weight_decay=weight_decay)
    module = build_boundary_head(**head)

    def trained(films: Sequence[Film], threshold: float = 0.5) -> BoundaryHead:
        rows = BoundaryWindows(films, **module.window, labels_percent=labels_percent, seed=seed)
        config = {
            "model": {"head": dict(head)},
            "training": recipe | {"labels_percent": labels_percent, "seed": seed},
        }
        variables = {"params": fit_head(rows, module, **recipe, seed=seed)}
        return BoundaryHead(BoundaryModel(None, module), variables, threshold, config)

    parts = [films[i::folds] for i in range(min(folds, len(films)))]
    if len(parts) < 2:
        return trained(films)
    scored = []
    for part in parts:
        rest = trained([film for film in films if film not in part])
        scored += [(score_film(rest, film), film.starts) for film in part]
    return trained(films, choose_threshold(*zip(*scored, strict=True)))


def score_film(head: BoundaryHead, film: Film) -> np.ndarray:
    """`Head.scores` of a film's 'feature'."""
    return head.scores(film.inputs(np.arange(len(film)))["feature"], film.seconds)


def choose_threshold(scores: Sequence[np.ndarray], starts: Sequence[np.ndarray]) -> float:
    """The threshold (of 0.05, 0.06, ... 0.98) with the best F1, mean over films with a positive.

    F1 is smoothed over 0.05 on either side first: single peaks of its curve are chance.

    Args:
      scores: probabilities `[n-1]` of each film.
      starts: bool `[n-1]` of each film.
    """
    totals = np.zeros(len(THRESHOLDS))
    for score, start in zip(scores, starts, strict=True):
        if not np.any(start):
            continue
        called = np.asarray(score)[None, :] > THRESHOLDS[:, None]
        hits = (called & np.asarray(start, bool)).sum(axis=1)
        totals += 2 * hits / (called.sum(axis=1) + np.sum(start))
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
    """The trained parameters of `BoundaryModel(None, head)`, as numpy arrays."""
    method = Boundary(BoundaryModel(None, head))
    recipe = dict(steps=steps, lr=lr, weight_decay=weight_decay)
    init, step = program(method, shapes_of(rows.batch_spec(batch_size)), **recipe)
    state, mesh = init(jax.random.key(seed)), make_mesh(jax.devices()[:1])
    for number, examples in zip(range(steps), _draws(rows.examples, batch_size, seed)):  # noqa: B905
        index = np.arange(number * batch_size, (number + 1) * batch_size, dtype=np.int32)
        state, _ = step(state, make_global_batch(mesh, rows.load(examples) | {"index": index}))
    return jax.device_get(state.params)


def _draws(examples: int, size: int, seed: int) -> Iterator[np.ndarray]:
    """Endless parts of `size` of one shuffled pass after another."""
    rng = np.random.default_rng(derive_seed(seed, "order of borders"))
    left = np.zeros(0, np.int64)
    while True:
        while len(left) < size:
            left = np.concatenate([left, rng.permutation(examples)])
        yield left[:size]
        left = left[size:]
