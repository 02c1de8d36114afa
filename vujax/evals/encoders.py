"""A model's two towers as functions of a batch, one function object per model."""

import functools
from typing import Any

from vujax.evals.features import Encode


@functools.lru_cache(maxsize=16)
def image_encoder(model: Any, feature: str | None = None) -> Encode:
    """`(variables, {'image': [b h w 3]}) -> [b d]`.

    Cached, so that several evaluations of one model share a compiled function.

    Args:
      model: a linen module with `encode_image(image) -> (embedding, out)`.
      feature: None for the embedding, or the name of an array `[b ...]` in `out`; what follows its
        first axis is flattened.
    """

    def encode(variables, batch):
        embedding, out = model.apply(variables, batch["image"], method="encode_image")
        if feature is None:
            return embedding
        if feature not in out:
            raise ValueError(f"the model has no feature '{feature}': choose one of {sorted(out)}")
        return out[feature].reshape(len(embedding), -1)

    return encode


@functools.lru_cache(maxsize=16)
def text_encoder(model: Any) -> Encode:
    """`(variables, {'tokens': [b context]}) -> [b d]`, cached like `image_encoder`."""

    def encode(variables, batch):
        return model.apply(variables, batch["tokens"], method="encode_text")[0]

    return encode
