"""Sentences as MiniLM's vectors."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from vujax.encoders.base import digest
from vujax.models import minilm, pretrained

NETWORK = "minilm"
BATCH = 64
SHORT = 8  # tokens of most names and labels: a quarter of the tokenizer's least length
SETTINGS = {"network": NETWORK, "context": minilm.CONTEXT}


@jax.jit
def _encode(variables: Any, tokens: jax.Array, mask: jax.Array) -> jax.Array:
    return minilm.MiniLM().apply(variables, tokens, mask)[0]


class SentenceEncoder:
    """The released sentence encoder.

    Attributes:
      digest: see `vujax.encoders.base.digest`.
      dim: numbers of a vector.
    """

    dim = minilm.WIDTH

    def __init__(self) -> None:
        """Loads the weights.

        Raises:
          ValueError, OSError: see `vujax.models.pretrained.load_weights`.
          ImportError: the extra [sentences] is not installed.
        """
        self._tokenize = minilm.Tokenizer(pretrained.load_document(NETWORK, "tokenizer"))
        tensors = pretrained.load_weights(NETWORK)
        self.digest = digest(tensors, SETTINGS)
        self._variables = jax.device_put(minilm.from_released(tensors))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Texts -> float32 `[n 384]`, unit vectors; a text beyond 256 tokens loses its tail.

        Raises:
          TypeError: `texts` is one string, or an entry is no string.
        """
        if isinstance(texts, str) or any(not isinstance(text, str) for text in texts):
            raise TypeError("Sentences are a sequence of strings: give [text].")
        found = np.zeros((len(texts), self.dim), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # little padding
        for start in range(0, len(texts), BATCH):
            chosen = order[start : start + BATCH]
            tokens, mask = self._tokenize([texts[i] for i in chosen])
            if mask.sum(axis=1).max() <= SHORT:
                tokens, mask = tokens[:, :SHORT], mask[:, :SHORT]
            rows = 1 << (len(chosen) - 1).bit_length()  # few shapes, so few programs
            padding = ((0, rows - len(chosen)), (0, 0))
            vectors = _encode(self._variables, np.pad(tokens, padding), np.pad(mask, padding))
            found[chosen] = vectors[: len(chosen)]
        return found
