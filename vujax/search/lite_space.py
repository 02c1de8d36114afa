"""Text spaces of the encoder `lite`: EfficientNet-Lite0's features meet MiniLM's sentences.

ConSE (`lite-conse`) needs no training: the classifier that comes with the features says how
probable each of ImageNet's 1,000 classes is, and their names' vectors are combined. The head in the
package (`lite-head`) learned on drawings and emoji with titles, and is poor on photographs. `lite`
mixes them, by a share that costs photographs little: see experiments/lite_head.py.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vujax import weights
from vujax.embed.class_names import class_names
from vujax.embed.conse import conse
from vujax.embed.encoders import WEIGHTS, digest
from vujax.embed.sentences import Sentences
from vujax.embed.text_head import TextHead, load_head
from vujax.models.clip import unit
from vujax.models.efficientnet import FEATURES
from vujax.search.space import checked

CHUNK = 1024  # vectors mapped at once: memory does not grow with a catalogue
CONSE = {"top": 10, "temperature": 2.0}  # chosen by experiments/lite_head.py
CLASSIFIER = {"weight": "_fc.weight", "bias": "_fc.bias"}  # in the released weights

Mapping = Callable[[jax.Array], jax.Array]


class LiteSpace:
    """A `vujax.search.space.TextSpace` over the vectors of the encoder `lite`."""

    dim = Sentences.dim

    def __init__(
        self,
        name: str,
        sentences: Sentences,
        mapping: Mapping,
        *,
        tensors: dict[str, np.ndarray],
        settings: dict[str, Any],
    ) -> None:
        """Takes the parts.

        Args:
          name: of the space.
          sentences: the encoder of texts.
          mapping: float32 `[CHUNK 1280]` -> unit vectors `[CHUNK 384]`.
          tensors: all weights of the mapping.
          settings: all else that changes its vectors.
        """
        self.name, self.texts, self._mapping = name, sentences, mapping
        self.digest = digest(tensors, settings | {"sentences": sentences.digest})

    def images(self, vectors: np.ndarray) -> np.ndarray:
        """See `vujax.search.space.TextSpace.images`."""
        vectors = checked(vectors, FEATURES, "lite")
        found = np.zeros((len(vectors), self.dim), np.float32)
        for start in range(0, len(vectors), CHUNK):
            part = vectors[start : start + CHUNK]
            padded = np.pad(part, ((0, CHUNK - len(part)), (0, 0)))
            found[start : start + CHUNK] = self._mapping(padded)[: len(part)]
        return found


def conse_mapping(sentences: Sentences) -> tuple[Mapping, dict[str, np.ndarray]]:
    """ConSE from features, and the classifier's weights; encodes all names, a few seconds."""
    released = weights.load(WEIGHTS["lite"])
    classifier = {key: released[name] for key, name in CLASSIFIER.items()}
    names = sentences([entry.name for entry in class_names()])

    @jax.jit
    def mapping(features: jax.Array) -> jax.Array:
        logits = jnp.matmul(features, classifier["weight"].T, precision="highest")
        return conse(logits + classifier["bias"], names, **CONSE)

    return mapping, classifier


def mixture(head: TextHead, words: Mapping) -> Mapping:
    """The direction of share * head + (1 - share) * ConSE, both unit vectors."""
    share = head.config["share"]
    return lambda features: unit(share * head(features) + (1 - share) * words(features))


def open_lite(name: str) -> LiteSpace:
    """The space 'lite' (the mixture), 'lite-conse' or 'lite-head'.

    Raises:
      ValueError, OSError: see `vujax.weights.load`.
      ImportError: the extra [sentences] is not installed.
    """
    sentences = Sentences()
    if name == "lite-head":
        head = load_head()
        return LiteSpace(name, sentences, head, tensors=head.tensors, settings={})
    mapping, tensors = conse_mapping(sentences)
    settings = CONSE | {"names": [entry.name for entry in class_names()]}
    if name == "lite-conse":
        return LiteSpace(name, sentences, mapping, tensors=tensors, settings=settings)
    head = load_head()
    mapping, tensors = mixture(head, mapping), tensors | head.tensors
    settings |= {"share": head.config["share"]}
    return LiteSpace(name, sentences, mapping, tensors=tensors, settings=settings)
