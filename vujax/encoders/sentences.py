"""Sentence encoder MiniLM."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from vujax.encoders.base import compute_digest
from vujax.models import minilm, pretrained

NETWORK = "minilm"
BATCH = 64
SHORT = 8  # tokens of most names and labels; a quarter of the tokenizer's minimum length
SETTINGS = {"network": NETWORK, "context": minilm.CONTEXT}


@jax.jit
def _encode(variables: Any, tokens: jax.Array, mask: jax.Array) -> jax.Array:
    return minilm.MiniLM().apply(variables, tokens, mask)[0]


class SentenceEncoder:
    """Encoder of sentences with the released weights.

    Attributes:
      digest: see `vujax.encoders.base.compute_digest`.
      dim: dimension of an embedding.
    """

    dim = minilm.WIDTH

    def __init__(self) -> None:
        """Load the weights.

        Raises:
          ValueError, OSError: see `vujax.models.pretrained.load_weights`.
          ImportError: the extra [sentences] is not installed.
        """
        self._tokenize = minilm.Tokenizer(pretrained.load_document(NETWORK, "tokenizer"))
        tensors = pretrained.load_weights(NETWORK)
        self.digest = compute_digest(tensors, SETTINGS)
        self._variables = jax.device_put(minilm.from_released(tensors))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of texts, float32 `[n 384]` of unit length.

        Texts are cut after 256 tokens.

        Raises:
          TypeError: `texts` is one string, or an entry is not a string.
        """
        if isinstance(texts, str) or any(not isinstance(text, str) for text in texts):
            raise TypeError("sentences must be a sequence of strings; give [text]")
        found = np.zeros((len(texts), self.dim), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # to pad little
        for start in range(0, len(texts), BATCH):
            chosen = order[start : start + BATCH]
            tokens, mask = self._tokenize([texts[i] for i in chosen])
            if mask.sum(axis=1).max() <= SHORT:
                tokens, mask = tokens[:, :SHORT], mask[:, :SHORT]
            rows = 1 << (len(chosen) - 1).bit_length()  # few shapes, so few compilations
            padding = ((0, rows - len(chosen)), (0, 0))
            vectors = _encode(self._variables, np.pad(tokens, padding), np.pad(mask, padding))
            found[chosen] = vectors[: len(chosen)]
        return found
