"""Text spaces: common spaces of texts and of a catalog's embeddings, which make it searchable.

The spaces of the encoder `lite` combine features of EfficientNet-Lite0 with MiniLM's sentences:

- `lite-conse` (ConSE) needs no training: the classifier of the features predicts ImageNet's 1,000
  classes, and the embeddings of their names are averaged by probability.
- `lite-head` is a trained head, shipped with the package. It was trained on drawings and emoji with
  titles, and is poor on photographs.
- `lite` mixes both, with a share that costs little on photographs (experiments/lite_head.py).
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from vujax.encoders.base import LITE_NETWORK, compute_digest, locate_model
from vujax.encoders.class_names import embed_class_names, read_class_names
from vujax.encoders.lite import compute_conse
from vujax.encoders.sentences import SentenceEncoder
from vujax.encoders.text_head import TextHead, load_head
from vujax.models import pretrained
from vujax.models.efficientnet import FEATURES
from vujax.models.layers import l2_normalize
from vujax.utils import arrays

LITE_SPACES = ("lite", "lite-conse", "lite-head")
"""Spaces of the encoder `lite`; any other name is the folder of an image-text model."""

CHUNK = 1024  # embeddings mapped at once, so that memory does not grow with the catalog
CONSE = {"top": 10, "temperature": 2.0}  # chosen by experiments/lite_head.py
CLASSIFIER = {"weight": "_fc.weight", "bias": "_fc.bias"}  # names in the released weights

FeatureMapping = Callable[[jax.Array], jax.Array]


class TextSpace(Protocol):
    """Mapping of texts, and of the embeddings that an encoder stored, into one space.

    The similarity of a text and an image is the product of their unit vectors in this space.

    Attributes:
      name: letters, digits, - and _.
      digest: hexadecimal; spaces with the same digest give the same vectors.
      dim: dimension of the space.
    """

    name: str
    digest: str
    dim: int

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts as unit vectors, float32 `[n dim]`, without prompt ensembles.

        Raises:
          TypeError: `texts` is a string, or an entry is not a string.
        """

    def map_embeddings(self, vectors: np.ndarray) -> np.ndarray:
        """Map stored embeddings, float32 `[n d]`, to unit vectors, float32 `[n dim]`.

        Embeddings are those of frames, or their means, such as those of shots and scenes.

        Raises:
          ValueError: the width does not match, or a value is not finite.
        """


class ImageTextSpace:
    """The `TextSpace` of an image-text model, whose image embeddings are already in it."""

    def __init__(self, encoder: Any) -> None:
        """Wrap a text encoder of `vujax.encoders.texts.open_text_encoder`."""
        self.name, self.digest, self.dim = encoder.name, encoder.digest, encoder.dim
        self.encode_texts = encoder.encode

    def map_embeddings(self, vectors: np.ndarray) -> np.ndarray:
        """See `TextSpace.map_embeddings`; only normalizes, since means are not unit vectors."""
        vectors = check_embeddings(vectors, self.dim, self.name)
        return arrays.l2_normalize(vectors)


class EncoderSpace:
    """The encoder's own space, without texts: the normalized embeddings."""

    name, digest = "plain", "0" * 64

    def __init__(self, dim: int) -> None:
        """Make the space of embeddings of width `dim`."""
        self.dim = dim

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Raise ValueError, because texts have no vectors in this space."""
        raise ValueError("texts cannot be encoded in the space of an image encoder")

    def map_embeddings(self, vectors: np.ndarray) -> np.ndarray:
        """See `TextSpace.map_embeddings`."""
        return arrays.l2_normalize(np.asarray(vectors, np.float32))


class LiteSpace:
    """A `TextSpace` for the embeddings of the encoder `lite`."""

    dim = SentenceEncoder.dim

    def __init__(
        self,
        name: str,
        sentences: SentenceEncoder,
        mapping: FeatureMapping,
        *,
        tensors: dict[str, np.ndarray],
        settings: dict[str, Any],
    ) -> None:
        """Combine a text encoder and a mapping of features.

        Args:
          name: name of the space.
          sentences: text encoder.
          mapping: float32 `[CHUNK 1280]` -> unit vectors `[CHUNK 384]`.
          tensors: all weights of the mapping, for the digest.
          settings: all other settings that change its vectors, for the digest.
        """
        self.name, self.encode_texts, self._mapping = name, sentences, mapping
        self.digest = compute_digest(tensors, settings | {"sentences": sentences.digest})

    def map_embeddings(self, vectors: np.ndarray) -> np.ndarray:
        """See `TextSpace.map_embeddings`."""
        vectors = check_embeddings(vectors, FEATURES, "lite")
        mapped = np.zeros((len(vectors), self.dim), np.float32)
        for start in range(0, len(vectors), CHUNK):
            part = vectors[start : start + CHUNK]
            padded = np.pad(part, ((0, CHUNK - len(part)), (0, 0)))
            mapped[start : start + CHUNK] = self._mapping(padded)[: len(part)]
        return mapped


def open_text_space(spec: str) -> TextSpace:
    """Open the text space for the embeddings of `vujax embed --encoder SPEC`.

    Args:
      spec: one of LITE_SPACES, all for the embeddings of the encoder `lite`; or the work directory
        or release folder of an image-text model, or ORG/MODEL of the hub.

    Raises:
      ValueError: the space is unknown, or weights are damaged.
      FileNotFoundError: the folder holds no released model.
      OSError: released weights are not available.
      ImportError: the extra [sentences] is not installed.
    """
    if spec in LITE_SPACES:
        return open_lite_space(spec)
    if not locate_model(spec).exists():
        raise ValueError(
            f"unknown text space {spec!r}; expected one of: {', '.join(LITE_SPACES)}, or the "
            "folder of an image-text model"
        )
    from vujax.encoders.texts import open_text_encoder

    return ImageTextSpace(open_text_encoder(spec))


def open_lite_space(name: str) -> LiteSpace:
    """Open one of LITE_SPACES.

    Raises:
      ValueError, OSError: see `vujax.models.pretrained.load_weights`.
      ImportError: the extra [sentences] is not installed.
    """
    sentences = SentenceEncoder()
    if name == "lite-head":
        head = load_head()
        return LiteSpace(name, sentences, head, tensors=head.tensors, settings={})
    mapping, tensors = build_conse_mapping(sentences)
    settings = CONSE | {"names": [entry.name for entry in read_class_names()]}
    if name == "lite-conse":
        return LiteSpace(name, sentences, mapping, tensors=tensors, settings=settings)
    head = load_head()
    mapping, tensors = mix_mappings(head, mapping), tensors | head.tensors
    settings |= {"share": head.config["share"]}
    return LiteSpace(name, sentences, mapping, tensors=tensors, settings=settings)


def build_conse_mapping(sentences: SentenceEncoder) -> tuple[FeatureMapping, dict[str, np.ndarray]]:
    """Build the ConSE mapping of features and return it with the classifier's weights."""
    released = pretrained.load_weights(LITE_NETWORK)
    classifier = {key: released[name] for key, name in CLASSIFIER.items()}
    names = embed_class_names(sentences)

    @jax.jit
    def mapping(features: jax.Array) -> jax.Array:
        logits = jnp.matmul(features, classifier["weight"].T, precision="highest")
        return compute_conse(logits + classifier["bias"], names, **CONSE)

    return mapping, classifier


def mix_mappings(head: TextHead, conse_mapping: FeatureMapping) -> FeatureMapping:
    """Return the unit vector of share * head + (1 - share) * ConSE, both unit vectors."""
    share = head.config["share"]
    return lambda features: l2_normalize(
        share * head(features) + (1 - share) * conse_mapping(features)
    )


def check_embeddings(vectors: np.ndarray, dim: int, encoder: str) -> np.ndarray:
    """Return embeddings as float32.

    Raises:
      ValueError: the shape is not `[n dim]`, or a value is not finite.
    """
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise ValueError(
            f"embeddings of shape {list(vectors.shape)} do not match the encoder '{encoder}', "
            f"which gives [n {dim}]; open the text space of their encoder"
        )
    if not np.isfinite(vectors).all():
        raise ValueError("an embedding has a value that is not finite; embed its film again")
    return vectors
