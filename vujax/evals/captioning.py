"""Captions of unseen images by a decoder, and baselines that need no training."""

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vujax.data.captions import EmbeddingPairs
from vujax.encoders.pairs import open_pairs
from vujax.evals.base import Evaluator
from vujax.evals.features import Variables, extract, padded_size, read_batches
from vujax.evals.metrics.captions import cider, score_captions
from vujax.evals.metrics.ranking import find_nearest
from vujax.models.tokenizers.words import ShortTokens
from vujax.utils.arrays import l2_normalize


class Captioning(Evaluator):
    """Evaluator: `(variables) -> CIDEr, BLEU-4, ROUGE-L, different`.

    Attributes:
      headline: 'CIDEr'.
      hits: after a call, CIDEr-D of each image, for paired intervals.
      baselines: after a call, with `train`: the commonest training caption, and the first caption
        of the training image whose embedding is nearest.
      captions: after a call, the caption of each image, in order; 'different' is the number of
        different ones.
    """

    headline = "CIDEr"

    def __init__(
        self,
        model: Any,
        mesh: Mesh,
        *,
        sources: Mapping[str, Mapping[str, Any]],
        cache: str,
        train: Mapping[str, Mapping[str, Any]] | None = None,
        beams: int = 4,
        power: float = 1.0,
        batch_size: int = 128,
    ) -> None:
        """Store the options; files are opened at the first call.

        Args:
          model: a `vujax.models.caption.CaptionDecoder`.
          mesh: devices to use, along 'data'.
          sources: of pairs, see `vujax.encoders.pairs.open_pairs`; all captions of an image are its
            references.
          cache: folder of cached embeddings.
          train: sources of the training pairs, for baselines.
          beams: of the search.
          power: of a caption's length, see `vujax.models.caption`.
          batch_size: images at once.
        """
        self._model, self._mesh, self._sources, self._train = model, mesh, sources, train
        self._cache, self._batch_size = cache, batch_size
        self._encode = build_caption_decoder(model, beams, power)

        self.captions: list[str] = []

    @functools.cached_property
    def pairs(self) -> EmbeddingPairs:
        """The images that have captions."""
        return open_pairs(self._sources, self._model.encoder, self._cache).captioned()

    def __call__(self, variables: Variables) -> dict[str, float]:
        """Score the captions of all images."""
        self.captions = self.generate(variables, self.pairs.embeddings)
        if self._train and not self.baselines:
            train = open_pairs(self._train, self._model.encoder, self._cache).captioned()
            baselines = training_free_baselines(self.pairs.embeddings, train, self._mesh)
            self.baselines = {name: self._score(captions) for name, captions in baselines.items()}
        self.hits = cider(self.captions, self.pairs.captions)
        return self._score(self.captions)

    def generate(self, variables: Variables, embeddings: np.ndarray) -> list[str]:
        """Return the best caption of the search for each of `embeddings` `[n dim]`."""
        captions, _ = decode_captions(
            self._encode,
            variables,
            embeddings,
            vocab=self._model.vocab,
            mesh=self._mesh,
            batch_size=self._batch_size,
        )
        return captions

    def _score(self, captions: Sequence[str]) -> dict[str, float]:
        return score_captions(captions, self.pairs.captions) | {
            "different": float(len(set(captions)))
        }


def build_caption_decoder(model: Any, beams: int, power: float) -> Any:
    """Return `(variables, batch) -> [b context + 1]`: the best tokens, then the score.

    For `decode_captions`; build it once, since each one is compiled separately.
    """

    def encode(variables: Variables, batch: Mapping[str, jax.Array]) -> jax.Array:
        tokens, scores = model.search(variables, batch["vector"], beams=beams, power=power)
        return jnp.concatenate([tokens[:, 0].astype(jnp.float32), scores[:, :1]], axis=1)

    return encode


def decode_captions(
    encode: Any,
    variables: Variables,
    embeddings: np.ndarray,
    *,
    vocab: int,
    mesh: Mesh,
    batch_size: int = 128,
) -> tuple[list[str], np.ndarray]:
    """Return a decoder's caption of each embedding, and their scores, float32 `[n]`.

    Args:
      encode: of `build_caption_decoder`.
      variables: of the model.
      embeddings: float32 `[n dim]`.
      vocab: of the model.
      mesh: devices to use, along 'data'.
      batch_size: embeddings at once.
    """
    if not len(embeddings):
        return [], np.zeros(0, np.float32)
    size = padded_size(len(embeddings), batch_size, mesh)
    batches = read_batches(lambda rows: {"vector": embeddings[rows]}, len(embeddings), size)
    rows = extract(encode, variables, batches, mesh=mesh)["embeddings"]
    short, tokens = ShortTokens(vocab), rows[:, :-1].astype(np.int32)  # floats hold them exactly
    return [short.decode(row) for row in tokens], rows[:, -1]


def training_free_baselines(
    embeddings: np.ndarray, train: EmbeddingPairs, mesh: Mesh
) -> dict[str, list[str]]:
    """Return captions that need no training.

    Args:
      embeddings: float32 `[n d]`, of images to be captioned.
      train: the training pairs, all with captions.
      mesh: devices to use, along 'data'.

    Returns:
      commonest: for all images the training caption that occurs most, of several the first one;
      neighbour: the first caption of the training image of the greatest cosine.
    """
    counts = Counter(text for own in train.captions for text in own)
    _, nearest = find_nearest(
        l2_normalize(embeddings), l2_normalize(train.embeddings), 1, mesh=mesh
    )
    return {
        "commonest": [counts.most_common(1)[0][0]] * len(embeddings),
        "neighbour": [train.captions[place][0] for place in nearest[:, 0]],
    }
