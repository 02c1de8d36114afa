"""Vectors of pictures with captions, for a caption decoder."""

import jax
import ml_collections
from jax.sharding import Mesh

from vujax.data import caption_rows
from vujax.data.caption_rows import CaptionRows
from vujax.embed.pairs import open_pairs
from vujax.models.caption import CaptionDecoder, build_caption


def model(config: ml_collections.ConfigDict, mesh: Mesh) -> CaptionDecoder:
    """The decoder."""
    del mesh
    return build_caption(**config.model.to_dict())


def shapes(config: ml_collections.ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `vujax.data.caption_rows.shapes`."""
    return caption_rows.shapes(config.model.dim, config.model.context, rows)


def data(config: ml_collections.ConfigDict) -> CaptionRows:
    """The pairs of `config.data.sources`, their vectors by `config.model.encoder`.

    Raises:
      ValueError: the vectors have another number of numbers than the model reads.
    """
    pairs = open_pairs(config.data.sources.to_dict(), config.model.encoder, config.data.cache)
    if pairs.dim != config.model.dim:
        raise ValueError(
            f"the vectors have {pairs.dim} numbers, not model.dim={config.model.dim}: set that"
        )
    return CaptionRows(pairs, vocab=config.model.vocab, context=config.model.context)
