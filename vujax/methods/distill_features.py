"""PSD on features: the method of `vujax.methods.distill` for small towers on frozen encoders.

Images and captions are embedded once by encoders that stay frozen, so that a training takes seconds
to minutes on a CPU. It is locked-image tuning (LiT, Zhai et al., CVPR 2022, arXiv:2111.07991) with
both sides locked below the towers.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from vujax.methods import distill
from vujax.models.feature_towers import FeatureTowers, build_feature_towers

if TYPE_CHECKING:
    from vujax.data.feature_pairs import FeatureDataset


def build_model(config: ConfigDict, mesh: Mesh) -> FeatureTowers:
    """Build the towers."""
    del mesh
    return build_feature_towers(**config.model.to_dict())


def batch_spec(config: ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `vujax.data.feature_pairs.batch_spec`."""
    from vujax.data import feature_pairs

    return feature_pairs.batch_spec(config.model.image_dim, config.model.text_dim, rows)


def open_data(config: ConfigDict) -> "FeatureDataset":
    """Open the training pairs of `config.data`, embedded by the encoders of `config.model`.

    Raises:
      ValueError: the embeddings have another size than the towers read, there are fewer pairs than
        a batch, or nothing can be learned from them.
    """
    from vujax.data.feature_pairs import FeatureDataset, shuffle_captions, split_pairs
    from vujax.encoders.feature_pairs import open_feature_pairs

    data, model = config.data, config.model
    pairs = open_feature_pairs(
        data.sources.to_dict(), model.encoder, model.text_encoder, data.cache
    )
    dims = {"image_dim": pairs.images.dim, "text_dim": pairs.texts.shape[1]}
    for name, dim in dims.items():
        if dim != model[name]:
            raise ValueError(
                f"the embeddings have {dim} dimensions, not model.{name}={model[name]}: set "
                f"model.{name} to {dim}"
            )
    pairs = split_pairs(pairs, data.hold_out.to_dict(), "train")
    if data.shuffle_captions:
        pairs = shuffle_captions(pairs, data.shuffle_captions, data.shuffle_seed)
    dataset = FeatureDataset(pairs)
    if not 2 <= config.batch_size <= len(pairs):
        raise ValueError(
            f"batch_size {config.batch_size} does not fit {len(pairs)} training pairs: a pair is "
            f"contrasted with the others of its batch, so use 2 to {len(pairs)}"
        )
    return dataset


def release_config(config: ConfigDict, data: "FeatureDataset") -> dict[str, Any]:
    """Return `frozen`: spec and digest of the encoders that the towers stand on; '' if unknown."""
    from vujax.encoders.texts import choose_text_encoder

    model, pairs = config.model, data.pairs
    texts = model.text_encoder or choose_text_encoder(model.encoder)
    return {
        "frozen": {
            "image": _describe(model.encoder, pairs.images.encoder, pairs.images.digest),
            "text": _describe(texts, pairs.text_encoder, pairs.text_digest),
        }
    }


def _describe(spec: str, name: str, digest: str) -> dict[str, str]:
    spec = str(Path(spec).resolve()) if Path(spec).exists() else spec
    return {"encoder": spec if name else "", "digest": digest}


SPEC = dataclasses.replace(
    distill.SPEC,
    name="distill_features",
    build_model=build_model,
    batch_spec=batch_spec,
    open_data=open_data,
    encoder="features",
    release_config=release_config,
)
