"""The space where texts meet pictures: what makes the vectors of a catalogue searchable.

Text spaces of the encoder `lite`: EfficientNet-Lite0's features meet MiniLM's sentences.

ConSE (`lite-conse`) needs no training: the classifier that comes with the features says how
probable each of ImageNet's 1,000 classes is, and their names' vectors are combined. The head in the
package (`lite-head`) learned on drawings and emoji with titles, and is poor on photographs. `lite`
mixes them, by a share that costs photographs little: see experiments/lite_head.py.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from vujax.encoders.base import LITE_NETWORK, digest
from vujax.encoders.lite import conse, read_class_names
from vujax.encoders.sentences import SentenceEncoder
from vujax.encoders.text_head import TextHead, load_head
from vujax.models import pretrained
from vujax.models.efficientnet import FEATURES
from vujax.models.layers import l2_normalize
from vujax.utils import arrays

LITE = ("lite", "lite-conse", "lite-head")

"""Spaces of the encoder `lite`; anything else names a released image-text model."""


class TextSpace(Protocol):
    """Maps texts, and the vectors that an encoder stored in a catalogue, into one space.

    A text and a picture are compared by the product of their vectors there, which is their cosine.

    Attributes:
      name: letters, digits, - and _.
      digest: in hexadecimal; two spaces of one digest give the same vectors.
      dim: numbers of a vector of this space.
    """

    name: str
    digest: str
    dim: int

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Texts -> float32 `[n dim]`, unit vectors; ensembles of prompts are the caller's.

        Raises:
          TypeError: `texts` is one string, or an entry is no string.
        """

    def images(self, vectors: np.ndarray) -> np.ndarray:
        """What the encoder stored, float32 `[n d]` -> float32 `[n dim]`, unit vectors.

        Vectors are those of frames, or means of them, such as those of shots and scenes.

        Raises:
          ValueError: vectors of another width, or a number that is not finite.
        """


class ReleaseSpace:
    """The `TextSpace` of an image-text model, whose vectors of pictures are in it already."""

    def __init__(self, encoder: Any) -> None:
        """Takes what `vujax.encoders.image_text.open_text_encoder` gives."""
        self.name, self.digest, self.dim = encoder.name, encoder.digest, encoder.dim
        self.texts = encoder.encode

    def images(self, vectors: np.ndarray) -> np.ndarray:
        """See `TextSpace.images`; only the lengths change, since means are no unit vectors."""
        vectors = checked(vectors, self.dim, self.name)
        return arrays.l2_normalize(vectors)


def checked(vectors: np.ndarray, width: int, encoder: str) -> np.ndarray:
    """Vectors as float32.

    Raises:
      ValueError: they are not `[n width]`, or a number is not finite.
    """
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise ValueError(
            f"Vectors of shape {list(vectors.shape)} are not of the encoder '{encoder}', which "
            f"gives [n {width}]: open the text space of the encoder that made them."
        )
    if not np.isfinite(vectors).all():
        raise ValueError("A vector holds a number that is not finite: embed its film again.")
    return vectors


def open_space(spec: str) -> TextSpace:
    """The space in which texts meet the vectors of `vujax embed --encoder SPEC`.

    Args:
      spec: of LITE, all for the vectors of the encoder `lite`; or a workdir or folder of a released
        image-text model.

    Raises:
      ValueError: there is no such space, or weights are damaged.
      FileNotFoundError: `spec` names a folder without a released model.
      OSError: released weights cannot be had.
      ImportError: the extra [sentences] is not installed.
    """
    if spec in LITE:
        # brings JAX

        return open_lite(spec)
    if not Path(spec).exists():
        raise ValueError(
            f"There is no text space {spec!r}: take {', '.join(LITE)}, or the folder of a trained "
            "or imported image-text model."
        )
    from vujax.encoders.image_text import open_text_encoder

    return ReleaseSpace(open_text_encoder(spec))


CHUNK = 1024  # vectors mapped at once: memory does not grow with a catalogue

CONSE = {"top": 10, "temperature": 2.0}  # chosen by experiments/lite_head.py

CLASSIFIER = {"weight": "_fc.weight", "bias": "_fc.bias"}  # in the released weights

Mapping = Callable[[jax.Array], jax.Array]


class LiteSpace:
    """A `vujax.search.text_space.TextSpace` over the vectors of the encoder `lite`."""

    dim = SentenceEncoder.dim

    def __init__(
        self,
        name: str,
        sentences: SentenceEncoder,
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
        """See `vujax.search.text_space.TextSpace.images`."""
        vectors = checked(vectors, FEATURES, "lite")
        found = np.zeros((len(vectors), self.dim), np.float32)
        for start in range(0, len(vectors), CHUNK):
            part = vectors[start : start + CHUNK]
            padded = np.pad(part, ((0, CHUNK - len(part)), (0, 0)))
            found[start : start + CHUNK] = self._mapping(padded)[: len(part)]
        return found


def conse_mapping(sentences: SentenceEncoder) -> tuple[Mapping, dict[str, np.ndarray]]:
    """ConSE from features, and the classifier's weights; encodes all names, a few seconds."""
    released = pretrained.load_weights(LITE_NETWORK)
    classifier = {key: released[name] for key, name in CLASSIFIER.items()}
    names = sentences([entry.name for entry in read_class_names()])

    @jax.jit
    def mapping(features: jax.Array) -> jax.Array:
        logits = jnp.matmul(features, classifier["weight"].T, precision="highest")
        return conse(logits + classifier["bias"], names, **CONSE)

    return mapping, classifier


def mixture(head: TextHead, words: Mapping) -> Mapping:
    """The direction of share * head + (1 - share) * ConSE, both unit vectors."""
    share = head.config["share"]
    return lambda features: l2_normalize(share * head(features) + (1 - share) * words(features))


def open_lite(name: str) -> LiteSpace:
    """The space 'lite' (the mixture), 'lite-conse' or 'lite-head'.

    Raises:
      ValueError, OSError: see `vujax.models.pretrained.load_weights`.
      ImportError: the extra [sentences] is not installed.
    """
    sentences = SentenceEncoder()
    if name == "lite-head":
        head = load_head()
        return LiteSpace(name, sentences, head, tensors=head.tensors, settings={})
    mapping, tensors = conse_mapping(sentences)
    settings = CONSE | {"names": [entry.name for entry in read_class_names()]}
    if name == "lite-conse":
        return LiteSpace(name, sentences, mapping, tensors=tensors, settings=settings)
    head = load_head()
    mapping, tensors = mixture(head, mapping), tensors | head.tensors
    settings |= {"share": head.config["share"]}
    return LiteSpace(name, sentences, mapping, tensors=tensors, settings=settings)
