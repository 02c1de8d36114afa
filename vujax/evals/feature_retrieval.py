"""Retrieval of held-out pairs by towers on frozen features."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from jax.sharding import Mesh

from vujax.data.feature_pairs import FeaturePairs, split_pairs
from vujax.encoders.feature_pairs import open_feature_pairs
from vujax.evals.base import Evaluator
from vujax.evals.features import (
    Encode,
    Variables,
    extract,
    image_encoder,
    padded_size,
    read_batches,
    text_encoder,
)
from vujax.evals.retrieval import (
    CaptionGroups,
    compute_baselines,
    compute_recalls,
    group_captions,
    rank_both_directions,
)


def embed_rows(
    encode: Encode,
    variables: Variables,
    name: str,
    rows: np.ndarray,
    *,
    mesh: Mesh,
    batch_size: int = 1024,
) -> np.ndarray:
    """Map frozen embeddings through a tower.

    Args:
      encode: of `vujax.evals.features.image_encoder` or `text_encoder`.
      variables: of the model.
      name: name of the rows in a batch, 'image' or 'tokens'.
      rows: float32 `[n d]`.
      mesh: devices to use, along 'data'.
      batch_size: rows at once.

    Returns:
      float32 `[n embed_dim]`.
    """
    size = padded_size(len(rows), batch_size, mesh)
    batches = read_batches(lambda at: {name: rows[at]}, len(rows), size)
    return extract(encode, variables, batches, mesh=mesh)["embeddings"]


class FeatureRetrieval(Evaluator):
    """Evaluator: `(variables) -> recalls`, plus the numbers of images and captions.

    Attributes:
      headline: 'mean_recall'.
      hits: after a call, see `vujax.evals.retrieval.Retrieval`.
      baselines: after a call, chance and ceiling.
    """

    headline = "mean_recall"

    def __init__(
        self,
        model: Any,
        mesh: Mesh,
        *,
        sources: Mapping[str, Mapping[str, Any]],
        cache: str | None = None,
        hold_out: Mapping[str, Any] | None = None,
    ) -> None:
        """Store the options; files are opened at the first call.

        Args:
          model: a `vujax.models.feature_towers.FeatureTowers`.
          mesh: devices to use, along 'data'.
          sources: pairs, see `vujax.encoders.feature_pairs.open_feature_pairs`.
          cache: folder of cached embeddings.
          hold_out: the rule of `data.hold_out`, whose held-out pairs are scored; None: all pairs.
        """
        self._model, self._mesh = model, mesh
        self._sources, self._cache, self._hold_out = sources, cache, hold_out
        self._encoders = image_encoder(model), text_encoder(model)

    @functools.cached_property
    def pairs(self) -> FeaturePairs:
        """The pairs that are scored."""
        model = self._model
        pairs = open_feature_pairs(self._sources, model.encoder, model.text_encoder, self._cache)
        return split_pairs(pairs, self._hold_out, "validation")

    @functools.cached_property
    def captions(self) -> CaptionGroups:
        """Their captions, equal ones grouped."""
        return group_captions(self.pairs.captions)

    def __call__(self, variables: Variables) -> dict[str, float]:
        """Score `variables` on all pairs."""
        images, texts = self.embed(variables)
        ranks = rank_both_directions(images, texts, self.captions, mesh=self._mesh)
        self.hits = {name: counts.hits_at(1) for name, counts in ranks.items()}
        self.baselines = compute_baselines(ranks, self.captions)
        counts = {"images": len(images), "captions": len(self.captions.rows)}
        return compute_recalls(ranks) | counts

    def embed(self, variables: Variables) -> tuple[np.ndarray, np.ndarray]:
        """Return the unit embeddings of the images and of the different texts."""
        _, first = np.unique(self.captions.rows, return_index=True)
        encode_image, encode_text = self._encoders
        options = dict(mesh=self._mesh)
        images = embed_rows(
            encode_image, variables, "image", self.pairs.images.embeddings, **options
        )
        texts = embed_rows(encode_text, variables, "tokens", self.pairs.texts[first], **options)
        return images, texts
