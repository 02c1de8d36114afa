"""Captions from frozen vectors: cross-entropy of each token, given the picture and what was said.

Nothing is contrasted, so devices talk only to count the tokens: the loss is the mean over all
tokens of the whole batch, however long the captions of one device are.

Vectors of pictures with captions, for a caption decoder.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
from jax import lax
from jax.sharding import Mesh

from vujax.data import captions
from vujax.data.captions import CaptionDataset
from vujax.encoders.pairs import open_pairs
from vujax.methods.base import Batch, Embeddings, MethodSpec, whole
from vujax.models.caption import END, CaptionDecoder, build_caption_model


def build_model(config: ml_collections.ConfigDict, mesh: Mesh) -> CaptionDecoder:
    """The decoder."""
    del mesh
    return build_caption_model(**config.model.to_dict())


def batch_spec(config: ml_collections.ConfigDict, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
    """See `vujax.data.captions.batch_spec`."""
    return captions.batch_spec(config.model.dim, config.model.context, rows)


def open_data(config: ml_collections.ConfigDict) -> CaptionDataset:
    """The pairs of `config.data.sources`, their vectors by `config.model.encoder`.

    Raises:
      ValueError: the vectors have another number of numbers than the model reads.
    """
    pairs = open_pairs(config.data.sources.to_dict(), config.model.encoder, config.data.cache)
    if pairs.dim != config.model.dim:
        raise ValueError(
            f"the vectors have {pairs.dim} numbers, not model.dim={config.model.dim}: set that"
        )
    return CaptionDataset(pairs, vocab=config.model.vocab, context=config.model.context)


Tree = Any


def counted(tokens: jax.Array) -> jax.Array:
    """Bool `[b l]`: which tokens belong to the captions, the first END of each counted."""
    ends = jnp.cumsum(tokens == END, axis=1)
    return ends - (tokens == END) == 0


def cross_entropy(logits: jax.Array, tokens: jax.Array, label_smoothing: float = 0.0) -> jax.Array:
    """Of each token, float32 `[b l]`.

    Args:
      logits: `[b l vocab]`.
      tokens: int `[b l]`.
      label_smoothing: share of the target that is spread over all tokens alike (Szegedy et al.
        2016, arXiv:1512.00567).
    """
    chances = jax.nn.log_softmax(logits.astype(jnp.float32))
    right = jnp.take_along_axis(chances, tokens[..., None], axis=-1)[..., 0]
    return -(1 - label_smoothing) * right - label_smoothing * chances.mean(axis=-1)


@dataclasses.dataclass(frozen=True)
class Caption:
    """A decoder's language model, given pictures.

    Attributes:
      model: a `vujax.models.caption.CaptionDecoder`.
      label_smoothing: see `cross_entropy`.
    """

    model: nn.Module
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"method.label_smoothing must be in [0, 1), not {self.label_smoothing}"
            )

    def init(self, rng: jax.Array, batch: Batch) -> tuple[Tree, Tree]:
        """See `vujax.methods.base.Method`."""
        return self.model.init(rng, batch["vector"], batch["tokens"])["params"], {}

    def begin(self, extra: Tree, variables: Tree) -> Tree:
        """There is nothing but the parameters."""
        del variables
        return extra

    def layout(self, extra: Tree) -> Tree:
        """Every device has all of it."""
        return whole(extra)

    def embed(
        self, params: Tree, extra: Tree, batch: Batch, rng: jax.Array, axis_name: str | None
    ) -> Embeddings:
        """Each caption's summed losses, beside how many tokens it has and were foreseen."""
        del extra, axis_name
        keys = jax.vmap(jax.random.fold_in, (None, 0))(rng, batch["index"])

        def row(vector: jax.Array, tokens: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
            apply = dict(train=True, rngs={"dropout": key})
            logits, _ = self.model.apply({"params": params}, vector[None], tokens[None], **apply)
            inside = counted(tokens[None])
            losses = cross_entropy(logits, tokens[None], self.label_smoothing)
            right = (logits.argmax(axis=-1) == tokens) & inside
            return {
                "loss": jnp.sum(losses * inside),
                "tokens": inside.sum().astype(jnp.float32),
                "right": right.sum().astype(jnp.float32),
            }

        return Embeddings(jax.vmap(row)(batch["vector"], batch["tokens"], keys), {})

    def objective(
        self,
        embeddings: Embeddings,
        extra: Tree,
        rng: jax.Array,
        progress: jax.Array,
        axis_name: str | None,
    ) -> tuple[jax.Array, tuple[Tree, dict[str, jax.Array]]]:
        """The mean loss of a token, the share of tokens that were foreseen, tokens of a caption."""
        del rng, progress
        rows = lax.stop_gradient(embeddings.rows)
        counts = jnp.stack([rows["tokens"].sum(), rows["right"].sum(), 1.0 * len(rows["tokens"])])
        counts = counts if axis_name is None else lax.psum(counts, axis_name)
        tokens, right, captions = counts
        loss = embeddings.rows["loss"].sum() / tokens
        return loss, (extra, {"token_accuracy": right / tokens, "tokens": tokens / captions})

    def after_update(self, params: Tree, extra: Tree) -> Tree:
        """Nothing is averaged."""
        del params
        return extra


SPEC = MethodSpec(
    name="caption",
    method=Caption,
    build_model=build_model,
    batch_spec=batch_spec,
    open_data=open_data,
)
