"""Image-text pairs, for a model of two towers."""

import functools

import jax
import jax.numpy as jnp
import ml_collections
from jax.sharding import Mesh

from vujax import models
from vujax.data import pairs
from vujax.data.mixture import open_mixture
from vujax.data.preprocess import open_preprocess
from vujax.data.stream import TrainBatches
from vujax.mesh import by_rows
from vujax.models.clip import CLIP


def model(config: ml_collections.ConfigDict, mesh: Mesh) -> CLIP:
    """The towers; under FSDP their activations are told to stay divided by rows."""
    settings = config.model.to_dict()
    if not config.fsdp:
        return models.build(**settings)
    shard = functools.partial(jax.lax.with_sharding_constraint, shardings=by_rows(mesh))
    return models.build(**settings, shard=shard)


def shapes(config: ml_collections.ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Pictures, captions as tokens, positions in the stream, and samples that were replaced."""
    size, context = config.model.image.image_size, config.model.text.context
    return {
        "image": jax.ShapeDtypeStruct((rows, size, size, 3), jnp.uint8),
        "tokens": jax.ShapeDtypeStruct((rows, context), jnp.int32),
        "index": jax.ShapeDtypeStruct((rows,), jnp.int32),
        "bad": jax.ShapeDtypeStruct((rows,), jnp.int32),
    }


class Pairs:
    """The sources of `config.data`, opened; see `vujax.tasks.base.Data`."""

    def __init__(self, config: ml_collections.ConfigDict) -> None:
        self._mixture = open_mixture(config.data.sources)
        self._settings = {**config.data, "sources": self._mixture}
        model = config.model
        way = open_preprocess(config.get("init_from"), model.text.context)
        self._inputs = dict(image_size=model.image.image_size, tokenizer=way.tokenizer)

    @property
    def examples(self) -> int:
        return self._mixture.examples

    def train_batches(self, **which: int) -> TrainBatches:
        return pairs.train_batches(self._settings, **self._inputs, **which)


data = Pairs
