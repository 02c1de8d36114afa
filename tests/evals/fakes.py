"""A model that recognizes gray levels and words, and a source in memory."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vujax.models.image_spec import ImageSpec
from vujax.models.tokenizers.clip import tokenize

SIZE = 8
STEP = 36  # grey levels between classes


class FakeText(nn.Module):
    context: int = 77


class Oracle(nn.Module):
    """A picture of grey level 36 c is class c; a text is what `variables['params']` says it is."""

    classes: int
    image_spec: ImageSpec = ImageSpec.square(SIZE)
    text: FakeText = FakeText()

    def encode_image(self, image: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        level = image[:, SIZE // 2, SIZE // 2, 0].astype(jnp.int32) // STEP
        embedding = jax.nn.one_hot(level, self.classes)
        pooled = jnp.concatenate([embedding, image.mean((1, 2)) / 255], 1)
        return embedding, {"pooled": pooled}

    def encode_text(self, tokens: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        known, labels = (self.get_variable("params", name) for name in ("known", "labels"))
        same = (tokens[:, None] == known).all(-1).astype(jnp.float32)
        return same @ jax.nn.one_hot(labels, self.classes), {}


def knowing(texts: dict[str, int]) -> dict[str, dict[str, np.ndarray]]:
    """Return variables of an `Oracle` that embeds each text as its class, others as zero."""
    known = tokenize(list(texts) or [""], 77)
    return {"params": {"known": known, "labels": np.int32(list(texts.values()) or [-1])}}


class Memory:
    """Records in a list."""

    def __init__(self, labels, captions=None, classes=None, images=None):
        self.labels, self.captions, self.classes = labels, captions, classes
        self.images = images

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        label = self.labels[index]
        image = np.full((SIZE, SIZE, 3), STEP * (label or 0), np.uint8)
        return {
            "key": f"r{index}",
            "image": image if self.images is None else self.images[index],
            "captions": self.captions[index] if self.captions else [],
            "label": label,
        }


def unit_rows(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """Random unit vectors `[n d]` float32."""
    rows = rng.normal(size=(n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clusters(n=203, d=40, classes=4, noise=4.0, seed=0):
    """Return examples of one shape for most tests: the solver is compiled once a shape."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(9).normal(size=(classes, d))
    labels = rng.integers(0, classes, n)
    features = centers[labels] / noise + rng.normal(size=(n, d))
    return features.astype(np.float32), labels
