"""Small towers trained on features inside another command, and cross-fitted scores of pairs.

A model that memorized a wrong caption finds it probable. Cross-fitting trains k models, each on all
folds but one, and each judges the fold that it has not seen. Images with equal embeddings share a
fold: a copy in training would tell the model their caption. Equal captions do not: whether a
caption fits an image can only be judged by a model that knows the caption's words.
"""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from vujax.data.captions import normalize_caption
from vujax.data.feature_pairs import FeatureDataset, FeaturePairs, batch_spec
from vujax.evals.feature_retrieval import embed_rows
from vujax.evals.features import Variables, image_encoder, text_encoder
from vujax.evals.retrieval import group_captions
from vujax.evals.suspects import PairScores, score_pairs
from vujax.methods import build_method
from vujax.models.feature_towers import FeatureTowers, build_feature_towers
from vujax.models.two_towers import clamp_scale
from vujax.training import fit
from vujax.training.step import State
from vujax.utils.mesh import make_mesh

METHOD = {
    "target": "half_columns",
    "teacher_temperature": 0.5,
    "unaligned_end": 0.7,
    "unaligned_begin": 0.1,
    "unaligned_full": 0.4,
    "dropout": 0.3,
}
"""Values of configs/distill.py:features that are not the defaults of `Distill`."""


@dataclasses.dataclass(frozen=True)
class TowerSettings:
    """Settings of a training of towers; the defaults are those of configs/distill.py:features.

    Attributes:
      hidden: GELU units of each tower.
      embed_dim: dimension of the common space.
      method: values of `config.method`, without `name`.
      epochs: passes over the training pairs.
      batch_size: pairs per step; fewer where there are not so many.
      lr: initial learning rate, with cosine decay.
      weight_decay: of kernels.
    """

    hidden: int = 256
    embed_dim: int = 64
    method: Mapping[str, Any] = dataclasses.field(default_factory=METHOD.copy)
    epochs: float = 36.0
    batch_size: int = 256
    lr: float = 1e-3
    weight_decay: float = 0.1


def train_towers(
    pairs: FeaturePairs,
    settings: TowerSettings,
    seed: int = 0,
    *,
    watch: Callable[[int, Variables], Any] | None = None,
    every: int = 1,
) -> tuple[FeatureTowers, Variables]:
    """Train two towers on pairs.

    Args:
      pairs: the training pairs.
      settings: sizes, method and optimizer.
      seed: of the initialization and of the order.
      watch: called with the number of steps done and the variables, valid until it returns.
      every: number of steps between these calls; the last step has one too.

    Raises:
      ValueError: nothing can be learned from the pairs, or a setting is invalid.
    """
    data = FeatureDataset(pairs)
    model = build_feature_towers(
        image_dim=pairs.images.dim,
        text_dim=pairs.texts.shape[1],
        hidden=settings.hidden,
        embed_dim=settings.embed_dim,
    )
    rows = min(settings.batch_size, len(pairs))
    steps = max(1, round(settings.epochs * len(pairs) / rows))
    shapes = fit.get_shapes(batch_spec(pairs.images.dim, pairs.texts.shape[1], rows))
    init, step = fit.build_program(
        build_method(model, name="distill_features", **settings.method),
        shapes,
        steps=steps,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
    )
    state = init(jax.random.key(seed))
    with contextlib.closing(data.train_batches(batch_size=rows, seed=seed)) as batches:
        for done in range(1, steps + 1):
            state, _ = step(state, next(batches))
            if watch and (done % every == 0 or done == steps):
                watch(done, _get_variables(state))
    return model, _get_variables(state)


def _get_variables(state: State) -> Variables:
    return {"params": state.params, "batch_stats": state.aux["batch_stats"]}


def score_with_towers(
    pairs: FeaturePairs, model: FeatureTowers, variables: Variables
) -> PairScores:
    """Score every caption of every image by trained towers; see `score_pairs`."""
    mesh, captions = make_mesh(jax.devices()[:1]), group_captions(pairs.captions)
    _, first = np.unique(captions.rows, return_index=True)
    options = dict(mesh=mesh)
    images = embed_rows(
        image_encoder(model), variables, "image", pairs.images.embeddings, **options
    )
    texts = embed_rows(text_encoder(model), variables, "tokens", pairs.texts[first], **options)
    scale = float(clamp_scale(variables["params"]["logit_scale"]))
    return score_pairs(images, texts, captions, scale)


def assign_folds(pairs: FeaturePairs, folds: int) -> np.ndarray:
    """Return the fold of each image, int64 `[n]`; it depends on the embeddings only.

    Raises:
      ValueError: there are fewer than 2 folds, or fewer than 2 different images for each.
    """
    digests = [hashlib.sha1(row.tobytes()).hexdigest() for row in pairs.images.embeddings]
    order = {digest: place for place, digest in enumerate(sorted(set(digests)))}
    if not 2 <= folds <= len(order) // 2:
        raise ValueError(
            f"{folds} folds cannot be made of {len(order)} different images: use 2 to "
            f"{max(len(order) // 2, 2)} folds, or give more pairs"
        )
    return np.array([order[digest] % folds for digest in digests], np.int64)


def cross_fit(
    pairs: FeaturePairs,
    folds: int,
    settings: TowerSettings,
    report: Callable[[int], Any] = lambda fold: None,
) -> PairScores:
    """Score every pair by towers that were trained on the other folds.

    A pair is compared with the pairs of its own fold, which no training has seen either.

    Args:
      pairs: all pairs.
      folds: number of folds, and of trainings.
      settings: of each training.
      report: called with the number of folds that are done.

    Raises:
      ValueError: see `assign_folds` and `train_towers`.
    """
    FeatureDataset(pairs)  # its complaints count all pairs, not those of a fold
    captions, fold = group_captions(pairs.captions), assign_folds(pairs, folds)
    number = {normalize_caption(text): i for i, text in enumerate(captions.texts)}
    found = PairScores._make(np.zeros(len(pairs.texts), kind) for kind in ("f4", "f4", "i8", "f4"))
    for k in range(folds):
        judged = pairs.take(np.flatnonzero(fold == k))
        model, variables = train_towers(pairs.take(np.flatnonzero(fold != k)), settings, seed=k)
        scores = score_with_towers(judged, model, variables)
        texts = group_captions(judged.captions).texts
        places = np.array([number[normalize_caption(text)] for text in texts], np.int64)
        rows = fold[pairs.owner] == k
        for values, own in zip(found, scores._replace(best=places[scores.best]), strict=True):
            values[rows] = own
        report(k + 1)
    return found
